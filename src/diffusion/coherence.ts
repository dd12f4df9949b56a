/**
 * @file How far generated strings hang together: their token–token covariances beside those of the grammar, by the height at which
 * two tokens have their common ancestor.
 */
import { fail } from '../base/index.ts'

interface Sizes {
  readonly d: number
  readonly v: number
  readonly s: number
}

/** Height of the lowest common ancestor of two leaves. */
function heightOfPair(i: number, j: number, s: number): number {
  let height = 0
  for (let [a, b] = [i, j]; a !== b; height++) [a, b] = [Math.floor(a / s), Math.floor(b / s)]
  return height
}

/** P(x_i = a, x_j = b) − P(x_i = a) P(x_j = b) of the pairs i < j in their order, [pairs, v, v]; of strings [n, d]. */
function pairCovariances(leaves: Int32Array, { d, v }: Sizes): Float64Array {
  const n = leaves.length / d
  const share = new Float64Array(d * v)
  const pairs = (d * (d - 1)) / 2
  const joint = new Float64Array(pairs * v * v)
  for (let at = 0; at < leaves.length; at += d) {
    let pair = 0
    for (let i = 0; i < d; i++) {
      share[i * v + leaves[at + i]!]! += 1 / n
      for (let j = i + 1; j < d; j++, pair++)
        joint[(pair * v + leaves[at + i]!) * v + leaves[at + j]!]! += 1 / n
    }
  }
  let pair = 0
  for (let i = 0; i < d; i++)
    for (let j = i + 1; j < d; j++, pair++)
      for (let a = 0; a < v; a++)
        for (let b = 0; b < v; b++) joint[(pair * v + a) * v + b]! -= share[i * v + a]! * share[j * v + b]!
  return joint
}

/**
 * How much of the grammar's correlations generated strings have at each height ℓ = 1 … L: ⟨C, C_ref⟩ over ⟨C_A, C_B⟩ of two halves
 * of the reference strings, summed over the pairs at that height. 1 where they have them all, 0 for none; linear in C, so that
 * sampling noise adds nothing on average. All strings [·, d].
 */
export function coherence(generated: Int32Array, reference: Int32Array, sizes: Sizes): number[] {
  const { d, v, s } = sizes
  if (generated.length === 0 || reference.length < 4 * d || reference.length % (2 * d) !== 0)
    fail(
      'TL_BAD_ARGUMENT',
      `coherence: expected generated strings and an even number, at least 4, of reference strings of ${d} symbols, got ${generated.length / d} and ${reference.length / d}`,
    )
  const half = reference.length / 2
  const [own, first, second] = [generated, reference.subarray(0, half), reference.subarray(half)].map(
    (leaves) => pairCovariances(leaves, sizes),
  ) as [Float64Array, Float64Array, Float64Array]
  const heights = Math.round(Math.log(d) / Math.log(s))
  const [found, whole] = [new Float64Array(heights + 1), new Float64Array(heights + 1)]
  let at = 0
  for (let i = 0; i < d; i++)
    for (let j = i + 1; j < d; j++) {
      const height = heightOfPair(i, j, s)
      for (const end = at + v * v; at < end; at++) {
        found[height]! += (own[at]! * (first[at]! + second[at]!)) / 2
        whole[height]! += first[at]! * second[at]!
      }
    }
  return Array.from({ length: heights }, (_, k) => found[k + 1]! / whole[k + 1]!)
}

/** Tokens over which strings hang together: s to the height at which coherence falls below 1/2, linear between heights; at most s^L. */
export function coherenceLength(shares: readonly number[], s: number): number {
  let before = 1
  for (const [k, share] of shares.entries()) {
    if (share < 0.5) return s ** (k + (before - 0.5) / (before - share))
    before = share
  }
  return s ** shares.length
}
