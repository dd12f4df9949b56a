/**
 * @file Masks to learn from. A string with k masks counts 1/k for each: with the share of masks uniform that is, for every string,
 * the bound on −log p(x) of masked diffusion (Shi et al. 2024, eq. 4) in nats a symbol, with less noise than the weight 1/t.
 */
import { fail } from '../../base/index.ts'
import { random, type Tensor, tensor } from '../../tensor/index.ts'

/** Strings as a program takes them. */
export type MaskedStrings = {
  /** x_0, symbols i32 [B, d]. */
  clean: Tensor
  /** The same with −1 where masked, i32 [B, d]. */
  noisy: Tensor
  /** 1/k at each of the k masks of a string, 0 elsewhere, f32 [B, d]. */
  weight: Tensor
}

/** Numbers of masks k = 1 … d of `count` strings, spread evenly: one uniform in each part of the range. Rounding never gives d + 1. [count] */
export const maskCounts = (count: number, d: number, key: random.Key): Int32Array =>
  Int32Array.from(random.sampleUniform(key, count), (u, i) =>
    Math.min(d, 1 + Math.floor(((i + u) / count) * d)),
  )

/** Put −1 at k random places of each string of `clean` [B, d], each with the same chance; counts k [B]. */
export function maskSome(
  clean: Int32Array,
  d: number,
  counts: ArrayLike<number>,
  key: random.Key,
): Int32Array {
  const noisy = clean.slice()
  const units = random.sampleUniform(key, clean.length)
  const places = new Int32Array(d)
  for (let b = 0; b < clean.length / d; b++) {
    for (let i = 0; i < d; i++) places[i] = i
    // the first k of a random order
    for (let i = 0; i < counts[b]!; i++) {
      const j = i + Math.floor(units[b * d + i]! * (d - i))
      const place = places[j]!
      places[j] = places[i]!
      noisy[b * d + place] = -1
    }
  }
  return noisy
}

/** Strings [B, d] with room for masks. */
export function emptyMasked(clean: Int32Array, d: number): MaskedStrings {
  const shape = [clean.length / d, d]
  if (!Number.isInteger(shape[0]))
    fail('TL_BAD_ARGUMENT', `strings: expected a multiple of d = ${d} symbols, got ${clean.length}`)
  return {
    clean: tensor(clean, { shape }),
    noisy: tensor(new Int32Array(clean.length), { shape }),
    weight: tensor(new Float32Array(clean.length), { shape }),
  }
}

/** Mask the strings of a batch in place, `counts` of each. */
function fill({ clean, noisy, weight }: MaskedStrings, counts: ArrayLike<number>, key: random.Key): void {
  const d = clean.shape[1]!
  const masked = maskSome(clean.data as Int32Array, d, counts, key)
  ;(noisy.data as Int32Array).set(masked)
  const weights = weight.data as Float32Array
  for (let at = 0; at < masked.length; at++)
    weights[at] = masked[at]! < 0 ? 1 / counts[Math.floor(at / d)]! : 0
}

/** Mask the strings of a batch anew, in place: an `augment` of `train`. */
export function remask(strings: MaskedStrings, key: random.Key): undefined {
  const [count, d] = strings.clean.shape as [number, number]
  const [forCounts, forPlaces] = random.split(key)
  fill(strings, maskCounts(count, d, forCounts), forPlaces)
}

/** Strings [B, d] masked once, for losses that can be compared from one step of training to another. */
export function fixedMasks(clean: Int32Array, d: number, key: random.Key): MaskedStrings {
  const strings = emptyMasked(clean, d)
  const count = clean.length / d
  const [forCounts, forOrder, forPlaces] = random.split(key, 3)
  // in random order: neighbours are often from one page
  const sorted = maskCounts(count, d, forCounts)
  fill(
    strings,
    Int32Array.from(random.samplePermutation(forOrder, count), (at) => sorted[at]!),
    forPlaces,
  )
  return strings
}
