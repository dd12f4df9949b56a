/** @file The figures and tables of scaling-laws. */
import { levelThreshold } from '../../grammar/index.ts'
import {
  chart,
  distinct,
  type Figure,
  groupBy,
  type LineSeries,
  lineChart,
  mean,
  overReplicas,
  type ReportTable,
  shownEstimate,
  shownWhole,
  table,
} from '../../lab/index.ts'
import { levelsOf, middle, worth } from '../lastToken/halfWay.ts'
import { type Architecture, kindOf, networkNames, powerOfTheory } from '../lastToken/networks.ts'
import { pointsOf } from '../lastToken/pointsOf.ts'
import { type Found, halfWays, heightsOf, ratioAt, reaching, scaleOf, spreads } from './estimates.ts'
import { shapeOf } from './measure.ts'

type Rows = readonly Found[]

export const partNames = { offline: 'P strings', online: 'fresh strings', widths: 'P strings' } as const

const bars = 'Bands: one standard error over grammars.'
const byNetwork = {
  series: 'network',
  seriesName: (name: string | number) => networkNames[name as Architecture],
} as const

/** The mean over grammars of an exact plateau. */
const plateau = (rows: Rows, level: number): number =>
  overReplicas(rows, (own) => own[0]!.plateaus[level]!).value

const plateauLines = (rows: Rows) =>
  [0, ...levelsOf(rows)].map((level) => ({
    axis: 'y' as const,
    value: plateau(rows, level),
    label: `ℓ = ${level}`,
  }))

/** The loss of every network on grammars of one m. */
const lossChart = (rows: Rows, m: number): (() => Figure) => {
  const { part } = rows[0]!
  return chart(rows, {
    name: `loss-${part}-${m}`,
    title: `Down the plateaus: ${partNames[part]}, m = ${m}`,
    caption: `Cross-entropy of the last token against ${part === 'online' ? 'strings seen, each of them once' : 'the number P of training strings, the least on the way of each training'}; bands: one standard error over grammars. Dotted: the exact plateaus of these grammars, the entropy of the last token given the 2^ℓ − 1 before it.`,
    ...{ x: 'samples', y: 'loss', xScale: 'log', yLabel: 'loss (nats)', marks: 'dots' },
    xLabel: part === 'online' ? 'strings seen' : 'training strings P',
    ...byNetwork,
    references: plateauLines(rows),
  })
}

/** Rows of every network and m whose grammars all reach a level. */
const ofEach = (rows: Rows, level: number): Found[] =>
  groupBy(rows, 'network').flatMap(({ rows: own }) => reaching(own, level))

/** Strings at half way to a level against m, beside the power of theory. */
function rulesCharts(rows: Rows): (() => Figure)[] {
  const { part } = rows[0]!
  return levelsOf(rows).flatMap((level) => {
    const series = groupBy(ofEach(rows, level), 'network').flatMap(({ key, rows: own }, hue) =>
      pointsOf(
        hue,
        networkNames[key.network],
        groupBy(own, 'm').map(({ key: { m }, rows: at }) => [m, halfWays(at, level)] as const),
        (m) => m ** powerOfTheory(key.network, level) / (1 - m / own[0]!.v),
      ),
    )
    if (series.length === 0) return []
    return [
      () =>
        lineChart({
          name: `half-way-${part}-${level}`,
          title: `Half way to level ${level} (${partNames[part]})`,
          caption: `Strings at which the loss is half way from the plateau below to that of level ${level}, against the number of rules m. ${bars} Dashed: m^(ℓ+1) of the CNN, m^(2ℓ−1) of the others, over 1 − f, through the mean of the points.`,
          ...{ xLabel: 'rules m', yLabel: 'strings', xScale: 'log', yScale: 'log', series },
        }),
    ]
  })
}

/** The ratio of networks against the level. */
function ratioChart(rows: Rows, pair: readonly [Architecture, Architecture]): (() => Figure)[] {
  const { part } = rows[0]!
  const series = groupBy(rows, 'm').flatMap(({ key: { m }, rows: own }, hue) =>
    pointsOf(
      hue,
      `m = ${m}`,
      levelsOf(own).map((level) => [level, ratioAt(own, pair, level)] as const),
      (level) => m ** Math.max(0, level - 2),
    ),
  )
  if (series.length === 0) return []
  const names = pair.map((name) => networkNames[name])
  return [
    () =>
      lineChart({
        name: `ratio-${part}-${pair[0]}`,
        title: `What ${names[0]} pays over ${names[1]} (${partNames[part]})`,
        caption: `Strings at half way to each level, ${names[0]} over ${names[1]} on the same grammars. ${bars} Dashed: constant up to ℓ = 2, then m^(ℓ−2), through the mean of the points.`,
        ...{ xLabel: 'level ℓ', yLabel: 'ratio of strings', yScale: 'log', series },
      }),
  ]
}

