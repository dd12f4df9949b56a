/** @file The figures and tables of memorization. */
import {
  chart,
  type Figure,
  geometricMeanOverReplicas,
  groupBy,
  heatMap,
  type LineSeries,
  lineChart,
  meanAcross,
  overReplicas,
  pointOf,
  type ReportTable,
  shownEstimate,
  shownWhole,
  table,
} from '../../lab/index.ts'
import type { Cell } from './cells.ts'
import type { HalvesRow, KernelRow } from './measure.ts'
import { type PrototypeFound, prototypeCharts, prototypeTables } from './prototypeFindings.ts'
import {
  affordable,
  bestLook,
  type CurveFound,
  copyTime,
  countsOf,
  type Found,
  kernelExponent,
  learnedShare,
  onsets,
  type PowerLaw,
  powerLaw,
  ruleTime,
  validationTime,
} from './times.ts'

const bars = 'Bands and bars: one standard error over grammars.'
const stepsAxis = { x: 'step', xLabel: 'steps', xScale: 'log' } as const
const heightsOf = (rows: readonly CurveFound[]): number[] =>
  Array.from({ length: rows[0]!.validity.length }, (_, i) => i + 1)

/** Looks that every network of a P had: later ones would be means over fewer. */
const common = (rows: readonly CurveFound[]): CurveFound[] =>
  countsOf(rows).flatMap(({ rows: own }) => {
    const replicas = new Set(own.map(({ seed, replica }) => `${seed} ${replica}`)).size
    return groupBy(own, 'step').flatMap((at) => (at.rows.length === replicas ? at.rows : []))
  })

function curveCharts(rows: readonly CurveFound[]): (() => Figure)[] {
  const seen = common(rows)
  const byCount = { series: 'P', seriesName: (P: string | number) => `P = ${P}` } as const
  return [
    chart(seen, {
      name: 'losses',
      title: 'Validation loss turns, training loss goes on',
      caption: `Loss of one step back, nats a token, on fixed noise: of strings that are not trained on (solid), and of the training strings (dashed). ${bars}`,
      ...{ ...stepsAxis, y: 'validationLoss', yLabel: 'loss', ...byCount },
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
    }),
    chart(seen, {
      name: 'copies',
      title: 'Copies',
      caption: `Share of generated strings that are training strings, less the share of training strings among all legal ones times the legal share. Dotted: ${onsets.join(' and ')}, the onsets of memorization. ${bars}`,
      ...{ ...stepsAxis, y: 'copies', yLabel: 'copies above chance', ...byCount },
      references: onsets.map((value) => ({ axis: 'y' as const, value, label: '' })),
    }),
    chart(seen, {
      name: 'copies-rescaled',
      title: 'The same on steps over P',
      caption: `Copies above chance against steps for each training string: the curves meet where τ_mem grows as P. ${bars}`,
      ...{ x: (row) => row.step / row.P, xLabel: 'steps / P', xScale: 'log' },
      ...{ y: 'copies', yLabel: 'copies above chance', ...byCount },
    }),
  ]
}

const fitted = (law: PowerLaw | undefined, hue: number): LineSeries[] =>
  law
    ? [
        {
          ...{ name: `P^${law.exponent.value.toFixed(2)}`, hue, dashed: true },
          points: [law.counts[0]!, law.counts.at(-1)!].map((P) => ({
            x: P,
            y: law.factor * P ** law.exponent.value,
          })),
        },
      ]
    : []

