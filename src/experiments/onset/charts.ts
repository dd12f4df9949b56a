/** @file Figures of networks that begin to memorize: losses, copies, times against P, and phase diagrams. */
import {
  chart,
  type Figure,
  geometricMeanOverReplicas,
  groupBy,
  type HeatMap,
  heatMap,
  type LineSeries,
  lineChart,
  meanAcross,
  overReplicas,
  pointOf,
  shownWhole,
} from '../../lab/index.ts'
import {
  copyTime,
  countsOf,
  type Kind,
  type Looked,
  type PowerLaw,
  powerLaw,
  validationTime,
} from './times.ts'

export const stepsAxis = { x: 'step', xLabel: 'steps', xScale: 'log' } as const
const byCount = { series: 'P', seriesName: (P: string | number) => `P = ${P}` } as const

/** Looks that every network of a P had: later ones would be means over fewer. */
export const common = <R extends Looked>(rows: readonly R[]): R[] =>
  countsOf(rows).flatMap(({ rows: own }) => {
    const replicas = new Set(own.map(({ seed, replica }) => `${seed} ${replica}`)).size
    return groupBy(own, 'step').flatMap((at) => (at.rows.length === replicas ? at.rows : []))
  })

/** Validation losses against steps, and training losses dashed. */
export const lossChart = <R extends Looked & { readonly trainingLoss: number }>(
  seen: readonly R[],
  { caption, yLabel }: { readonly caption: string; readonly yLabel: string },
): (() => Figure) =>
  chart(seen, {
    name: 'losses',
    title: 'Validation loss turns, training loss goes on',
    caption,
    ...{ ...stepsAxis, y: 'validationLoss', yLabel, ...byCount },
    more: countsOf(seen).map(
      ({ rows: own }, hue): LineSeries => ({
        ...{ name: '', hue, dashed: true },
        points: groupBy(own, 'step').map(({ key, rows: at }) =>
          pointOf(
            key.step,
            meanAcross(at, ({ trainingLoss }) => trainingLoss),
          ),
        ),
      }),
    ),
  })

/** Copies against steps, and against steps for each of the data. */
export const copyCharts = <R extends Looked>(
  seen: readonly R[],
  {
    onsets,
    caption,
    bars,
    datum,
  }: {
    readonly onsets: readonly number[]
    readonly caption: string
    readonly bars: string
    readonly datum: string
  },
): (() => Figure)[] => [
  chart(seen, {
    name: 'copies',
    title: 'Copies',
    caption: `${caption} Dotted: ${onsets.join(' and ')}, the onsets of memorization. ${bars}`,
    ...{ ...stepsAxis, y: 'copies', yLabel: 'copies above chance', ...byCount },
    references: onsets.map((value) => ({ axis: 'y' as const, value, label: '' })),
  }),
  chart(seen, {
    name: 'copies-rescaled',
    title: 'The same on steps over P',
    caption: `Copies above chance against steps for each ${datum}: the curves meet where τ_mem grows as P. ${bars}`,
    ...{ x: (row) => row.step / row.P, xLabel: 'steps / P', xScale: 'log' },
    ...{ y: 'copies', yLabel: 'copies above chance', ...byCount },
  }),
]

/** A fitted power over its P, with its exponent beside it unless it has no `name`. */
export const fitted = (law: PowerLaw | undefined, hue: number, name?: string): LineSeries[] =>
  law
    ? [
        {
          ...{ name: name ?? `P^${law.exponent.value.toFixed(2)}`, hue, dashed: true },
          points: [law.counts[0]!, law.counts.at(-1)!].map((P) => ({
            x: P,
            y: law.factor * P ** law.exponent.value,
          })),
        },
      ]
    : []

