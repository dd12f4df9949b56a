/** @file What changes along a text: means of numbers by their place. */
import { fail } from '../../base/index.ts'

/**
 * Means over texts of what stands at their places, in bins of `width` places: the dependency on a picture, or 1 for each mention that is
 * wrong. NaN counts as nothing, so that like can be compared with like (nouns with nouns).
 */
export function meansByPosition(
  rows: readonly (readonly number[])[],
  width: number,
): { readonly from: number; readonly to: number; readonly mean: number; readonly count: number }[] {
  if (!(Number.isInteger(width) && width >= 1))
    fail('TL_BAD_ARGUMENT', `positions: width: expected a whole number from 1 on, got ${width}`)
  const longest = rows.reduce((most, { length }) => Math.max(most, length), 0)
  return Array.from({ length: Math.ceil(longest / width) }, (_, bin) => {
    const [from, to] = [bin * width, (bin + 1) * width]
    const own = rows.flatMap((row) => row.slice(from, to)).filter((value) => !Number.isNaN(value))
    return { from, to, mean: own.reduce((sum, value) => sum + value, 0) / own.length, count: own.length }
  }).filter(({ count }) => count > 0)
}
