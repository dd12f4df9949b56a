/** @file How well curves lie on each other once x is divided by what it should be proportional to. */
import { fallsBelow, mean, spreadOf } from '../statistics.ts'

/** A falling curve: y in units of `unit`, x to be divided by `scale`. x rises. */
export interface ScaledCurve {
  readonly points: readonly { readonly x: number; readonly y: number }[]
  readonly scale: number
  readonly unit: number
}

/** How far curves lie apart horizontally, as a factor: 1 when they coincide. */
export interface Spread {
  /** e^σ with σ the standard deviation of ln x at equal height; NaN where no height is crossed by two curves. */
  readonly before: number
  /** The same of ln (x / scale). */
  readonly after: number
}

/**
 * Spread of curves before and after dividing x by each one's scale: the root mean square over `heights` (in units of each
 * curve) of the standard deviation of ln x there. Heights that fewer than two curves cross are left out.
 */
export function collapse(curves: readonly ScaledCurve[], heights: readonly number[]): Spread {
  const variances = heights.flatMap((height) => {
    const found = curves.flatMap(({ points, scale, unit }) => {
      const x = fallsBelow(points, height * unit)
      return Number.isNaN(x) ? [] : [{ before: Math.log(x), after: Math.log(x / scale) }]
    })
    if (found.length < 2) return []
    const variance = (of: keyof Spread): number => spreadOf(found.map((at) => at[of])) ** 2
    return [{ before: variance('before'), after: variance('after') }]
  })
  const factor = (of: keyof Spread): number => Math.exp(Math.sqrt(mean(variances.map((at) => at[of]))))
  return { before: factor('before'), after: factor('after') }
}
