/** @file How much a layer minds when its inputs are exchanged for others that mean the same. */

/**
 * S = ⟨‖f(x) − f(Px)‖²⟩ / ⟨‖f(x) − f(y)‖²⟩ from activations of a layer, [count, size] each: row i of `exchanged` belongs to
 * row i of `original`; the denominator is the mean over all pairs of different rows. 0 is full invariance, 1 none; NaN when
 * the layer answers the same to everything. (Cagnetta et al. 2024, eq. 8)
 */
export function sensitivity(
  original: ArrayLike<number>,
  exchanged: ArrayLike<number>,
  count: number,
): number {
  const size = original.length / count
  let moved = 0
  let squares = 0
  const sums = new Float64Array(size)
  for (let i = 0; i < original.length; i++) {
    const x = original[i]!
    moved += (x - exchanged[i]!) ** 2
    squares += x * x
    sums[i % size]! += x
  }
  const ofMean = sums.reduce((total, sum) => total + (sum / count) ** 2, 0)
  // ⟨‖f(x) − f(y)‖²⟩ over pairs of different data = 2 n/(n − 1) (⟨‖f‖²⟩ − ‖⟨f⟩‖²)
  const apart = ((2 * count) / (count - 1)) * (squares / count - ofMean)
  return apart > 0 ? moved / count / apart : Number.NaN
}
