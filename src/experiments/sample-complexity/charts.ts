/** @file The figures: learning curves, their collapse, the law, synonyms, and what the CNN is compared with. */
import {
  chart,
  distinct,
  type Figure,
  groupBy,
  type LineSeries,
  lineChart,
  meanAcross,
  pointOf,
  type RowChart,
  shownEstimate,
  where,
} from '../../lab/index.ts'
import { chanceOf, type Sizes, scaleOf, stringsOf } from './cells.ts'
import {
  type Collapse,
  type Estimates,
  type Found,
  heightOf,
  learned,
  ofChance,
  sameGrammar,
  settingsOf,
  threshold,
} from './estimates.ts'

export const settingName = ({ m, L }: Sizes): string => `m = ${m}, L = ${L}`

const scaledP = (row: Found): number => row.P / scaleOf(row)
const overChance = (row: Found): number => heightOf(row) / chanceOf(row)
const errorBars = 'Bands: one standard error over grammars.'

/** Axes of most figures. */
const onScale = { x: scaledP, xLabel: 'P / (n_c·m^L)', xScale: 'log', marks: 'dots' } as const
const errorOnScale = {
  ...onScale,
  ...{ y: overChance, yLabel: 'error / chance', yDomain: [0, 1.05] },
} satisfies Partial<RowChart<Found>>
const tenth = { axis: 'y', value: learned.deep, label: 'a tenth of chance' } as const

/** A dashed line in a colour of another. */
const dashedLine = (
  rows: readonly Found[],
  name: string,
  hue: number,
  x: (row: Found) => number = scaledP,
): LineSeries => ({
  ...{ name, hue, dashed: true, dots: true },
  points: groupBy(rows, 'P')
    .map(({ rows: at }) => pointOf(x(at[0]!), meanAcross(at, overChance)))
    .sort((a, b) => a.x - b.x),
})

const apart = ({ before, after }: Collapse): string =>
  Number.isNaN(after.value)
    ? ''
    : ` At equal height the curves lie apart by a factor of ${shownEstimate(before)} in P before rescaling, ${shownEstimate(after)} after (standard deviation of ln P, as a factor).`

function errorCharts({ cnn, errors, law }: Estimates): (() => Figure)[] {
  return [
    chart(cnn, {
      name: 'errors',
      title: 'Test error of the hierarchical CNN',
      caption: `Each line: grammars with m synonyms and L levels. Dotted: a tenth of chance, which defines P*. ${errorBars}`,
      ...{ x: 'P', y: heightOf, xLabel: 'training strings P', yLabel: 'test error', xScale: 'log' },
      ...{ yDomain: [0, 1], marks: 'dots', series: settingName },
      // the curves end near each other at zero
      labels: 'beside',
      references: [{ ...tenth, value: learned.deep * chanceOf(cnn[0]!) }],
    }),
    chart(cnn, {
      name: 'collapse',
      title: 'The same on P / (n_c·m^L)',
      caption: `Test error over that of guessing, against P in units of n_c·m^L.${apart(errors)} ${errorBars}`,
      ...errorOnScale,
      series: settingName,
      references: [
        tenth,
        ...(law
          ? [{ axis: 'x' as const, value: law.prefactor, label: `P* = ${law.prefactor.toFixed(1)} n_c·m^L` }]
          : []),
      ],
    }),
  ]
}

