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

/**
 * Mean over data of the cosine between f(x) and f(x′), from activations of a layer, [count, size] each: row i of `changed` belongs
 * to row i of `original`. Every unit is standardised first: minus its mean over the original data, over its standard deviation
 * there. 1 where nothing changes. Units that say the same of all original data are left out; NaN when all of them do.
 * (Cagnetta and Wyart 2024, eq. 14)
 */
export function similarity(original: ArrayLike<number>, changed: ArrayLike<number>, count: number): number {
  const size = original.length / count
  const means = new Float64Array(size)
  const scales = new Float64Array(size)
  for (let i = 0; i < original.length; i++) means[i % size]! += original[i]! / count
  for (let i = 0; i < original.length; i++)
    scales[i % size]! += (original[i]! - means[i % size]!) ** 2 / count
  for (let j = 0; j < size; j++)
    scales[j] = scales[j]! > 1e-12 * means[j]! ** 2 ? 1 / Math.sqrt(scales[j]!) : 0
  let sum = 0
  let rows = 0
  for (let i = 0; i < count; i++) {
    let [product, before, after] = [0, 0, 0]
    for (let j = 0; j < size; j++) {
      const x = (original[i * size + j]! - means[j]!) * scales[j]!
      const y = (changed[i * size + j]! - means[j]!) * scales[j]!
      product += x * y
      before += x * x
      after += y * y
    }
    if (before === 0 || after === 0) continue
    sum += product / Math.sqrt(before * after)
    rows++
  }
  return rows > 0 ? sum / rows : Number.NaN
}
