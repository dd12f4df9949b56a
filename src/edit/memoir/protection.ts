/**
 * @file Learning without harm to earlier edits (not in the paper). Edits share rows of the memory wherever their masks overlap,
 * so that each one learned disturbs what is read for those before it. With C the sum of a aᵀ over every token that earlier
 * edits were taught with, a being what it reads the memory with, a gradient G in the rows is replaced by (I + C/λ)⁻¹ G: along
 * directions that many tokens read hardly anything moves, along the others all does. λ is the mean |a|² of the new edit's own
 * tokens, over the strength. AlphaEdit and recursive least squares treat whole matrices so; here it is one mask's rows.
 */
import { cholesky, fail } from '../../base/index.ts'
import type { Keys } from './store/index.ts'

/** Mean over tokens of |a|². */
function energyOf({ places, activations }: Keys): number {
  const total = activations.reduce((sum, x) => sum + x * x, 0)
  return (total * places.length) / activations.length
}

/** Σ a aᵀ over tokens of the others, at the own places: [places, places], its lower triangle. */
function covarianceOf(places: Int32Array, others: readonly Keys[]): Float64Array {
  const count = places.length
  const at = new Map(Array.from(places, (place, i) => [place, i]))
  const sum = new Float64Array(count * count)
  for (const { places: theirs, activations } of others) {
    const shared: [number, number][] = []
    for (const [column, place] of theirs.entries()) {
      const i = at.get(place)
      if (i !== undefined) shared.push([column, i])
    }
    const rows = shared.map(([, i]) => i * count)
    const columns = shared.map(([, i]) => i)
    const values = new Float64Array(shared.length)
    for (let from = 0; from < activations.length; from += theirs.length) {
      for (const [s, [column]] of shared.entries()) values[s] = activations[from + column]!
      for (let s = 0; s < values.length; s++) {
        const [value, row] = [values[s]!, rows[s]!]
        if (value !== 0) for (let r = 0; r <= s; r++) sum[row + columns[r]!]! += value * values[r]!
      }
    }
  }
  return sum
}

/** (L Lᵀ)⁻¹ [n, n] of a Cholesky factor: L⁻¹ is triangular too, which leaves a third of the work of solving for n columns. */
function inverseOf(factor: Float64Array, n: number): Float32Array {
  const lower = new Float64Array(n * n)
  for (let i = 0; i < n; i++) {
    const [row, diagonal] = [i * n, factor[i * n + i]!]
    lower[row + i] = 1 / diagonal
    for (let j = 0; j < i; j++) {
      const weight = factor[row + j]! / diagonal
      if (weight !== 0) for (let c = 0; c <= j; c++) lower[row + c]! -= weight * lower[j * n + c]!
    }
  }
  const inverse = new Float32Array(n * n)
  const sums = new Float64Array(n * n)
  for (let k = 0; k < n; k++)
    for (let i = 0; i <= k; i++) {
      const value = lower[k * n + i]!
      for (let j = 0; j <= i; j++) sums[i * n + j]! += value * lower[k * n + j]!
    }
  for (let i = 0; i < n; i++)
    for (let j = 0; j <= i; j++) {
      inverse[i * n + j] = sums[i * n + j]!
      inverse[j * n + i] = sums[i * n + j]!
    }
  return inverse
}

/**
 * (I + C/λ)⁻¹ [places, places] for an edit after others; undefined when there are none, or nothing is read. Both kinds of places ascend. Throws
 * `TL_NOT_FINITE` for activations that are no numbers.
 */
export function preconditionerOf(
  own: Keys,
  others: readonly Keys[],
  strength: number,
): Float32Array | undefined {
  if (strength === 0 || others.length === 0) return undefined
  const count = own.places.length
  const lambda = energyOf(own) / strength
  // an edit that reads nothing has no gradient either
  if (lambda === 0) return undefined
  const matrix = covarianceOf(own.places, others)
  for (let i = 0; i < matrix.length; i++) matrix[i]! /= lambda
  for (let i = 0; i < count; i++) matrix[i * count + i]! += 1
  if (cholesky(matrix, count) >= 0)
    fail('TL_NOT_FINITE', 'protection: what earlier edits read is not finite; the store is damaged')
  return inverseOf(matrix, count)
}
