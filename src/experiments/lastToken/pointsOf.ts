/** @file Points of measurement and the line of a theory that has no prefactor. */
import { type Estimate, type LineSeries, mean, pointOf } from '../../lab/index.ts'

/** A line for each network through estimates at several x, with a dashed line of theory. */
export function pointsOf(
  hue: number,
  name: string,
  points: readonly (readonly [x: number, at: Estimate])[],
  theory: (x: number) => number,
): LineSeries[] {
  const known = points.filter(([, { value }]) => Number.isFinite(value))
  if (known.length === 0) return []
  // theory has no prefactor: the line goes through the geometric mean of the points
  const factor = Math.exp(mean(known.map(([x, { value }]) => Math.log(value / theory(x)))))
  return [
    { name, hue, dots: true, points: known.map(([x, at]) => pointOf(x, at)) },
    { name: '', hue, dashed: true, points: known.map(([x]) => ({ x, y: factor * theory(x) })) },
  ]
}
