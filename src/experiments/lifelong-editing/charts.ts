/** @file Figures: the field's scores over T, overlaps, and what routing finds. */
import type { Interval, Scores } from '../../edit/index.ts'
import { distinct, type Figure, lineChart } from '../../lab/index.ts'
import { askingCurve, bestWithin, histogram, type Overlaps, routingCurve } from './routing.ts'
import { type Line, type Rows, rowsOf, sizesOf } from './rows.ts'

/** The scores of the field and what they are. */
export const metrics = [
  ['reliability', 'Reliability: the target after the prompt it was taught with'],
  ['generalization', 'Generalization: the target after the prompt in other words'],
  ['locality', 'Locality: unrelated answers that stayed as they were'],
  ['average', 'The average of the three'],
] as const satisfies readonly (readonly [keyof Scores, string])[]

/** Methods in order of their first row, so that a colour means the same in every figure. */
export const methodsOf = (lines: readonly Line[]): { method: string; title: string }[] => [
  ...new Map(lines.map(({ method, title }) => [method, { method, title }])).values(),
]

function overT(lines: readonly Line[], metric: keyof Scores, title: string): Figure {
  const point = (line: Line) => {
    const own: Interval | null = line.summary.forced[metric]
    return { x: line.edits, y: own?.mean ?? null, ...(own && { low: own.low, high: own.high }) }
  }
  return lineChart({
    name: metric,
    title,
    caption:
      'Teacher-forced share of tokens against the number of edits made one after another; bands: 95 % score intervals over facts.',
    xLabel: 'edits T',
    yLabel: metric,
    xScale: sizesOf(lines).length > 1 ? 'log' : 'linear',
    yDomain: [0, 1],
    height: 360,
    labels: 'beside',
    series: methodsOf(lines).map(({ method, title: name }, hue) => ({
      name,
      hue,
      dots: true,
      dashed: method === 'none',
      points: lines.filter((line) => line.method === method).map(point),
    })),
  })
}

/** Overlaps of a method that routes, at the largest T. */
export interface Routed extends Pick<Line, 'method' | 'title' | 'edits' | 'threshold'> {
  readonly overlaps: readonly Overlaps[]
}

/** The methods that route: the faithful rows. */
export function routedOf(lines: readonly Line[], rows: Rows): Routed[] {
  const largest = sizesOf(lines).at(-1)!
  const all = rowsOf(rows, 'overlaps').filter((row) => row.edits === largest)
  return distinct(all, 'method')
    .filter((method) => method.startsWith('memoir'))
    .map((method) => ({
      ...lines.find((line) => line.method === method && line.edits === largest)!,
      overlaps: all.filter((row) => row.method === method),
    }))
}

const kinds = [
  ['rephrase', 'rephrasing, own edit'],
  ['otherEdit', 'edit, nearest other'],
  ['unrelated', 'unrelated'],
  ['sameRelation', 'same wording, other subject'],
  ['sameSubject', 'same subject, other thing'],
] as const

function overlapFigure({ method, title, edits, threshold, overlaps }: Routed): Figure {
  const bins = 25
  return lineChart({
    name: `overlaps-${method}`,
    title: `${title}: how near prompts are to edits`,
    caption: `Overlap of masks after ${edits} edits, as shares of prompts in bins of ${1 / bins}: each rephrasing with its own edit, each edit's prompt with the nearest edit of another fact, and the nearest edit of prompts that no edit is about. Routing works when the first stands apart from the others.`,
    xLabel: 'overlap R',
    yLabel: 'share of prompts',
    xDomain: [0, 1],
    height: 340,
    labels: 'beside',
    references:
      threshold === null ? [] : [{ axis: 'x', value: threshold, label: `τ = ${threshold.toFixed(2)}` }],
    series: kinds.flatMap(([kind, name], hue) => {
      const values = overlaps.flatMap((one) => one[kind] ?? [])
      if (values.length === 0) return []
      return [{ name, hue, points: histogram(values, bins).map((y, i) => ({ x: (i + 0.5) / bins, y })) }]
    }),
  })
}

function routingFigure({ method, title, edits, overlaps }: Routed): Figure {
  return lineChart({
    name: `routing-${method}`,
    title: `${title}: what a threshold finds and lets through`,
    caption: `Share of rephrasings that reach their own edit against the share of prompts that no edit is about and one answers, at every threshold, after ${edits} edits.`,
    xLabel: 'false positives',
    yLabel: 'rephrasings found',
    xDomain: [0, 1],
    yDomain: [0, 1],
    height: 340,
    labels: 'beside',
    series: (['unrelated', 'sameRelation', 'sameSubject'] as const).flatMap((against, hue) => {
      const points = routingCurve(overlaps, against).map(({ falsePositives: x, recall: y }) => ({ x, y }))
      if (points.length === 0) return []
      return [{ name: kinds.find(([kind]) => kind === against)![1], hue, points }]
    }),
  })
}

/** Share of other questions that the stated rule lets through. */
const mostOthers = 0.1

/** What a scope finds and lets through: the whole trade-off, the threshold in use, and the best one by a stated rule. */
function scopeFigure({ method, title, edits, overlaps }: Routed): Figure {
  const curve = askingCurve(overlaps)
  const dot = (point: { falsePositives: number; recall: number } | undefined) =>
    point ? [{ x: point.falsePositives, y: point.recall }] : []
  return lineChart({
    name: `scope-${method}`,
    title: `${title}: rephrasings found against other questions let through`,
    caption: `Share of rephrasings that are taken to ask what their edit was taught, against the share of other questions about the same subject (“is best known for”, and one of twelve more) that are, at every threshold, after ${edits} edits. Best by the rule: the threshold that finds most while at most ${mostOthers} of the other questions pass; it is chosen here, on these facts, so it flatters.`,
    xLabel: 'other questions let through',
    yLabel: 'rephrasings found',
    xDomain: [0, 1],
    yDomain: [0, 1],
    height: 340,
    labels: 'beside',
    series: [
      {
        name: 'every threshold',
        hue: 0,
        points: curve.map(({ falsePositives: x, recall: y }) => ({ x, y })),
      },
      {
        name: 'the threshold in use',
        hue: 1,
        dots: true,
        points: dot(curve.findLast(({ threshold }) => threshold >= 0)),
      },
      { name: 'best by the rule', hue: 2, dots: true, points: dot(bestWithin(curve, mostOthers)) },
    ],
  })
}

/** All figures, drawn when they are wanted. */
export const editingCharts = (lines: readonly Line[], routed: readonly Routed[]): (() => Figure)[] => [
  ...metrics.map(
    ([metric, title]) =>
      () =>
        overT(lines, metric, title),
  ),
  ...routed.slice(0, 1).flatMap((one) => [() => overlapFigure(one), () => routingFigure(one)]),
  ...routed.slice(1).map((one) => () => overlapFigure(one)),
  ...routed
    .filter(({ method, overlaps }) => method === 'memoir-default' && askingCurve(overlaps).length > 0)
    .map((one) => () => scopeFigure(one)),
]
