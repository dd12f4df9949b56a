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

/** Where ascending places are the same: indices in both. */
function sharedPlaces(places: Int32Array, all: Int32Array): { own: Int32Array; theirs: Int32Array } {
  const [own, theirs] = [new Int32Array(places.length), new Int32Array(places.length)]
  let shared = 0
  for (let i = 0, j = 0; i < places.length && j < all.length; )
    if (places[i]! < all[j]!) i++
    else if (places[i]! > all[j]!) j++
    else {
      own[shared] = i++
      theirs[shared++] = j++
    }
  return { own: own.subarray(0, shared), theirs: theirs.subarray(0, shared) }
}

const tokensOf = ({ places, activations }: Keys): number => activations.length / places.length

/** Σ a aᵀ over tokens of the others, at the own places: [places, places], its lower triangle. Both kinds of places ascend. */
function covarianceOf(places: Int32Array, others: readonly Keys[]): Float64Array {
  const count = places.length
  const sum = new Float64Array(count * count)
  const row = new Float64Array(count)
  for (const keys of others) {
    const { places: all, activations } = keys
    const { own, theirs } = sharedPlaces(places, all)
    const [shared, tokens] = [own.length, tokensOf(keys)]
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
 * The same by tokens: with B [T, places] what the others' tokens read at the own places, C = Bᵀ B, and A (I + C/λ)⁻¹ is
 * A − A Bᵀ (λ + B Bᵀ)⁻¹ B. Undefined where a number is not finite.
 */
function sparingTokens(
  activations: Float32Array,
  { places }: Keys,
  others: readonly Keys[],
  lambda: number,
): Float32Array | undefined {
  const count = places.length
  const rows: Float64Array[] = []
  for (const keys of others) {
    const { own, theirs } = sharedPlaces(places, keys.places)
    for (let t = 0; t < tokensOf(keys); t++) {
      const row = new Float64Array(count)
      for (const [s, at] of theirs.entries()) row[own[s]!] = keys.activations[t * keys.places.length + at]!
      rows.push(row)
    }
  }
  const n = rows.length
  const product = (x: ArrayLike<number>, from: number, y: Float64Array): number => {
    let sum = 0
    for (let i = 0; i < count; i++) sum += x[from + i]! * y[i]!
    return sum
  }
  const matrix = new Float64Array(n * n)
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) matrix[i * n + j] = product(rows[i]!, 0, rows[j]!)
    matrix[i * n + i]! += lambda
  }
  if (cholesky(matrix, n) >= 0) return undefined
  const tokens = activations.length / count
  const weights = new Float64Array(n * tokens)
  for (let j = 0; j < n; j++)
    for (let t = 0; t < tokens; t++) weights[j * tokens + t] = product(activations, t * count, rows[j]!)
  solveCholesky(matrix, n, weights, tokens)
  const out = new Float32Array(activations.length)
  const left = new Float64Array(count)
  for (let t = 0; t < tokens; t++) {
    left.set(activations.subarray(t * count, (t + 1) * count))
    for (const [j, row] of rows.entries()) {
      const weight = weights[j * tokens + t]!
      for (let i = 0; i < count; i++) left[i]! -= weight * row[i]!
    }
    out.set(left, t * count)
  }
  return out
}

/** Places up to which the sum of all tokens is always taken: its factor takes a hundredth of a second. */
const fewPlaces = 1024

/**
 * A (I + C/λ)⁻¹ of activations A [tokens, places] for an edit after others; A itself when there are none, or nothing is read.
 * `own` is the bare prompt of the edit. Both kinds of places ascend. Throws `TL_NOT_FINITE` for activations that are no numbers.
 */
export function sparing(
  activations: Float32Array,
  own: Keys,
  others: readonly Keys[],
  strength: number,
  few = fewPlaces,
): Float32Array {
  if (strength === 0 || others.length === 0) return activations
  const count = own.places.length
  const lambda = energyOf(own) / strength
  // an edit that reads nothing has no gradient either
  if (lambda === 0) return activations
  const damaged = (): never =>
    fail('TL_NOT_FINITE', 'protection: what earlier edits read is not finite; the store is damaged')
  const theirs = others.reduce((n, keys) => n + tokensOf(keys), 0)
  if (count > few && 2 * theirs < count) return sparingTokens(activations, own, others, lambda) ?? damaged()
  const matrix = covarianceOf(own.places, others)
  for (let i = 0; i < matrix.length; i++) matrix[i]! /= lambda
  for (let i = 0; i < count; i++) matrix[i * count + i]! += 1
  if (cholesky(matrix, count) >= 0) damaged()
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