/** Times against P: the first `fits` of them with their fitted powers, and a pale line of times proportional to P. */
export function timesChart<R extends Looked>(
  rows: readonly R[],
  kinds: readonly Kind<R>[],
  { fits, caption, data }: { readonly fits: number; readonly caption: string; readonly data: string },
): () => Figure {
  const ends = [countsOf(rows)[0]!.P, countsOf(rows).at(-1)!.P]
  const first = powerLaw(rows, kinds[0]![1])
  return () =>
    lineChart({
      name: 'times',
      title: 'When it memorizes, and when it learns',
      caption,
      ...{ xLabel: `${data} P`, yLabel: 'steps', xScale: 'log', yScale: 'log' },
      series: [
        ...kinds.map(
          ([name, time], hue): LineSeries => ({
            ...{ name, hue, scatter: true },
            points: countsOf(rows).map(({ P, rows: own }) =>
              pointOf(P, geometricMeanOverReplicas(own, time)),
            ),
          }),
        ),
        ...kinds.slice(0, fits).flatMap(([, time], hue) => fitted(powerLaw(rows, time), hue)),
        ...(first
          ? [
              {
                ...{ name: 'proportional to P', hue: kinds.length, faint: true, dashed: true },
                points: ends.map((P) => ({
                  x: P,
                  y: ((first.factor * first.counts[0]! ** first.exponent.value) / first.counts[0]!) * P,
                })),
              },
            ]
          : []),
      ],
    })
}

/** A line of times over a phase diagram. */
const phaseLine = <R extends Looked>(
  rows: readonly R[],
  [name, time]: Kind<R>,
): NonNullable<HeatMap['overlays']>[number] => ({
  ...{ name, dashed: true },
  points: countsOf(rows).flatMap(({ P, rows: own }) => {
    const { value } = geometricMeanOverReplicas(own, time)
    return Number.isFinite(value) ? [{ x: Math.log2(P), y: Math.log2(value) }] : []
  }),
})

/** A quantity over P and steps, with the line of a fitted τ_mem and dashed lines; none of a single P. */
export function phaseMaps<R extends Looked>(
  rows: readonly R[],
  law: PowerLaw | undefined,
  lines: readonly Kind<R>[],
  maps: readonly (Pick<HeatMap, 'name' | 'title' | 'caption' | 'valueLabel'> & {
    readonly domain?: readonly [number, number]
    readonly value: (row: R) => number
  })[],
): (() => Figure)[] {
  const counts = countsOf(rows).map(({ P }) => P)
  const steps = [...new Set(rows.map(({ step }) => step))].sort((a, b) => a - b)
  if (counts.length < 2) return []
  const valuesOf = (value: (row: R) => number): (number | null)[][] =>
    steps.map((step) =>
      counts.map((P) => {
        const at = rows.filter((row) => row.P === P && row.step === step)
        return at.length === 0 ? null : overReplicas(at, ([row]) => value(row!)).value
      }),
    )
  const fit = law && {
    name: 'τ_mem',
    points: counts.map((P) => ({ x: Math.log2(P), y: Math.log2(law.factor * P ** law.exponent.value) })),
  }
  const overlays = [
    ...(fit ? [fit] : []),
    ...lines.map((kind) => phaseLine(rows, kind)).filter(({ points }) => points.length > 1),
  ]
  return maps.map(
    ({ value, ...map }) =>
      () =>
        heatMap({
          ...map,
          ...{ x: counts.map(Math.log2), y: steps.map(Math.log2) },
          ...{ xLabel: 'P, as a power of 2', yLabel: 'steps, as a power of 2' },
          ...{ overlays, values: valuesOf(value) },
        }),
  )
}

/** Copies over P and steps, with the fitted τ_mem and the least validation loss, and more maps of that kind. */
export const copyMaps = <R extends Looked>(
  rows: readonly R[],
  {
    onset,
    domain,
    more = [],
  }: {
    readonly onset: number
    readonly domain: readonly [number, number]
    readonly more?: Parameters<typeof phaseMaps<R>>[3]
  },
): (() => Figure)[] =>
  phaseMaps(
    rows,
    powerLaw(rows, (looks) => copyTime(looks, onset)),
    [['least validation loss', validationTime]],
    [
      {
        name: 'phase-copies',
        title: 'Phase diagram: memory',
        caption:
          'Copies above chance for each P and number of steps; empty where training had ended. Line: the fitted τ_mem of the first onset; dashed: the least validation loss.',
        ...{ value: ({ copies }) => copies, valueLabel: 'copies above chance', domain },
      },
      ...more,
    ],
  )

/** A time for a table: a bound where it has not come in any network. */
export function timeText<R extends Looked>(
  rows: readonly R[],
  time: (looks: readonly R[]) => number,
): string {
  const found = geometricMeanOverReplicas(rows, time)
  if (!Number.isFinite(found.value)) return `> ${Math.max(...rows.map(({ step }) => step))}`
  return `${shownWhole(found)}${found.missing ? ` (${found.missing} not yet)` : ''}`
}
