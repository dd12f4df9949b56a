/** @file The picture of a plan: memorization times over P, the law, slope 1, and predictions. */
import { fixed, formatNumber } from '../../base/index.ts'
import type { Figure } from '../figures/figure.ts'
import { type LinePoint, type LineSeries, lineChart } from '../figures/lineChart.ts'
import type { Steps95, StopPoint } from './law.ts'
import type { Criterion } from './memorization.ts'
import { markOf } from './notes.ts'
import type { StopPlan } from './plan.ts'

/** Points of a curve over this range. */
const across = (from: number, to: number): number[] =>
  Array.from({ length: 41 }, (_, i) => from * (to / from) ** (i / 40))

const measured = ({ P, tau, low, high }: StopPoint | Steps95): LinePoint => ({
  ...{ x: P, y: tau, low },
  high: high ?? undefined,
})

/** The series of a plan; the law first, so that points lie on top. */
function seriesOf({ points, law, predictions, beside }: StopPlan): LineSeries[] {
  const found = points.filter(({ bound }) => bound === null)
  const bounds = points.filter(({ bound }) => bound !== null)
  const series: LineSeries[] = []
  const all = [...points, ...predictions].map(({ P }) => P)
  if (law) {
    const line = across(Math.min(...all), Math.max(...all)).map((P) => law.at(P))
    const [first] = found
    series.push({ name: 'law', hue: 0, points: line.map(measured) })
    // through the law where it is known best: at the middle of the measured P
    const middle = Math.sqrt(first!.P * found.at(-1)!.P)
    const { tau } = law.at(middle)
    series.push({
      ...{ name: 'slope 1', hue: 6, dashed: true },
      points: line.map(({ P }) => ({ x: P, y: (tau * P) / middle })),
    })
  }
  const other = beside?.points.filter(({ bound }) => bound === null) ?? []
  series.push({ name: '', hue: 2, scatter: true, points: other.map(measured) })
  series.push({ name: '', hue: 0, scatter: true, points: found.map(measured) })
  series.push({ name: '', hue: 0, bounds: true, points: bounds.map(({ P, low }) => ({ x: P, y: low })) })
  series.push({ name: '', hue: 1, scatter: true, points: predictions.map(measured) })
  return series
}

/** What to see in the picture of a plan. */
function captionOf(
  { law, points, predictions, beside }: StopPlan,
  markName: (by: Criterion) => string,
  by: Criterion,
): string {
  const sentences = [
    `Step of the ${markName(by)} over the number of training examples P, with 95 % intervals.`,
  ]
  if (points.some(({ bound }) => bound !== null))
    sentences.push('Open marks with an arrow: not yet by the last step, a lower bound.')
  if (law)
    sentences.push(
      `Line: the law and its 95 % interval, with a mean exponent b = ${fixed(law.b, 2)} over the measured P; dashed: slope 1.`,
    )
  if (predictions.length > 0)
    sentences.push('Orange: predictions for one more training, with their 95 % intervals.')
  if (beside?.points.some(({ bound }) => bound === null)) sentences.push(`Green: the ${markName(beside.by)}.`)
  return sentences.join(' ')
}

/** Draw a plan. */
export function stopFigure(plan: StopPlan): Figure {
  const { by, share } = plan
  const markName = (which: Criterion): string =>
    which === 'copies' ? `${markOf(which)} (${formatNumber(100 * share)} % above chance)` : markOf(which)
  return lineChart({
    name: 'stop',
    title: 'When training begins to memorize',
    caption: captionOf(plan, markName, by),
    ...{ xLabel: 'training examples P', yLabel: 'training step', xScale: 'log', yScale: 'log' },
    series: seriesOf(plan),
  })
}
