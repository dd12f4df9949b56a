/** @file Means, slopes and crossings with their errors, as experiments need them. */
import { plusMinus } from '../base/index.ts'

/** A measured number. */
export interface Estimate {
  /** NaN where nothing was measured. */
  readonly value: number
  /** One standard error. 0 for what is exact; null where there are too few replicas to say. */
  readonly error: number | null
  /** Independent replicas behind the error; absent: so many that the error itself is known. */
  readonly n?: number
  /** The 95 % interval where it does not follow from the error: of a share. */
  readonly interval?: readonly [low: number, high: number]
  /** Replicas that gave no number and are left out; absent: none. */
  readonly missing?: number
}

/** Mean and standard error of independent values. */
export function meanOf(values: readonly number[]): Estimate {
  const n = values.length
  const value = n === 0 ? Number.NaN : values.reduce((sum, x) => sum + x, 0) / n
  if (n < 2) return { value, error: null, n }
  const squares = values.reduce((sum, x) => sum + (x - value) ** 2, 0)
  return { value, error: Math.sqrt(squares / (n - 1) / n), n }
}

/** The mean alone. */
export const mean = (values: readonly number[]): number => meanOf(values).value

/** Standard deviation of a list; 0 of a single value. */
export function spreadOf(values: readonly number[]): number {
  const { error } = meanOf(values)
  return (error ?? 0) * Math.sqrt(values.length)
}

/** Geometric mean of positive values; the error is that of the value itself. */
export function geometricMean(values: readonly number[]): Estimate {
  const { value, error, n } = meanOf(values.map(Math.log))
  const factor = Math.exp(value)
  return { value: factor, error: error === null ? null : factor * error, n }
}

/** Root of the mean of squares, from the squares, with its error. */
export function rootMean(squares: readonly number[]): Estimate {
  const { value, error, n } = meanOf(squares)
  const root = Math.sqrt(Math.max(0, value))
  return { value: root, error: error === null || root === 0 ? null : error / (2 * root), n }
}

/** Slope of y against x by least squares; the error is null with two points, the slope NaN with fewer different x. */
export function slopeOf(points: readonly (readonly [x: number, y: number])[]): Estimate {
  const n = points.length
  const x0 = mean(points.map(([x]) => x))
  const y0 = mean(points.map(([, y]) => y))
  const squares = points.reduce((sum, [x]) => sum + (x - x0) ** 2, 0)
  const value = points.reduce((sum, [x, y]) => sum + (x - x0) * (y - y0), 0) / squares
  // a line has two parameters: n − 1 counts the degrees of freedom of its slope
  if (n < 3) return { value, error: null, n: n - 1 }
  const rest = points.reduce((sum, [x, y]) => sum + (y - y0 - value * (x - x0)) ** 2, 0)
  return { value, error: Math.sqrt(rest / (n - 2) / squares), n: n - 1 }
}

/** The slope of ln y against ln x. */
export const powerOf = (points: readonly (readonly [x: number, y: number])[]): Estimate =>
  slopeOf(points.map(([x, y]) => [Math.log(x), Math.log(y)] as const))

/**
 * Where a rising curve stays above `level` for good, between the last point below and the next, straight in ln x; null when it
 * is never below, or not above at the end.
 */
export function crossing(
  points: readonly { readonly x: number; readonly y: number }[],
  level: number,
): number | null {
  const last = points.findLastIndex(({ y }) => y < level)
  const [before, after] = [points[last], points[last + 1]]
  if (!before || !after) return null
  const share = (level - before.y) / (after.y - before.y)
  return before.x * (after.x / before.x) ** share
}

/**
 * Where a curve first falls below `level`, straight in ln x between its points (x rises); NaN when it never does, or is below from
 * the first point on.
 */
export function fallsBelow(
  points: readonly { readonly x: number; readonly y: number }[],
  level: number,
): number {
  const first = points.findIndex(({ y }) => y < level)
  const [before, after] = [points[first - 1], points[first]]
  if (!before || !after) return Number.NaN
  const share = (before.y - level) / (before.y - after.y)
  return before.x * (after.x / before.x) ** share
}

/** `0.98 ± 0.03`, the value alone, or a dash where there is none. */
export const shown = ({ value, error }: Estimate, digits = 2): string =>
  plusMinus(Number.isFinite(value) ? value : null, error, digits)
