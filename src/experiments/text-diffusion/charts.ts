/** @file Figures and tables of a network that learns to fill in a text. */
import {
  type Figure,
  type Findings,
  groupBy,
  type LineSeries,
  lineChart,
  meanAcross,
  pointOf,
  type ReportTable,
  shownEstimate,
  shownWhole,
} from '../../lab/index.ts'
import { bestByP, lengthOf, looksAt, lossOf, type OverlapFound, type Parts, rhoAt } from './estimates.ts'

const overSteps = { xLabel: 'steps', xScale: 'log' } as const
const lossLabel = 'loss (nats a character)'
const lengthLabel = 'coherence length ξ (characters)'

const inBits = (nats: number): number => nats / Math.LN2

/** Loss of the long training against steps. */
function lossChart({ losses, text }: Parts): Figure {
  return lineChart({
    name: 'loss',
    title: 'What is left to learn',
    caption: `Loss of held-out windows of ${text.title} in nats a character, with the same masks at every look: a bound on −ln p. Divided by ln 2 it is in bits. Bands: one standard error. Dashed: what the frequencies of single characters give.`,
    ...{ ...overSteps, yLabel: lossLabel },
    references: [{ axis: 'y', value: text.frequencies, label: 'frequencies' }],
    series: [
      {
        ...{ name: 'held-out text', dots: true },
        points: groupBy(losses, 'step').map(({ key, rows }) => pointOf(key.step, lossOf(rows))),
      },
    ],
  })
}

/** Beyond it an overlap says nothing between like and unlike, 1 and 0. */
const mostError = 0.3

const curve = (rows: readonly OverlapFound[]) =>
  groupBy(rows, 'r').flatMap(({ key, rows: own }) => {
    const rho = rhoAt(own, key.r)
    return rho.error === null || rho.error <= mostError ? [pointOf(key.r, rho)] : []
  })

/** Looks that are shown in one picture. */
const mostCurves = 6

function overlapChart({ overlaps, heldOut, shuffled, text }: Parts): Figure {
  const looks = looksAt(overlaps)
  const every = Math.ceil(looks.length / mostCurves)
  const shown = looks.filter((_, i) => (looks.length - 1 - i) % every === 0)
  return lineChart({
    name: 'overlap',
    title: 'How far generated text agrees',
    caption: `Overlap ρ(r) of the covariances of characters at distance r in generated windows with those of ${text.title}: 1 for text like it, 0 for text without its correlations. Bands: one standard error, leaving out one block of windows at a time. Held out: windows of text that was not trained on. Shuffled: the same characters in random order. Distances with an error above ${mostError} are left out.`,
    ...{ xLabel: 'distance r (characters)', yLabel: 'ρ(r)', labels: 'beside' },
    references: [{ axis: 'y', value: 0.5, label: '1/2' }],
    series: [
      ...shown.map(
        ({ step, rows }, hue): LineSeries => ({
          ...{ name: `${step.toLocaleString('en')} steps`, hue, dots: true },
          points: curve(rows),
        }),
      ),
      { name: 'held out', hue: mostCurves, dashed: true, points: curve(heldOut) },
      { name: 'shuffled', hue: mostCurves + 1, dashed: true, points: curve(shuffled) },
    ],
  })
}

function lengthChart({ overlaps }: Parts): Figure {
  return lineChart({
    name: 'length',
    title: 'Coherence grows with training',
    caption:
      'Coherence length ξ of generated text, the first distance at which its overlap with the text is below 1/2, against steps of training. Bands: one standard error, leaving out one block of windows at a time, or over networks.',
    ...{ ...overSteps, yLabel: lengthLabel },
    series: [
      {
        ...{ name: '', dots: true },
        points: looksAt(overlaps).map(({ step, rows }) => pointOf(step, lengthOf(rows))),
      },
    ],
  })
}

