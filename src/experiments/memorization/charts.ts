/** @file The figures and tables of memorization. */
import {
  chart,
  type Figure,
  groupBy,
  meanAcross,
  overReplicas,
  pointOf,
  type ReportTable,
  shownEstimate,
  table,
} from '../../lab/index.ts'
import { common, copyCharts, lossChart, phaseMaps, timesChart, timeText } from '../onset/charts.ts'
import { timesTable } from '../onset/findings.ts'
import { type FoundHalves, halvesChart } from '../onset/halves.ts'
import { bestLook, copyTime, type Kind, powerLaw, validationTime } from '../onset/times.ts'
import type { Cell } from './cells.ts'
import type { KernelRow } from './measure.ts'
import { type PrototypeFound, prototypeCharts, prototypeTables } from './prototypeFindings.ts'
import {
  affordable,
  type CurveFound,
  type Found,
  kernelExponent,
  learnedShare,
  onsets,
  ruleTime,
} from './times.ts'

const bars = 'Bands and bars: one standard error over grammars.'
const heightsOf = (rows: readonly CurveFound[]): number[] =>
  Array.from({ length: rows[0]!.validity.length }, (_, i) => i + 1)

function curveCharts(rows: readonly CurveFound[]): (() => Figure)[] {
  const seen = common(rows)
  return [
    lossChart(seen, {
      caption: `Loss of one step back, nats a token, on fixed noise: of strings that are not trained on (solid), and of the training strings (dashed). ${bars}`,
      yLabel: 'loss',
    }),
    ...copyCharts(seen, {
      ...{ onsets, bars, datum: 'training string' },
      caption:
        'Share of generated strings that are training strings, less the share of training strings among all legal ones times the legal share.',
    }),
  ]
}

/** When half of the rules of the lower levels are learned. */
const ruleKinds = (rows: readonly CurveFound[]): Kind<CurveFound>[] =>
  heightsOf(rows)
    .slice(0, 2)
    .map((height) => [`level ${height} half learned`, (looks) => ruleTime(looks, height)])

/** Times against P: of copies, of the least validation loss, and of the levels' rules. */
const allTimes = (rows: readonly CurveFound[]): (() => Figure) =>
  timesChart(
    rows,
    [
      ...onsets.map(
        (share): Kind<CurveFound> => [`copies ${share * 100} %`, (looks) => copyTime(looks, share)],
      ),
      ['least validation loss', validationTime],
      ...ruleKinds(rows),
    ],
    {
      ...{ fits: onsets.length + 1, data: 'training strings' },
      caption: `Steps of each number of training strings P; networks that have not come so far are left out. Dashed: fitted powers, where three P have the time in every grammar. Pale: proportional to P. ${bars}`,
    },
  )

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
const phaseCharts = (rows: readonly CurveFound[]): (() => Figure)[] =>
  phaseMaps(
    rows,
    powerLaw(rows, (looks) => copyTime(looks, onsets[0])),
    ruleKinds(rows),
    [
      {
        name: 'phase-copies',
        title: 'Phase diagram: memory',
        caption:
          'Copies above chance for each P and number of steps; empty where training had ended. Line: the fitted τ_mem; dashed: where half of a level is learned.',
        ...{ value: ({ copies }) => copies, valueLabel: 'copies above chance', domain: [0, 0.1] },
      },
      {
        name: 'phase-rules',
        title: 'Phase diagram: rules',
        caption:
          'Share of level 1 that is learned, for each P and number of steps; lines as before. Between the dashed lines and τ_mem a network knows rules and copies nothing.',
        ...{ value: (row) => learnedShare(row, 1), valueLabel: '(A_1 − A_0)/(1 − A_0)', domain: [0, 1] },
      },
    ],
  )

const halvesCaption = `Share of tokens that two networks, trained on disjoint sets of P strings, generate alike from the same noise (solid), and from noise of their own (dashed). What they share is what they know of the grammar; memories are their own. ${bars}`

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
  readonly halves: readonly FoundHalves[]
  readonly kernel: readonly Found<KernelRow>[]
  readonly prototypes: readonly PrototypeFound[]
}

export const chartsOf = ({ curves, halves, kernel, prototypes }: Parts): (() => Figure)[] => [
  ...(curves.length > 0
    ? [allTimes(curves), ...curveCharts(curves), levelsChart(curves), ...phaseCharts(curves)]
    : []),
  ...(halves.length > 0 ? [halvesChart(halves, { caption: halvesCaption, yLabel: 'tokens alike' })] : []),
  ...(kernel.length > 0 ? [kernelChart(kernel)] : []),
  ...prototypeCharts(prototypes),
]

const settingOf = ({ m, width, P }: Cell): string => `m = ${m}, width ${width}, P = ${P}`

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
    timesTable(curves, kinds),
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
