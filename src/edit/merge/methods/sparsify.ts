/**
 * @file Ways to thin out a task vector δ: by magnitude (TIES, arXiv 2306.01708), without outliers (Model Breadcrumbs,
 * 2312.06795), at random (DARE, 2311.03099), at random by rank (DELLA, 2406.11617). Each gives a new vector.
 */
import { fail } from '../../../base/index.ts'
import { type Key, random } from '../../../tensor/index.ts'
import { keepLargest, keepRanks } from './select.ts'
import { f32, l1, scaleInPlace } from './vectors.ts'

/** Elements drawn from one key, so that the randomness of a large tensor needs little memory. */
const block = 2 ** 16

/** Below this L1 norm nothing is rescaled. */
const smallestNorm = 1e-7

/** Scales what is left of δ so that its L1 norm is that of the whole δ, in place. */
export function matchL1(kept: Float32Array, whole: Float32Array): Float32Array {
  const [before, after] = [l1(whole), l1(kept)]
  if (before >= smallestNorm && after >= smallestNorm) scaleInPlace(kept, before / after)
  return kept
}

/** The ⌊density · n⌋ largest magnitudes, at least one unless density is 0. */
export function byMagnitude(delta: Float32Array, density: number): Float32Array {
  if (density <= 0) return new Float32Array(delta.length)
  return keepLargest(delta, Math.max(1, Math.trunc(density * delta.length)))
}

/**
 * Drops the ⌊γn⌋ largest magnitudes, then the smallest until ⌊density · n⌋ are left; where that is too few to drop, fewer
 * of the largest go.
 */
export function withoutOutliers(delta: Float32Array, density: number, gamma: number): Float32Array {
  const n = delta.length
  const left = Math.trunc(density * n)
  const smallest = Math.max(0, n - left - Math.trunc(gamma * n))
  return keepRanks(delta, smallest, smallest + left)
}

/**
 * Each element with its probability, a number for all or one for each. A byte of randomness decides 255 times of 256; only
 * where it equals the first byte of the probability are more bits drawn, so the probabilities are exact to 2⁻³¹.
 */
function keepAtRandom(delta: Float32Array, chances: number | Float32Array, key: Key): Float32Array {
  const out = new Float32Array(delta.length)
  for (let start = 0; start < out.length; start += block) {
    const size = Math.min(block, out.length - start)
    const words = random.sampleBits(random.foldIn(key, start / block), Math.ceil(size / 4))
    const bytes = new Uint8Array(words.buffer)
    const closer = random.foldIn(key, 2 ** 31 + start / block)
    for (let i = 0; i < size; i++) {
      const chance = (typeof chances === 'number' ? chances : chances[start + i]!) * 256
      const byte = bytes[i]!
      const rest = chance - byte
      if (rest >= 1 || (rest > 0 && random.sampleUniform(random.foldIn(closer, i), 1)[0]! < rest))
        out[start + i] = delta[start + i]!
    }
  }
  return out
}

/** Each element with probability `density`, independently. */
export const atRandom = (delta: Float32Array, density: number, key: Key): Float32Array =>
  keepAtRandom(delta, density, key)

/** Ranks 0 … n − 1 of magnitudes; of equal ones the first has the lower rank. */
function ranksOf(magnitudes: Float32Array): Uint32Array {
  const n = magnitudes.length
  const ranks = new Uint32Array(n)
  if (n <= 2 ** 22) {
    // bits (31) and index (22) packed into one double: a native sort instead of one with a callback
    const bits = new Uint32Array(magnitudes.buffer, magnitudes.byteOffset, n)
    const packed = Float64Array.from(bits, (b, i) => b * 2 ** 22 + i).sort()
    for (let rank = 0; rank < n; rank++) ranks[packed[rank]! % 2 ** 22] = rank
    return ranks
  }
  const order = Uint32Array.from({ length: n }, (_, i) => i)
  order.sort((a, b) => magnitudes[a]! - magnitudes[b]! || a - b)
  for (let rank = 0; rank < n; rank++) ranks[order[rank]!] = rank
  return ranks
}

/**
 * The probability of each element to stay: from density − ε for the smallest magnitude of its row (axis 1; a vector is
 * one row) to density + ε for the largest, evenly by rank. A row of one element stays with probability `density`.
 */
export function rankProbabilities(
  delta: Float32Array,
  shape: readonly number[],
  density: number,
  epsilon: number,
): Float32Array {
  const [rows, length] = shape.length < 2 ? [1, delta.length] : [shape[0]!, shape[1]!]
  const stride = shape.slice(2).reduce((product, n) => product * n, 1)
  const probabilities = new Float32Array(delta.length)
  const row = new Float32Array(length)
  for (let outer = 0; outer < rows; outer++)
    for (let inner = 0; inner < stride; inner++) {
      const at = outer * length * stride + inner
      for (let i = 0; i < length; i++) row[i] = Math.abs(delta[at + i * stride]!)
      const ranks = ranksOf(row)
      for (let i = 0; i < length; i++) {
        const place = length === 1 ? 0.5 : f32(ranks[i]! / (length - 1))
        probabilities[at + i * stride] = density - epsilon + f32(f32(place * 2) * epsilon)
      }
    }
  return probabilities
}

/** Each element at random, the likelier the larger its magnitude is in its row. */
export function byRankAtRandom(
  delta: Float32Array,
  shape: readonly number[],
  { density, epsilon, key }: { readonly density: number; readonly epsilon: number; readonly key: Key },
): Float32Array {
  if (density <= 0) return new Float32Array(delta.length)
  if (density + epsilon >= 1 || density - epsilon <= 0)
    fail(
      'TL_BAD_ARGUMENT',
      `della: density ± epsilon: expected both within (0, 1), got ${density} ± ${epsilon}; lower epsilon`,
    )
  return keepAtRandom(delta, rankProbabilities(delta, shape, density, epsilon), key)
}
