/** @file Curves with a point at each x of a list: their mean, where two meet, where one falls, how steeply, its peak. */
import { mean } from '../statistics.ts'

/** y at each x; x rises. */
export interface Curve {
  readonly x: readonly number[]
  readonly y: readonly number[]
}

const rounded = (value: number): number => Math.round(value * 1e6) / 1e6

/** `count` evenly spaced numbers from `from` to `to`, rounded to 1e-6: the same wherever they are computed. */
export const evenly = (from: number, to: number, count: number): number[] =>
  Array.from({ length: count }, (_, i) =>
    rounded(count === 1 ? from : from + ((to - from) * i) / (count - 1)),
  )

/** The numbers of all lists once, rounded to 1e-6, rising. */
export const merged = (...lists: readonly (readonly number[])[]): number[] =>
  [...new Set(lists.flat().map(rounded))].sort((x, y) => x - y)

/** Value of the broken line at `at`; beyond the ends, the value there. */
export function interpolate({ x, y }: Curve, at: number): number {
  const after = x.findIndex((value) => value >= at)
  if (after < 0) return y.at(-1)!
  if (after === 0 || x[after] === at) return y[after]!
  const [x0, x1] = [x[after - 1]!, x[after]!]
  return y[after - 1]! + ((at - x0) / (x1 - x0)) * (y[after]! - y[after - 1]!)
}

/** The x of all curves within the range that all of them cover. */
export function commonX(curves: readonly Curve[]): readonly number[] {
  const lists = [...new Set(curves.map(({ x }) => x))]
  if (lists.length === 1) return lists[0]!
  const [from, to] = [Math.max(...lists.map((x) => x[0]!)), Math.min(...lists.map((x) => x.at(-1)!))]
  return [...new Set(lists.flat())].filter((at) => at >= from && at <= to).sort((a, b) => a - b)
}

/** The mean of some curves, which need not have the same x; NaN of none. */
export function meanCurve(curves: readonly Curve[]): Curve {
  if (curves.length === 0) return { x: [Number.NaN], y: [Number.NaN] }
  const x = commonX(curves)
  return { x, y: x.map((at) => mean(curves.map((curve) => interpolate(curve, at)))) }
}

/**
 * Where curve `a` falls from above to below curve `b`, at the x of `a`. Curves that agree at both ends cross there by accident
 * too; of all places the one that best parts "above" from "below" is taken: it has the largest ∫(a − b) on its left minus that
 * on its right. NaN when a is nowhere above and then below.
 */
export function meeting(a: Curve, b: Curve): number {
  const { x } = a
  const gap = a.y.map((value, i) => value - interpolate(b, x[i]!))
  const area = [0]
  for (let i = 1; i < x.length; i++)
    area.push(area[i - 1]! + ((x[i]! - x[i - 1]!) * (gap[i]! + gap[i - 1]!)) / 2)
  let best: { at: number; contrast: number } | null = null
  for (let i = 1; i < x.length; i++) {
    const [before, after] = [gap[i - 1]!, gap[i]!]
    if (!(before > 0 && after <= 0)) continue
    const share = before / (before - after)
    const step = x[i]! - x[i - 1]!
    const left = area[i - 1]! + (before * share * step) / 2
    const contrast = 2 * left - area.at(-1)!
    if (left > 0 && (best === null || contrast > best.contrast))
      best = { at: x[i - 1]! + share * step, contrast }
  }
  return best?.at ?? Number.NaN
}

/** First place where a curve falls to `level`; NaN when it does not. */
export function fallsTo({ x, y }: Curve, level: number): number {
  for (let i = 1; i < x.length; i++)
    if (y[i - 1]! > level && y[i]! <= level)
      return x[i - 1]! + ((y[i - 1]! - level) / (y[i - 1]! - y[i]!)) * (x[i]! - x[i - 1]!)
  return Number.NaN
}

/** How steeply a curve falls at `at`: the secant over `at` ± `half`, positive when falling. */
export const steepness = (curve: Curve, at: number, half: number): number =>
  (interpolate(curve, at - half) - interpolate(curve, at + half)) / (2 * half)

/**
 * The part of a coarse curve in which it falls from above `high` to below `low`: from the last point before it leaves `high`
 * to the first below `low`; the ends of the axis where it does not.
 */
export function fallingPart(
  { x, y }: Curve,
  { high, low }: { readonly high: number; readonly low: number },
): readonly [from: number, to: number] {
  const leaves = y.findIndex((value) => value < high)
  const ends = y.findIndex((value) => value < low)
  return [leaves <= 0 ? x[0]! : x[leaves - 1]!, ends < 0 ? x.at(-1)! : x[ends]!]
}

/** Rows that hold a curve each, as one row a point, at the x that all of them cover. */
export function curvePoints<R extends object>(
  rows: readonly R[],
  curveOf: (row: R) => Curve,
): (R & { readonly x: number; readonly y: number })[] {
  const x = rows.length === 0 ? [] : commonX(rows.map(curveOf))
  return rows.flatMap((row) => x.map((at) => ({ ...row, x: at, y: interpolate(curveOf(row), at) })))
}