/** Thresholds against their scale, with the fitted line and the slope of theory. */
function lawChart({ cnn, law }: Estimates): (() => Figure)[] {
  if (!law) return []
  const { slope, prefactor } = law
  const points = settingsOf(cnn)
    .map(({ key, rows }) => pointOf(scaleOf(key), threshold(rows, ofChance(learned.deep))))
    .sort((a, b) => a.x - b.x)
  const ends = [points[0]!.x, points.at(-1)!.x]
  const measured = points.filter(({ y }) => y !== null).map(({ x }) => Math.log(x))
  const middle = Math.exp(measured.reduce((sum, x) => sum + x, 0) / measured.length)
  const line = (name: string, hue: number, y: (x: number) => number): LineSeries => ({
    ...{ name, hue, dashed: true },
    points: ends.map((x) => ({ x, y: y(x) })),
  })
  return [
    () =>
      lineChart({
        name: 'law',
        title: 'P* against n_c·m^L',
        caption: `P*: training strings at which the error falls below a tenth of chance (linear in ln P between the sizes measured). Fitted slope ${shownEstimate(slope)}; theory 1. Bars: one standard error over grammars.`,
        ...{ xLabel: 'n_c·m^L', yLabel: 'P*', xScale: 'log', yScale: 'log' },
        series: [
          { name: 'measured', hue: 0, scatter: true, points },
          line(`slope ${slope.value.toFixed(2)}`, 0, (x) => prefactor * middle * (x / middle) ** slope.value),
          line('P* = n_c·m^L', 1, (x) => x),
        ],
      }),
  ]
}

/** The setting whose layers are shown one by one: the hardest of depth 3, or else the hardest. */
const shownInDetail = (rows: readonly Found[]): Sizes =>
  settingsOf(rows)
    .map(({ key }) => key)
    .sort((a, b) => Number(b.L === 3) - Number(a.L === 3) || scaleOf(b) - scaleOf(a))[0]!

function synonymCharts({ cnn, secondLayer, sensitivities, invariance }: Estimates): (() => Figure)[] {
  const shown = shownInDetail(cnn)
  const heights = Array.from({ length: shown.L - 1 }, (_, i) => i + 1)
  const known = <R extends Found>(rows: readonly R[]): R[] => rows.filter(({ value }) => value !== null)
  const axes = { ...onScale, y: heightOf, yDomain: [0, 1.1] } as const
  const own = sameGrammar(shown)
  return [
    chart(known(secondLayer), {
      name: 'synonyms',
      title: 'The second layer learns what means the same',
      caption: `S_{2,1}: how far the second layer's answer moves when each pair of leaves is exchanged for a synonym, over how far it moves from one string to another. 1: synonyms are as different as anything; 0: they are the same.${apart(invariance.collapse)} ${errorBars}`,
      ...{ ...axes, yLabel: 'S_{2,1}', series: settingName },
    }),
    ...heights.map((height) =>
      chart(known(where(sensitivities, { ...own, height })), {
        name: `layers-${height}`,
        title: `Synonyms of height ${height}, layer by layer`,
        caption: `S_{k,${height}} of the layers k for ${settingName(shown)}: tuples of height ${height} are exchanged. Layers from k = ${height + 1} on become invariant, at the P at which the error (dashed, over chance) falls. ${errorBars}`,
        ...{ ...axes, yLabel: `S_{k,${height}}`, series: 'layer', seriesName: (k) => `k = ${k}` },
        more: [dashedLine(where(cnn, own), 'error', shown.L)],
      }),
    ),
  ]
}

/** The lazy network beside the CNN, in the hardest three settings. */
function lazyChart({ cnn, lazy }: Estimates): (() => Figure)[] {
  const pairs = settingsOf(lazy)
    .map(({ key, rows }) => ({ key, own: rows, deep: where(cnn, sameGrammar(key)) }))
    .filter(({ deep }) => deep.length > 0)
    .sort((a, b) => scaleOf(b.key) - scaleOf(a.key))
    .slice(0, 3)
  if (pairs.length === 0) return []
  return [
    chart(
      pairs.flatMap(({ deep }) => deep),
      {
        name: 'lazy',
        title: 'Features that cannot move',
        caption: `The same strings for the CNN (solid) and for regression with its tangent kernel (dashed): the lazy limit, in which no layer can become invariant to synonyms. ${errorBars}`,
        ...{ ...errorOnScale, series: settingName, seriesName: (name) => `CNN, ${name}` },
        references: [tenth],
        more: pairs.map(({ own, key }, hue) => dashedLine(own, `lazy, ${settingName(key)}`, hue)),
      },
    ),
  ]
}

const sizeName = ({ v }: Sizes): string => `v = m = n_c = ${v}`

