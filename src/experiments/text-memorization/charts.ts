/** @file The figures and tables of `text-memorization`. */
import { type Figure, groupBy, type Measured, type ReportTable } from '../../lab/index.ts'
import { common, copyCharts, copyMaps, lossChart, timesChart } from '../onset/charts.ts'
import { timeColumns, timesTable } from '../onset/findings.ts'
import { type FoundHalves, halvesChart } from '../onset/halves.ts'
import { onsetKinds } from '../onset/times.ts'
import type { Cell, CurveRow, PassageRow } from './measure.ts'

export type CurveFound = Measured<Cell, CurveRow>

/** The shares of copies above chance that count as the onset of memorization. */
export const copyOnsets = [0.02, 0.1] as const

/** The times that are held against P. */
export const kinds = onsetKinds<CurveFound>(copyOnsets)

export interface Parts {
  readonly curves: readonly CurveFound[]
  readonly passages: readonly Measured<Cell, PassageRow>[]
  readonly halves: readonly FoundHalves[]
}

const bars = 'Bands and bars: one standard error over draws of windows.'

function curveCharts(rows: readonly CurveFound[]): (() => Figure)[] {
  const seen = common(rows)
  return [
    timesChart(rows, kinds, {
      ...{ fits: kinds.length, data: 'training windows' },
      caption: `Steps of each number of training windows P; networks that have not come so far are left out. Dashed: fitted powers, where three P have the time in every draw. Pale: proportional to P. ${bars}`,
    }),
    lossChart(seen, {
      caption: `Bound on the loss, nats a character, on fixed masks: of held-out windows (solid), and of the training windows (dashed). ${bars}`,
      yLabel: 'nats a character',
    }),
    ...copyCharts(seen, {
      ...{ onsets: copyOnsets, bars, datum: 'training window' },
      caption:
        'Share of generated windows of which a long part stands word for word in a training window, less the share of held-out windows of which that is so.',
    }),
    ...copyMaps(rows, { onset: copyOnsets[0], domain: [0, 0.15] }),
  ]
}

export const chartsOf = ({ curves, halves }: Parts): (() => Figure)[] => [
  ...(curves.length > 0 ? curveCharts(curves) : []),
  ...(halves.length > 0
    ? [
        halvesChart(halves, {
          caption: `Share of characters that two networks, trained on disjoint sets of P windows, generate alike from the same noise (solid), and from noise of their own (dashed). What they share is what they know of the language; memories are their own. ${bars}`,
          yLabel: 'characters alike',
        }),
      ]
    : []),
]

/** A passage with its copied part in brackets. */
const marked = ({ text, from, length }: PassageRow): string =>
  `${text.slice(0, from)}[${text.slice(from, from + length)}]${text.slice(from + length)}`

export const tablesOf = ({ curves, passages }: Parts): ReportTable[] => [
  ...(curves.length > 0 ? [timesTable(curves, timeColumns(kinds))] : []),
  ...(passages.length > 0
    ? [
        {
          title: 'Generated passages with the longest copies, in brackets',
          columns: ['P', 'step', 'passage', 'characters'],
          verbatim: ['passage'],
          rows: groupBy(passages, 'P')
            .sort((a, b) => a.key.P - b.key.P)
            .flatMap(({ rows }) => rows.map((row) => [row.P, row.step, marked(row), row.length])),
        },
      ]
    : []),
]
