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

const areEqual = (a: readonly number[], b: readonly number[]): boolean =>
  a === b || (a.length === b.length && a.every((value, i) => value === b[i]))

/** Values of the broken line at rising places, as `interpolate` gives them one by one. */
function resample(curve: Curve, at: readonly number[]): readonly number[] {
  const { x, y } = curve
  if (areEqual(x, at)) return y
  let after = 0
  return at.map((place) => {
    while (after < x.length && x[after]! < place) after++
    if (after === x.length) return y.at(-1)!
    if (after === 0 || x[after] === place) return y[after]!
    const [x0, x1] = [x[after - 1]!, x[after]!]
    return y[after - 1]! + ((place - x0) / (x1 - x0)) * (y[after]! - y[after - 1]!)
  })
}

/** The x of all curves within the range that all of them cover. */
export function commonX(curves: readonly Curve[]): readonly number[] {
  // rows that were kept as text have equal grids in lists of their own
  const lists: (readonly number[])[] = []
  for (const { x } of curves) if (!lists.some((list) => areEqual(list, x))) lists.push(x)
  if (lists.length === 1) return lists[0]!
  const [from, to] = [Math.max(...lists.map((x) => x[0]!)), Math.min(...lists.map((x) => x.at(-1)!))]
  return [...new Set(lists.flat())].filter((at) => at >= from && at <= to).sort((a, b) => a - b)
}

/** The mean of some curves, which need not have the same x; NaN of none. */
export function meanCurve(curves: readonly Curve[]): Curve {
  if (curves.length === 0) return { x: [Number.NaN], y: [Number.NaN] }
  const x = commonX(curves)
  const lines = curves.map((curve) => resample(curve, x))
  return { x, y: x.map((_, i) => mean(lines.map((line) => line[i]!))) }
}

/**
 * Where curve `a` falls from above to below curve `b`, at the x of `a`. Curves that agree at both ends cross there by accident
 * too; of all places the one that best parts "above" from "below" is taken: it has the largest ∫(a − b) on its left minus that
 * on its right. NaN when a is nowhere above and then below.
 */
export function meeting(a: Curve, b: Curve): number {
  const { x } = a
  const theirs = resample(b, x)
  const gap = a.y.map((value, i) => value - theirs[i]!)
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
  return rows.flatMap((row) => {
    const y = resample(curveOf(row), x)
    return x.map((at, i) => ({ ...row, x: at, y: y[i]! }))
  })
}

/** Top of the parabola through the largest finite value and its neighbours; the largest itself at an end. NaN without one. */
export function peakOf({ x, y }: Curve): { readonly at: number; readonly height: number } {
  const top = y.indexOf(Math.max(...y.filter(Number.isFinite)))
  const known = (i: number): boolean => Number.isFinite(y[i])
  if (top < 0) return { at: Number.NaN, height: Number.NaN }
  if (!known(top - 1) || !known(top + 1)) return { at: x[top]!, height: y[top]! }
  const [x0, x1, x2] = [x[top - 1]!, x[top]!, x[top + 1]!]
  const left = (y[top]! - y[top - 1]!) / (x1 - x0)
  const right = (y[top + 1]! - y[top]!) / (x2 - x1)
  const bend = (right - left) / (x2 - x0)
  if (bend >= 0) return { at: x1, height: y[top]! }
  // Newton's form: y0 + left (x − x0) + bend (x − x0)(x − x1)
  const at = (x0 + x1) / 2 - left / (2 * bend)
  return { at, height: y[top - 1]! + left * (at - x0) + bend * (at - x0) * (at - x1) }
}

/**
 * How far apart curves of positive numbers are: the standard deviation of ln y over the curves at a common x, root mean square
 * over 61 places evenly spread in ln x at which at least three have a value. NaN where there are none.
 */
export function logSpread(curves: readonly Curve[]): number {
  const lines = curves.map(({ x, y }): Curve => ({ x: x.map(Math.log), y: y.map(Math.log) }))
  const ends = lines.flatMap(({ x }) => [x[0]!, x.at(-1)!])
  const [low, high] = [Math.min(...ends), Math.max(...ends)]
  let [sum, count] = [0, 0]
  const steps = 60
  for (let step = 0; step <= steps; step++) {
    const at = low + ((high - low) * step) / steps
    const found = lines.filter(({ x }) => at >= x[0]! && at <= x.at(-1)!).map((line) => interpolate(line, at))
    if (found.length < 3) continue
    const centre = mean(found)
    sum += found.reduce((total, y) => total + (y - centre) ** 2, 0) / (found.length - 1)
    count++
  }
  return Math.sqrt(sum / count)
}
