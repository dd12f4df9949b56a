/** @file The figures and tables of `image-memorization`. */
import {
  type Figure,
  gallery,
  geometricMeanOverReplicas,
  groupBy,
  type LineSeries,
  lineChart,
  type Measured,
  pointOf,
  type ReportTable,
  shownEstimate,
  table,
} from '../../lab/index.ts'
import { common, copyCharts, copyMaps, fitted, lossChart, timesChart, timeText } from '../onset/charts.ts'
import { timeColumns, timesTable } from '../onset/findings.ts'
import { type FoundHalves, halvesChart } from '../onset/halves.ts'
import { countsOf, type Kind, onsetKinds, powerLaw, validationTime } from '../onset/times.ts'
import type { Cell, CurveRow, PairRow } from './measure.ts'
import { type VariantName, wordsOf } from './variants.ts'

type CurveFound = Measured<Cell, CurveRow>

/** The shares of copies above chance that count as the onset of memorization. */
export const copyOnsets = [0.05, 0.2] as const

/** The times that are held against P. */
export const kinds = onsetKinds<CurveFound>(copyOnsets)

const wholeTime = (looks: readonly CurveFound[]): number =>
  validationTime(looks.map((look) => ({ ...look, validationLoss: look.wholeLoss })))

export interface Parts {
  /** Of the recipe. */
  readonly curves: readonly CurveFound[]
  /** Of other ways to train. */
  readonly others: readonly CurveFound[]
  readonly pairs: readonly Measured<Cell, PairRow>[]
  readonly halves: readonly FoundHalves[]
}

const bars = 'Bands and bars: one standard error over draws of images.'

function curveCharts(rows: readonly CurveFound[]): (() => Figure)[] {
  const seen = common(rows)
  return [
    timesChart(rows, kinds, {
      ...{ fits: kinds.length, data: 'training images' },
      caption: `Steps of each number of training images P; networks that have not come so far are left out. Dashed: fitted powers, where three P have the time in every draw. Pale: proportional to P. ${bars}`,
    }),
    lossChart(seen, {
      caption: `Squared error of a pixel over the early times of the config, on fixed noise: of test images (solid), and of the training images (dashed). ${bars}`,
      yLabel: 'squared error',
    }),
    ...copyCharts(seen, {
      ...{ onsets: copyOnsets, bars, datum: 'training image' },
      caption:
        'Share of generated images whose nearest training image is less than a third as far as the next, less the share of test images of which that is so.',
    }),
  ]
}

/** Copies and the validation loss over P and steps. */
function phaseCharts(rows: readonly CurveFound[]): (() => Figure)[] {
  const least = new Map(
    countsOf(rows).map(({ P, rows: own }) => [
      P,
      Math.min(...own.map(({ validationLoss }) => validationLoss)),
    ]),
  )
  return copyMaps(rows, {
    onset: copyOnsets[0],
    domain: [0, 0.25],
    more: [
      {
        name: 'phase-validation',
        title: 'Phase diagram: what new images cost',
        caption:
          'Validation loss over its least of the same P, as a difference of logarithms; lines as before. Below the dashed line the network still learns what new images share.',
        value: ({ P, validationLoss }) => Math.log(validationLoss / least.get(P)!),
        ...{ valueLabel: 'ln loss / least', domain: [0, 0.7] },
      },
    ],
  })
}

/** One time of every way to train against P. */
function variantChart(rows: readonly CurveFound[], [name, time]: Kind<CurveFound>): () => Figure {
  const groups = groupBy(rows, 'variant')
  return () =>
    lineChart({
      name: name.startsWith('copies') ? 'variants-copies' : 'variants-validation',
      title: `What moves the exponent: ${name}`,
      caption: `Steps of ${name} against P, by the way to train. Dashed: fitted powers. ${bars}`,
      ...{ xLabel: 'training images P', yLabel: 'steps', xScale: 'log', yScale: 'log' },
      series: groups.flatMap(({ key, rows: own }, hue): LineSeries[] => [
        {
          ...{ name: wordsOf(key.variant), hue, scatter: true },
          points: countsOf(own).map(({ P, rows: at }) => pointOf(P, geometricMeanOverReplicas(at, time))),
        },
        ...fitted(powerLaw(own, time), hue, ''),
      ]),
    })
}

/** Generated images beside the training images they are nearest to. */
const pairsChart = (
  pairs: readonly Measured<Cell, PairRow>[],
  when: PairRow['when'],
  words: string,
): (() => Figure) => {
  const own = pairs.filter((row) => row.when === when).sort((a, b) => a.P - b.P || a.ratio - b.ratio)
  return () =>
    gallery({
      name: `pairs-${when}`,
      title: `Generated images and what they are nearest to, ${words}`,
      caption:
        'Of each P the generated images that are most like copies, each followed by its nearest training image. The number is its distance over that of the next nearest; below 1/3 it counts as a copy.',
      ...{ columns: 8, inverted: true },
      items: own.flatMap(({ P, step, ratio, width, height, channels, generated, nearest }) => {
        const size = { width, height, channels: channels === 3 ? (3 as const) : (1 as const) }
        return [
          { title: `P = ${P}`, subtitle: `step ${step}`, image: { ...size, pixels: generated } },
          { title: ratio.toFixed(2), subtitle: 'nearest', image: { ...size, pixels: nearest } },
        ]
      }),
    })
}

export const chartsOf = ({ curves, others, pairs, halves }: Parts): (() => Figure)[] => [
  ...(curves.length > 0 ? [...curveCharts(curves), ...phaseCharts(curves)] : []),
  ...(others.length > 0
    ? [kinds[0]!, kinds.at(-1)!].map((kind) => variantChart([...curves, ...others], kind))
    : []),
  ...(pairs.length > 0
    ? [
        pairsChart(pairs, 'best', 'at the least validation loss'),
        pairsChart(pairs, 'end', 'at the end of training'),
      ]
    : []),
  ...(halves.length > 0
    ? [
        halvesChart(halves, {
          caption: `Cosine of images, each less the mean image, that two networks trained on disjoint sets of P images generate from the same noise (solid), and from noise of their own (dashed). What they share is what they know of all images; memories are their own. ${bars}`,
          yLabel: 'cosine',
        }),
      ]
    : []),
]

const exponentTable = (rows: readonly CurveFound[]): ReportTable => ({
  title: 'Exponents in P by the way to train',
  columns: ['training', 'P', ...kinds.map(([name]) => name)],
  rows: groupBy(rows, 'variant').map(({ key, rows: own }) => [
    wordsOf(key.variant as VariantName),
    countsOf(own)
      .map(({ P }) => P)
      .join(', '),
    ...kinds.map(([, time]) => {
      const law = powerLaw(own, time)
      return law ? `${shownEstimate(law.exponent)} (${law.counts.length} P)` : '–'
    }),
  ]),
})

const columns = {
  ...timeColumns(kinds),
  'least loss of all times': (rows: readonly CurveFound[]) => timeText(rows, wholeTime),
}

export const tablesOf = ({ curves, others }: Parts): ReportTable[] => [
  ...(curves.length > 0 ? [timesTable(curves, columns)] : []),
  ...(others.length > 0
    ? [
        exponentTable([...curves, ...others]),
        table(
          [...others]
            .sort((a, b) => a.P - b.P)
            .map((row) => ({ ...row, training: `${wordsOf(row.variant)}, P = ${row.P}` })),
          { title: 'Times of other ways to train, in steps', by: ['training'], columns },
        ),
      ]
    : []),
]
