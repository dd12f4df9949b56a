/** @file Wilson's interval of a share, right at 0 and 1. */

/** The 97.5 % quantile of a normal distribution. */
const z = 1.959963984540054

/**
 * The score interval of a share p of n trials (Wilson 1927): every p₀ that |p − p₀| ≤ z √(p₀ (1 − p₀) / n) does not refute.
 * `n` need not be whole.
 */
export function wilson(p: number, n: number): { readonly low: number; readonly high: number } {
  const centre = (p + z ** 2 / (2 * n)) / (1 + z ** 2 / n)
  const half = (z / (1 + z ** 2 / n)) * Math.sqrt((p * (1 - p)) / n + z ** 2 / (4 * n ** 2))
  return {
    low: p === 0 ? 0 : Math.max(0, centre - half),
    high: p === 1 ? 1 : Math.min(1, centre + half),
  }
}