/** Losses between plateaus on the scale of theory. */
function collapseCharts(rows: Rows): (() => Figure)[] {
  return groupBy(rows, 'network').flatMap(({ key: { network }, rows: own }) =>
    levelsOf(own)
      .filter((level) => level >= 2 && distinct(reaching(own, level), 'm').length >= 2)
      .map((level) => () => {
        const { before, after } = spreads(own, level)
        const power = powerOfTheory(network, level)
        return lineChart({
          name: `collapse-${network}-${level}`,
          title: `${networkNames[network]}: level ${level} on P / m^${power}`,
          caption: `Loss between the exact plateaus, 1 that of level ${level - 1} and 0 that of level ${level}; mean over grammars. At equal height the curves lie apart by a factor of ${shownEstimate(before)} in P, and of ${shownEstimate(after)} on P/m^${power}; theory: 1.`,
          ...{ xLabel: `P / m^${power}`, yLabel: 'height between plateaus', xScale: 'log' },
          yDomain: [-0.5, 1.6],
          series: groupBy(reaching(own, level), 'm').map(({ key: { m }, rows: at }, hue) => ({
            ...{ name: `m = ${m}`, hue, dots: true },
            points: heightsOf(at, level)
              .filter(({ y }) => y > -0.5 && y < 1.6)
              .map(({ x, y }) => ({ x: x / scaleOf(at[0]!, level), y })),
          })),
          references: [{ axis: 'y', value: 0.5, label: 'half way' }],
        })
      }),
  )
}

/** What a level is worth against the strings it takes. */
function envelopeChart(rows: Rows, m: number): (() => Figure)[] {
  const series = groupBy(rows, 'network').flatMap(({ key: { network }, rows: own }, hue): LineSeries[] => {
    const at = levelsOf(own).flatMap((level) => {
      const half = halfWays(own, level)
      const y = overReplicas(own, (one) => worth(one[0]!, level)).value
      return Number.isFinite(half.value) ? [{ level, x: half.value, y }] : []
    })
    if (at.length === 0) return []
    const shape = shapeOf(own[0]!)
    const theory = (level: number) => levelThreshold(shape, kindOf(network), level)
    const from2 = at.filter(({ level }) => level >= 2)
    const factor = Math.exp(mean(from2.map(({ level, x }) => Math.log(x / theory(level)))))
    return [
      { name: networkNames[network], hue, dots: true, points: at },
      {
        ...{ name: '', hue, dashed: true },
        points: from2.map(({ level, y }) => ({ x: factor * theory(level), y })),
      },
    ]
  })
  if (series.length === 0) return []
  return [
    () =>
      lineChart({
        name: `envelope-${rows[0]!.part}-${m}`,
        title: `The envelope of the steps, m = ${m}`,
        caption: `What each level is worth, the exact plateau below it minus its own, against the strings at half way to it. The slope is −α. Dashed: the thresholds v m^(ℓ+1) and v m^(2ℓ−1) of theory from ℓ = 2 on, at the exact plateaus of the same grammars, through the mean of the points.`,
        ...{ xLabel: 'strings', yLabel: 'worth of the level (nats)', xScale: 'log', yScale: 'log', series },
      }),
  ]
}

/** Losses of other widths at one m. */
const widthChart = (rows: Rows, network: Architecture): (() => Figure) =>
  chart(rows, {
    name: `widths-${network}`,
    title: `${networkNames[network]} of several widths`,
    caption: `Least test loss against the number P of training strings (m = ${rows[0]!.m}), for networks of several widths, in units of the usual one; bands: one standard error over grammars. Dotted: the exact plateaus of these grammars.`,
    ...{ x: 'samples', y: 'loss', series: 'factor', seriesName: (factor) => `width × ${factor}` },
    ...{ xScale: 'log', xLabel: 'training strings P', yLabel: 'loss (nats)', marks: 'dots' },
    references: plateauLines(rows),
  })

export interface Parts {
  readonly offline: Rows
  readonly online: Rows
  /** The other widths, and the usual one at the same m. */
  readonly widths: Rows
}

export const pairs = [
  ['attention', 'cnn'],
  ['lcn', 'cnn'],
] as const satisfies readonly (readonly [Architecture, Architecture])[]

export function chartsOf({ offline, online, widths }: Parts): (() => Figure)[] {
  return [
    ...[offline, online].flatMap((rows) =>
      rows.length === 0
        ? []
        : [
            ...groupBy(rows, 'm').map(({ key: { m }, rows: own }) => lossChart(own, m)),
            ...rulesCharts(rows),
            ...pairs.flatMap((pair) => ratioChart(rows, pair)),
            ...groupBy(rows, 'm').flatMap(({ key: { m }, rows: own }) => envelopeChart(own, m)),
          ],
    ),
    ...(offline.length === 0 ? [] : collapseCharts(offline)),
    ...groupBy(widths, 'network').map(({ key: { network }, rows }) => widthChart(rows, network)),
  ]
}

/** Strings at half way, or why there is no number. */
function reached(rows: Rows, level: number): string {
  const found = halfWays(rows, level)
  if (!found.missing) return shownWhole(found)
  const counts = rows.map(({ samples }) => samples)
  const [least, most] = [Math.min(...counts), Math.max(...counts)]
  const isAbove = (row: Found): boolean => row.loss > middle(row, level)
  if (!rows.some(isAbove)) return `< ${shownWhole({ value: least, error: null })}`
  if (rows.some((row) => row.isCut && isAbove(row))) return 'cut'
  const part = `${found.n} of ${(found.n ?? 0) + found.missing}`
  return found.n ? `${shownWhole(found)} (${part})` : `> ${shownWhole({ value: most, error: null })}`
}

export function tablesOf({ offline, online }: Parts): ReportTable[] {
  return [offline, online]
    .filter((rows) => rows.length > 0)
    .map((rows) =>
      table(rows, {
        title: `Strings at half way to each level (${partNames[rows[0]!.part]}; "cut": training ended before its loss turned)`,
        by: ['m', 'network'],
        columns: Object.fromEntries(
          levelsOf(rows).map((level) => [`ℓ = ${level}`, (own: Rows) => reached(own, level)]),
        ),
      }),
    )
}
