/**
 * @file Learning without harm to earlier edits (not in the paper). Edits share rows of the memory wherever their masks overlap,
 * so that each one learned disturbs what is read for those before it. With C the sum of a aᵀ over every token that earlier
 * edits were taught with, a being what it reads the memory with, a gradient G in the rows is replaced by (I + C/λ)⁻¹ G: along
 * directions that many tokens read hardly anything moves, along the others all does. λ is the mean |a|² of the new edit's own
 * tokens, over the strength. AlphaEdit and recursive least squares treat whole matrices so; here it is one mask's rows. G is a
 * product Aᵀ D, A being what the new edit's tokens read the memory with; so A (I + C/λ)⁻¹ in the place of A is all it takes.
 */
import { cholesky, fail, solveCholesky } from '../../base/index.ts'
import type { Keys } from '../store/index.ts'

/** Mean over tokens of |a|². */
function energyOf({ places, activations }: Keys): number {
  const total = activations.reduce((sum, x) => sum + x * x, 0)
  return (total * places.length) / activations.length
}

/** Σ a aᵀ over tokens of the others, at the own places: [places, places], its lower triangle. Both kinds of places ascend. */
function covarianceOf(places: Int32Array, others: readonly Keys[]): Float64Array {
  const count = places.length
  const sum = new Float64Array(count * count)
  const [own, theirs] = [new Int32Array(count), new Int32Array(count)]
  const row = new Float64Array(count)
  for (const { places: all, activations } of others) {
    let shared = 0
    for (let i = 0, j = 0; i < count && j < all.length; )
      if (places[i]! < all[j]!) i++
      else if (places[i]! > all[j]!) j++
      else {
        own[shared] = i++
        theirs[shared++] = j++
      }
    const tokens = activations.length / all.length
    const values = new Float64Array(tokens * shared)
    for (let t = 0; t < tokens; t++)
      for (let s = 0; s < shared; s++) values[t * shared + s] = activations[t * all.length + theirs[s]!]!
    // this grows with the edits there are: row by row, side by side and back again, each for all tokens
    for (let s = 0; s < shared; s++) {
      const from = own[s]! * count
      for (let r = 0; r <= s; r++) row[r] = sum[from + own[r]!]!
      for (let t = 0; t < tokens; t++) {
        const at = t * shared
        const value = values[at + s]!
        if (value !== 0) for (let r = 0; r <= s; r++) row[r]! += value * values[at + r]!
      }
      for (let r = 0; r <= s; r++) sum[from + own[r]!] = row[r]!
    }
  }
  return sum
}

/**
 * A (I + C/λ)⁻¹ of activations A [tokens, places] for an edit after others; A itself when there are none, or nothing is read.
 * `own` is the bare prompt of the edit. Both kinds of places ascend. Throws `TL_NOT_FINITE` for activations that are no numbers.
 */
export function sparing(
  activations: Float32Array,
  own: Keys,
  others: readonly Keys[],
  strength: number,
): Float32Array {
  if (strength === 0 || others.length === 0) return activations
  const count = own.places.length
  const lambda = energyOf(own) / strength
  // an edit that reads nothing has no gradient either
  if (lambda === 0) return activations
  const matrix = covarianceOf(own.places, others)
  for (let i = 0; i < matrix.length; i++) matrix[i]! /= lambda
  for (let i = 0; i < count; i++) matrix[i * count + i]! += 1
  if (cholesky(matrix, count) >= 0)
    fail('TL_NOT_FINITE', 'protection: what earlier edits read is not finite; the store is damaged')
  const tokens = activations.length / count
  const columns = new Float64Array(activations.length)
  for (let t = 0; t < tokens; t++)
    for (let i = 0; i < count; i++) columns[i * tokens + t] = activations[t * count + i]!
  solveCholesky(matrix, count, columns, tokens)
  const out = new Float32Array(activations.length)
  for (let t = 0; t < tokens; t++)
    for (let i = 0; i < count; i++) out[t * count + i] = columns[i * tokens + t]!
  return out
}
