/**
 * @file How far one set of strings agrees with a text in the correlations of its symbols: the overlap of covariances at each
 * distance. It is linear in those of the strings, so their sampling noise averages out and nothing has to be subtracted.
 */
import { fail } from '../../base/index.ts'

/** Numbers of pairs of symbols at a distance, [v, v]. */
export type PairCounts = Float64Array

/** Pairs at distance r of windows [count, d] one after the other (a running text is one window); pairs do not reach out of a window. */
export function countPairs(
  ids: ArrayLike<number>,
  { v, d, r }: { readonly v: number; readonly d: number; readonly r: number },
): PairCounts {
  if (!(Number.isSafeInteger(r) && r >= 1 && r < d))
    fail('TL_BAD_ARGUMENT', `distance: expected a whole number from 1 to ${d - 1}, got ${r}`)
  const table = new Float64Array(v * v)
  for (let from = 0; from + d <= ids.length; from += d)
    for (let i = from; i < from + d - r; i++) table[ids[i]! * v + ids[i + r]!]!++
  return table
}

/** C(x, y) = P(x, y) − P(x) P(y) of pair counts [v, v], with the frequencies of the pairs' own two ends. */
export function covarianceOf(counts: PairCounts, v: number): Float64Array {
  const [left, right] = [new Float64Array(v), new Float64Array(v)]
  let total = 0
  for (const [at, n] of counts.entries()) {
    left[Math.floor(at / v)]! += n
    right[at % v]! += n
    total += n
  }
  return counts.map((n, at) => n / total - (left[Math.floor(at / v)]! * right[at % v]!) / total ** 2)
}

/** A text as a reference: its covariances at distances 1 … reach, and those of its two halves. */
export interface Reference {
  readonly v: number
  /** 1/(p_x p_y), [v, v]: a pair counts by how much more often it is than by chance. */
  readonly weights: Float64Array
  /** At r = 1 … reach, [r − 1]. */
  readonly covariances: readonly Float64Array[]
  /** Σ w C_A C_B of the two halves, [r − 1]: the noise of one has nothing to do with that of the other. */
  readonly norms: readonly number[]
}

/** Σ w a b. */
const inner = (weights: Float64Array, a: Float64Array, b: Float64Array): number => {
  let sum = 0
  for (let at = 0; at < weights.length; at++) sum += weights[at]! * a[at]! * b[at]!
  return sum
}

/** The reference of a running text. Symbols that it does not have weigh nothing. */
export function referenceOf(ids: Uint16Array, v: number, reach: number): Reference {
  const frequencies = new Float64Array(v)
  for (const id of ids) frequencies[id]! += 1 / ids.length
  const weights = Float64Array.from({ length: v * v }, (_, at) => {
    const p = frequencies[Math.floor(at / v)]! * frequencies[at % v]!
    return p > 0 ? 1 / p : 0
  })
  const half = Math.floor(ids.length / 2)
  const parts = [ids.subarray(0, half), ids.subarray(half)]
  const found = Array.from({ length: reach }, (_, i) => {
    const counts = parts.map((part) => countPairs(part, { v, d: part.length, r: i + 1 }))
    const [a, b] = counts.map((own) => covarianceOf(own, v)) as [Float64Array, Float64Array]
    const both = counts[0]!.map((n, at) => n + counts[1]![at]!)
    return { covariance: covarianceOf(both, v), norm: inner(weights, a, b) }
  })
  return {
    ...{ v, weights },
    covariances: found.map(({ covariance }) => covariance),
    norms: found.map(({ norm }) => norm),
  }
}

/** ρ(r) = Σ w C_gen C_data / Σ w C_A C_B at one distance: of all strings, and with each block of them left out. */
export interface Overlap {
  readonly r: number
  readonly rho: number
  /** [blocks] */
  readonly without: readonly number[]
}

/**
 * Overlaps of strings [count, d] with a reference at r = 1 … its reach, with `blocks` of them left out one at a time. Throws
 * TL_BAD_ARGUMENT for fewer strings than blocks.
 */
export function overlaps(
  { v, weights, covariances, norms }: Reference,
  ids: ArrayLike<number>,
  d: number,
  blocks = 16,
): Overlap[] {
  const count = ids.length / d
  if (!(Number.isInteger(count) && count >= blocks))
    fail('TL_BAD_ARGUMENT', `strings: expected at least ${blocks} of ${d} symbols, got ${count}`)
  const all = Int32Array.from(ids as ArrayLike<number>)
  const begin = (block: number): number => Math.floor((block * count) / blocks) * d
  return covariances.slice(0, d - 1).map((data, i) => {
    const r = i + 1
    const own = Array.from({ length: blocks }, (_, b) =>
      countPairs(all.subarray(begin(b), begin(b + 1)), { v, d, r }),
    )
    const total = new Float64Array(v * v)
    for (const table of own) for (let at = 0; at < total.length; at++) total[at]! += table[at]!
    const rhoOf = (counts: PairCounts): number => inner(weights, covarianceOf(counts, v), data) / norms[i]!
    return { r, rho: rhoOf(total), without: own.map((table) => rhoOf(total.map((n, at) => n - table[at]!))) }
  })
}

/**
 * The coherence length ξ: the first r with ρ(r) < 1/2, straight between the points, from ρ(0) = 1; `rho` is ρ(1), ρ(2), ….
 * Infinite where ρ stays above.
 */
export function overlapLength(rho: readonly number[]): number {
  const values = [1, ...rho]
  const r = values.findIndex((value) => value < 0.5)
  if (r < 0) return Number.POSITIVE_INFINITY
  const [before, after] = [values[r - 1]!, values[r]!]
  return r - 1 + (before - 0.5) / (before - after)
}
