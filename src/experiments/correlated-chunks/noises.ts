/** @file The noise levels looked at: round numbers, dense around ε*, and ε* itself. */

/** Multiples of `step` in [low, high]. */
const multiples = (step: number, low: number, high: number): number[] => {
  const first = Math.ceil(low / step - 1e-9)
  const count = Math.max(0, Math.floor(high / step + 1e-9) - first + 1)
  return Array.from({ length: count }, (_, i) => Number(((first + i) * step).toFixed(6)))
}

const rising = (levels: readonly number[]): number[] =>
  [...new Set(levels)].filter((eps) => eps > 0.01 && eps < 0.99).sort((a, b) => a - b)

const exact = (epsStar: number): number => Number(epsStar.toFixed(6))

/** For χ(ε) and C(r): every 0.05 far from ε*, every 0.02 nearer, every `step` around it. */
export const noisesAround = (epsStar: number, step: number): number[] =>
  rising([
    ...multiples(0.05, epsStar - 0.4, epsStar + 0.25),
    ...multiples(0.02, epsStar - 0.1, epsStar + 0.1),
    ...multiples(step, epsStar - 0.03, epsStar + 0.03),
    exact(epsStar),
  ])

/** For round trips: fewer. */
export const sampledNoises = (epsStar: number): number[] =>
  rising([
    ...multiples(0.05, epsStar - 0.25, epsStar + 0.2),
    ...multiples(0.02, epsStar - 0.04, epsStar + 0.04),
    exact(epsStar),
  ])

/** Masked shares. */
export const maskedShares: readonly number[] = [0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.8]

/** The level of a list nearest to one. */
export const nearestIndex = (levels: readonly number[], wanted: number): number =>
  levels.reduce(
    (best, level, i) => (Math.abs(level - wanted) < Math.abs(levels[best]! - wanted) ? i : best),
    0,
  )