function shallowCharts({ shallow, shallowLaw }: Estimates): (() => Figure)[] {
  const points = (y: (rows: readonly Found[], key: Sizes) => ReturnType<typeof threshold>) =>
    settingsOf(shallow)
      .map(({ key, rows }) => pointOf(stringsOf(key), y(rows, key)))
      .filter((point) => point.y !== null)
  const found = points((rows) => threshold(rows, ofChance(learned.shallow)))
  return [
    chart(shallow, {
      name: 'shallow',
      title: 'One hidden layer needs a share of all strings',
      caption: `Error of a network with one hidden layer over chance, L = 2, against the share of all strings it was trained on. Dotted: 0.7, which defines its threshold. ${errorBars}`,
      ...{ x: (row) => row.P / stringsOf(row), y: overChance, xLabel: 'P / all strings' },
      ...{ yLabel: 'error / chance', xScale: 'log', marks: 'dots', series: sizeName },
      references: [{ axis: 'y', value: learned.shallow, label: '0.7 of chance' }],
    }),
    ...(shallowLaw && found.length > 1
      ? [
          () =>
            lineChart({
              name: 'shallow-law',
              title: 'Shallow and deep thresholds',
              caption: `Strings that one hidden layer needs for an error of 0.7 of chance: slope ${shownEstimate(shallowLaw.slope)} against the number of all strings. Dashed: the scale n_c·m^L of deep networks for the same grammars. ${errorBars}`,
              ...{ xLabel: 'all strings', yLabel: 'P', xScale: 'log', yScale: 'log' },
              series: [
                { name: 'one hidden layer', dots: true, points: found },
                {
                  ...{ name: 'n_c·m^L', dashed: true, hue: 1 },
                  points: points((_, key) => ({ value: scaleOf(key), error: 0 })),
                },
              ],
            }),
        ]
      : []),
  ]
}

function correlationChart({ noise, correlations }: Estimates): () => Figure {
  const ends = [Math.min(...noise.map(scaledP)), Math.max(...noise.map(scaledP))]
  const size = distinct(noise, 'v').join(', ')
  return chart(noise, {
    name: 'correlations',
    title: 'Signal against noise, before any training',
    caption: `Sampling noise of the class frequencies of tuples, over the size of their true correlations (relative variances; v = n_c = ${size}), as P grows. They are equal at P = ${correlations ? correlations.prefactor.toFixed(2) : '–'} n_c·m^L; theory (dashed): n_c·m^L / P. ${errorBars}`,
    ...{ ...onScale, y: heightOf, yLabel: 'noise² / signal²', yScale: 'log', series: settingName },
    references: [{ axis: 'y', value: 1, label: 'noise = signal' }],
    theory: [{ name: 'theory', y: (x) => 1 / x, at: ends }],
  })
}

function controlChart({ control }: Estimates): () => Figure {
  const name = ({ v, L }: Sizes): string => `v = ${v}, L = ${L}`
  const uncorrelated = settingsOf(where(control, { rules: 'uncorrelated' }))
  return chart(where(control, { rules: 'random' }), {
    name: 'control',
    title: 'Without correlations, nothing is learned',
    caption: `The CNN on random rules (solid), and on rules of the same sizes whose tuples are equally likely in every class (dashed): where a part tells nothing of the class, data do not help. ${errorBars}`,
    ...{ ...onScale, y: overChance, yLabel: 'error / chance' },
    ...{ series: name, seriesName: (sizes) => `random, ${sizes}` },
    references: [{ axis: 'y', value: 1, label: 'chance' }],
    more: uncorrelated.map(({ key, rows }, hue) => dashedLine(rows, `uncorrelated, ${name(key)}`, hue)),
  })
}

/** Figures of the parts that were measured. */
export function chartsOf(found: Estimates): (() => Figure)[] {
  return [
    ...(found.cnn.length > 0 ? [...errorCharts(found), ...lawChart(found), ...synonymCharts(found)] : []),
    ...(found.noise.length > 0 ? [correlationChart(found)] : []),
    ...lazyChart(found),
    ...(found.shallow.length > 0 ? shallowCharts(found) : []),
    ...(found.control.length > 0 ? [controlChart(found)] : []),
  ]
}