/** Times against P: of copies, of the least validation loss, and of the levels' rules. */
function timesChart(rows: readonly CurveFound[]): () => Figure {
  const kinds: [string, (looks: readonly CurveFound[]) => number][] = [
    ...onsets.map((share): [string, (looks: readonly CurveFound[]) => number] => [
      `copies ${share * 100} %`,
      (looks) => copyTime(looks, share),
    ]),
    ['least validation loss', validationTime],
    ...heightsOf(rows)
      .slice(0, 2)
      .map((height): [string, (looks: readonly CurveFound[]) => number] => [
        `level ${height} half learned`,
        (looks) => ruleTime(looks, height),
      ]),
  ]
  const ends = [countsOf(rows)[0]!.P, countsOf(rows).at(-1)!.P]
  const first = powerLaw(rows, kinds[0]![1])
  return () =>
    lineChart({
      name: 'times',
      title: 'When it memorizes, and when it learns',
      caption: `Steps of each number of training strings P; networks that have not come so far are left out. Dashed: fitted powers, where three P have the time in every grammar. Pale: proportional to P. ${bars}`,
      ...{ xLabel: 'training strings P', yLabel: 'steps', xScale: 'log', yScale: 'log' },
      series: [
        ...kinds.map(
          ([name, time], hue): LineSeries => ({
            ...{ name, hue, scatter: true },
            points: countsOf(rows).map(({ P, rows: own }) =>
              pointOf(P, geometricMeanOverReplicas(own, time)),
            ),
          }),
        ),
        ...kinds.slice(0, onsets.length + 1).flatMap(([, time], hue) => fitted(powerLaw(rows, time), hue)),
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

/** A_ℓ at the least validation loss. */
function levelsChart(rows: readonly CurveFound[]): () => Figure {
  const best = groupBy(rows, 'P', 'replica', 'seed').map(({ rows: own }) => bestLook(own))
  const found = heightsOf(rows).flatMap((height) =>
    best.map((row) => ({ ...row, height, share: learnedShare(row, height) })),
  )
  return chart(found, {
    name: 'levels',
    title: 'What is known when one should stop',
    caption: `Share of legal nodes at each height of what is generated, at the least validation loss; 0 is what random strings have. Dotted: P*_ℓ, from which a level can be learned: v m/(1 − f), then v m^(ℓ+1)/(1 − f). ${bars}`,
    ...{ x: 'P', xLabel: 'training strings P', xScale: 'log', marks: 'dots' },
    ...{ y: 'share', yLabel: '(A_ℓ − A_0)/(1 − A_0)', yDomain: [-0.05, 1.05] },
    ...{ series: 'height', seriesName: (height: string | number) => `ℓ = ${height}` },
    references: heightsOf(rows)
      .map((height) => ({ axis: 'x' as const, value: affordable(rows[0]!, height), label: `P*_${height}` }))
      .filter(({ value }) => value <= 1.2 * Math.max(...rows.map(({ P }) => P))),
  })
}

/** Copies and rules over P and steps, with the lines of theory. */
function phaseCharts(rows: readonly CurveFound[]): (() => Figure)[] {
  const counts = countsOf(rows).map(({ P }) => P)
  const steps = [...new Set(rows.map(({ step }) => step))].sort((a, b) => a - b)
  if (counts.length < 2) return []
  const law = powerLaw(rows, (looks) => copyTime(looks, onsets[0]))
  const map = (value: (row: CurveFound) => number): (number | null)[][] =>
    steps.map((step) =>
      counts.map((P) => {
        const at = rows.filter((row) => row.P === P && row.step === step)
        return at.length === 0 ? null : overReplicas(at, ([row]) => value(row!)).value
      }),
    )
  const overlays = [
    ...(law
      ? [
          {
            name: 'τ_mem',
            points: counts.map((P) => ({
              x: Math.log2(P),
              y: Math.log2(law.factor * P ** law.exponent.value),
            })),
          },
        ]
      : []),
    ...heightsOf(rows)
      .slice(0, 2)
      .map((height) => ({
        ...{ name: `level ${height} half learned`, dashed: true },
        points: countsOf(rows).flatMap(({ P, rows: own }) => {
          const { value } = geometricMeanOverReplicas(own, (looks) => ruleTime(looks, height))
          return Number.isFinite(value) ? [{ x: Math.log2(P), y: Math.log2(value) }] : []
        }),
      }))
      .filter(({ points }) => points.length > 1),
  ]
  const axes = {
    ...{
      x: counts.map(Math.log2),
      y: steps.map(Math.log2),
      xLabel: 'P, as a power of 2',
      yLabel: 'steps, as a power of 2',
    },
    overlays,
  }
  return [
    () =>
      heatMap({
        name: 'phase-copies',
        title: 'Phase diagram: memory',
        caption:
          'Copies above chance for each P and number of steps; empty where training had ended. Line: the fitted τ_mem; dashed: where half of a level is learned.',
        ...{
          ...axes,
          values: map(({ copies }) => copies),
          valueLabel: 'copies above chance',
          domain: [0, 0.1],
        },
      }),
    () =>
      heatMap({
        name: 'phase-rules',
        title: 'Phase diagram: rules',
        caption:
          'Share of level 1 that is learned, for each P and number of steps; lines as before. Between the dashed lines and τ_mem a network knows rules and copies nothing.',
        ...{
          ...axes,
          values: map((row) => learnedShare(row, 1)),
          valueLabel: '(A_1 − A_0)/(1 − A_0)',
          domain: [0, 1],
        },
      }),
  ]
}

const halvesChart = (rows: readonly Found<HalvesRow>[]): (() => Figure) =>
  chart(rows, {
    name: 'halves',
    title: 'Two networks that have seen nothing alike',
    caption: `Share of tokens that two networks, trained on disjoint sets of P strings, generate alike from the same noise (solid), and from noise of their own (dashed). What they share is what they know of the grammar; memories are their own. ${bars}`,
    ...{ ...stepsAxis, y: 'agreement', yLabel: 'tokens alike', series: 'P', seriesName: (P) => `P = ${P}` },
    more: groupBy(rows, 'P').map(
      ({ rows: own }, hue): LineSeries => ({
        ...{ name: '', hue, dashed: true },
        points: groupBy(own, 'step').map(({ key, rows: at }) =>
          pointOf(
            key.step,
            meanAcross(at, ({ unpaired }) => unpaired),
          ),
        ),
      }),
    ),
  })

const kernelChart = (rows: readonly Found<KernelRow>[]): (() => Figure) =>
  chart(rows, {
    name: 'kernel',
    title: 'Why proportional to P: a kernel in closed form',
    caption: `Time at which gradient flow of kernel regression has fitted half of the energy of labels, on P random points in 8 dimensions, by a kernel that tells points apart and shares their coordinates: labels at random (exponent ${shownEstimate(kernelExponent(rows, 'random'))}; they live in the bulk of the spectrum, of size K(0)/P), and a smooth label (dashed; exponent ${shownEstimate(kernelExponent(rows, 'smooth'))}). ${bars}`,
    ...{
      x: 'P',
      xLabel: 'points P',
      xScale: 'log',
      y: 'random',
      yLabel: 'time',
      yScale: 'log',
      marks: 'dots',
    },
    series: () => 'random labels',
    more: [
      {
        ...{ name: 'a smooth label', hue: 1, dashed: true },
        points: groupBy(rows, 'P').map(({ key, rows: at }) =>
          pointOf(
            key.P,
            meanAcross(at, ({ smooth }) => smooth),
          ),
        ),
      },
    ],
  })

export interface Parts {
  /** Of the setting itself. */
  readonly curves: readonly CurveFound[]
  /** Of other widths and numbers of rules. */
  readonly others: readonly CurveFound[]
  readonly halves: readonly Found<HalvesRow>[]
  readonly kernel: readonly Found<KernelRow>[]
  readonly prototypes: readonly PrototypeFound[]
}

export const chartsOf = ({ curves, halves, kernel, prototypes }: Parts): (() => Figure)[] => [
  ...(curves.length > 0
    ? [timesChart(curves), ...curveCharts(curves), levelsChart(curves), ...phaseCharts(curves)]
    : []),
  ...(halves.length > 0 ? [halvesChart(halves)] : []),
  ...(kernel.length > 0 ? [kernelChart(kernel)] : []),
  ...prototypeCharts(prototypes),
]

const settingOf = ({ m, width, P }: Cell): string => `m = ${m}, width ${width}, P = ${P}`

const timeText = (rows: readonly CurveFound[], time: (looks: readonly CurveFound[]) => number): string => {
  const found = geometricMeanOverReplicas(rows, time)
  if (!Number.isFinite(found.value)) return `> ${Math.max(...rows.map(({ step }) => step))}`
  return `${shownWhole(found)}${found.missing ? ` (${found.missing} not yet)` : ''}`
}

/** Times and levels of one P of one setting. */
const columns = (heights: readonly number[]) => ({
  'copies 2 %': (rows: readonly CurveFound[]) => timeText(rows, (looks) => copyTime(looks, onsets[0])),
  'copies 5 %': (rows: readonly CurveFound[]) => timeText(rows, (looks) => copyTime(looks, onsets[1])),
  'least validation loss': (rows: readonly CurveFound[]) => timeText(rows, validationTime),
  ...Object.fromEntries(
    heights.map((height) => [
      `level ${height} there`,
      (rows: readonly CurveFound[]) => overReplicas(rows, (looks) => learnedShare(bestLook(looks), height)),
    ]),
  ),
  'level 1 half learned': (rows: readonly CurveFound[]) => timeText(rows, (looks) => ruleTime(looks, 1)),
})

export function tablesOf({ curves, others, prototypes }: Parts): ReportTable[] {
  if (curves.length === 0) return prototypeTables(prototypes)
  const kinds = columns(heightsOf(curves))
  const named =
    others.length > 0 ? [...curves.filter(({ P }) => others.some((row) => row.P === P)), ...others] : []
  return [
    table(
      [...curves].sort((a, b) => a.P - b.P),
      { title: 'Times of each P, in steps', by: ['P'], columns: kinds },
    ),
    ...(named.length > 0
      ? [
          table(
            named.map((row) => ({ ...row, setting: settingOf(row) })),
            { title: 'What moves them', by: ['setting'], columns: columns([1, 2]) },
          ),
        ]
      : []),
    ...prototypeTables(prototypes),
  ]
}
