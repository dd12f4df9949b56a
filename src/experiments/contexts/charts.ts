/** @file The figures and tables of contexts. */
import { exponents, levelThreshold } from '../../grammar/index.ts'
import {
  chart,
  column,
  type Estimate,
  type Figure,
  groupBy,
  lineChart,
  overReplicas,
  type ReportTable,
  shownEstimate,
  shownWhole,
  table,
  where,
} from '../../lab/index.ts'
import { levelsOf } from '../lastToken/halfWay.ts'
import { kindOf, networkNames } from '../lastToken/networks.ts'
import { pointsOf } from '../lastToken/pointsOf.ts'
import type { Config } from './config.ts'
import { excessAtEnd, type Found, paysFromAll, wholeOver } from './estimates.ts'
import { type Cell, shapeOf } from './measure.ts'

type Rows = readonly Found[]

const bands = 'Bands: one standard error over grammars.'
const plateau = (rows: Rows, level: number): number =>
  overReplicas(rows, (own) => own[0]!.plateaus[level]!).value

/** Every second P from the last on, so that lines keep apart. */
const someCounts = (rows: Rows): Found[] => {
  const counts = [...new Set(column(rows, 'samples'))].sort((a, b) => b - a)
  return rows
    .filter(({ samples }) => counts.indexOf(samples) % 2 === 0)
    .toSorted((a, b) => a.samples - b.samples)
}

const contextChart = (rows: Rows, network: Cell['network'], { s }: Config): (() => Figure) =>
  chart(someCounts(rows), {
    name: `contexts-${network}`,
    title: `What more context is worth: ${networkNames[network]}`,
    caption: `Least test loss on the way of training against the number of tokens that the network sees before the last, for several numbers P of training strings. ${bands} Dashed: the exact plateaus of these grammars, which endless data afford.`,
    ...{ x: ({ level }) => s ** level - 1, y: 'loss', xScale: 'log', marks: 'dots', labels: 'beside' },
    ...{ xLabel: 'context (tokens)', yLabel: 'loss (nats)', series: 'samples' },
    seriesName: (P) => `P = ${P}`,
    theory: [
      {
        name: 'exact',
        at: levelsOf(rows).map((level) => s ** level - 1),
        y: (t, own) => plateau(own, Math.round(Math.log(t + 1) / Math.log(s))),
      },
    ],
  })

const lossChart = (rows: Rows, network: Cell['network'], { s }: Config): (() => Figure) =>
  chart(rows, {
    name: `loss-${network}`,
    title: `From how many strings on a context pays: ${networkNames[network]}`,
    caption: `Least test loss on the way of training against the number P of training strings, for networks that see the last s^ℓ tokens, the last of them masked. ${bands} Dotted: the exact plateaus of these grammars.`,
    ...{ x: 'samples', y: 'loss', series: 'level', xScale: 'log', marks: 'dots' },
    ...{ xLabel: 'training strings P', yLabel: 'loss (nats)' },
    seriesName: (level) => `context ${s ** Number(level) - 1}`,
    references: [0, ...levelsOf(rows)].map((level) => ({
      ...{ axis: 'y' as const, value: plateau(rows, level), label: `ℓ = ${level}` },
    })),
  })

/** A number that some grammars do not have is no number of all. */
const ofAll = (found: Estimate): Estimate => (found.missing ? { value: Number.NaN, error: null } : found)

/** Strings against the context that they make pay: the effective context, read from the other axis. */
function effectiveChart(rows: Rows, config: Config): (() => Figure)[] {
  const shape = shapeOf(config)
  const series = groupBy(rows, 'network').flatMap(({ key: { network }, rows: own }, hue) =>
    pointsOf(
      hue,
      networkNames[network],
      levelsOf(own).map((level) => [config.s ** level, ofAll(paysFromAll(own, level))] as const),
      (t) => levelThreshold(shape, kindOf(network), Math.round(Math.log(t) / Math.log(config.s))),
    ),
  )
  if (series.length === 0) return []
  const { beta } = exponents(shape)
  return [
    () =>
      lineChart({
        name: 'effective-context',
        title: 'Strings that an effective context takes',
        caption: `Training strings P at which a network that sees the last t* = s^ℓ tokens, the last of them masked, is half way from plateau ℓ − 1 to ℓ: with fewer, more context than s^(ℓ−1) − 1 is of no use. ${bands} Dashed: the thresholds of theory, v m^(2ℓ−1) of attention and v m^(ℓ+1) of the CNN (v m at ℓ = 1), over 1 − f, through the mean of the points; strings that grow as t^(2β), β = ${beta.toFixed(2)}, are an effective context that grows as P^(1/(2β)). A context that not every grammar's network makes use of has no point.`,
        ...{ xLabel: 'effective context t*', yLabel: 'training strings P', xScale: 'log', yScale: 'log' },
        series,
      }),
  ]
}

export const chartsOf = (rows: Rows, config: Config): (() => Figure)[] => [
  ...effectiveChart(rows, config),
  ...groupBy(rows, 'network').flatMap(({ key: { network }, rows: own }) => [
    contextChart(own, network, config),
    lossChart(own, network, config),
  ]),
]

export const tablesOf = (rows: Rows, config: Config): ReportTable[] =>
  groupBy(rows, 'network').map(({ key: { network }, rows: all }) =>
    table(all, {
      title: `Contexts, ${networkNames[network]}`,
      by: ['level'],
      columns: {
        context: (_, { level }) => String(config.s ** level - 1),
        'exact plateau': (_, { level }) =>
          shownEstimate(overReplicas(all, (own) => own[0]!.plateaus[level]!)),
        'pays from P': (_, { level }) => shownWhole(paysFromAll(all, level)),
        'theory (no prefactor)': (_, { level }) =>
          shownWhole({ value: levelThreshold(shapeOf(config), kindOf(network), level), error: null }),
        'with whole strings, over it': (_, { level }) => wholeOver(all, level),
        'at the largest P beyond exact, over the worth of level 1': (_, { level }) => excessAtEnd(all, level),
        'least loss': (_, { level }) =>
          overReplicas(where(all, { level }), (own) => Math.min(...column(own, 'loss'))),
      },
    }),
  )