function dataLengthChart(parts: Parts): Figure {
  return lineChart({
    name: 'length-data',
    title: 'Coherence grows with data',
    caption:
      'Coherence length ξ of what networks generate that learned from P windows, at the look with the least loss on held-out text. Bars: one standard error.',
    ...{ xLabel: 'windows P', yLabel: lengthLabel, xScale: 'log', yScale: 'log' },
    series: [
      {
        ...{ name: '', scatter: true },
        points: bestByP(parts).map(({ P, overlaps }) => pointOf(P, lengthOf(overlaps))),
      },
    ],
  })
}

function dataLossChart({ dataLosses }: Parts): Figure {
  return lineChart({
    name: 'loss-data',
    title: 'Few windows are learned by heart',
    caption:
      'Loss of held-out windows against steps, of networks that learned from P windows: it rises again once these are learned by heart. Training stops there.',
    ...{ ...overSteps, yLabel: lossLabel, labels: 'beside' },
    series: groupBy(dataLosses, 'P')
      .sort((a, b) => a.key.P - b.key.P)
      .map(({ key, rows }) => ({
        name: `P = ${key.P}`,
        points: groupBy(rows, 'step')
          .sort((a, b) => a.key.step - b.key.step)
          .map(({ key: { step }, rows: own }) =>
            pointOf(step, { ...meanAcross(own, ({ loss }) => loss), error: null }),
          ),
      })),
  })
}

export const chartsOf = (parts: Parts): Findings['charts'] => [
  () => lossChart(parts),
  () => overlapChart(parts),
  () => lengthChart(parts),
  ...(parts.dataLosses.length > 0 ? [() => dataLengthChart(parts), () => dataLossChart(parts)] : []),
]

function stepTable({ losses, overlaps }: Parts): ReportTable {
  return {
    title: 'As training went on',
    columns: ['steps', 'loss, nats', 'loss, bits', 'ξ', 'ρ(1)', 'ρ(2)', 'ρ(4)'],
    rows: looksAt(overlaps).map(({ step, rows }) => {
      const loss = lossOf(losses.filter((row) => row.step === step))
      return [
        step,
        shownEstimate(loss),
        inBits(loss.value).toFixed(3),
        shownEstimate(lengthOf(rows)),
        ...[1, 2, 4].map((r) => shownEstimate(rhoAt(rows, r))),
      ]
    }),
  }
}

const dataTable = (parts: Parts): ReportTable => ({
  title: 'At the least held-out loss, after learning from P windows',
  columns: ['P', 'step', 'loss, nats', 'ξ'],
  rows: bestByP(parts).map(({ P, best, overlaps }) => [
    P,
    shownWhole(meanAcross(best, ({ step }) => step)),
    shownEstimate(lossOf(best)),
    shownEstimate(lengthOf(overlaps)),
  ]),
})

/** Windows of the first network. */
function sampleTable({ samples }: Parts): ReportTable {
  const first = samples.filter(({ seed, replica }) => seed === samples[0]!.seed && replica === 0)
  const own = first.filter((row) => row.part === 'steps')
  const named = [
    ...groupBy(own, 'step').map(({ key, rows }) => [`${key.step.toLocaleString('en')} steps`, rows] as const),
    ...groupBy(
      first.filter((row) => row.part === 'data') as (Parts['samples'][number] & { readonly P: number })[],
      'P',
    ).map(({ key, rows }) => [`P = ${key.P}`, rows] as const),
    ['held-out text', first.filter((row) => row.part === 'text' && !row.shuffled)] as const,
  ]
  return {
    title: 'What is generated',
    columns: ['after', 'text'],
    verbatim: ['text'],
    rows: named.flatMap(([name, rows]) => rows.slice(0, 2).map(({ text }) => [name, `“${text}”`])),
  }
}

export const tablesOf = (parts: Parts): ReportTable[] => [
  sampleTable(parts),
  stepTable(parts),
  ...(parts.dataLosses.length > 0 ? [dataTable(parts)] : []),
]
