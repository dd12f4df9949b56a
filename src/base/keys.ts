/**
 * @file Counter-based keys of randomness: Threefry 2×32 with 20 rounds (Salmon et al. 2011), laid out as JAX does with
 * `jax_threefry_partitionable`: what comes of a key depends on the key and a counter alone.
 */
import { fail } from './errors.ts'

/** Two words of 32 bits, as plain numbers. */
export type Key = readonly [number, number]

const rotations = [
  [13, 15, 26, 6],
  [17, 29, 16, 24],
] as const

/** What Threefry joins to the words of a key. */
export const threefryParity = 0x1bd11bda

/** The rotations of its rounds, in two groups of four that take turns. */
export const threefryRotations: readonly (readonly number[])[] = rotations

/** One block: two words of counter under two words of key, as unsigned 32-bit numbers. */
export function threefry2x32(
  key0: number,
  key1: number,
  counter0: number,
  counter1: number,
): [number, number] {
  const keys = [key0, key1, key0 ^ key1 ^ threefryParity]
  let x = (counter0 + key0) | 0
  let y = (counter1 + key1) | 0
  for (let group = 0; group < 5; group++) {
    for (const r of rotations[group % 2]!) {
      x = (x + y) | 0
      y = ((y << r) | (y >>> (32 - r))) ^ x
    }
    x = (x + keys[(group + 1) % 3]!) | 0
    y = (y + keys[(group + 2) % 3]! + group + 1) | 0
  }
  return [x >>> 0, y >>> 0]
}

/**
 * The block of the counters 0, `block` under a key into out[first] and out[second]: the same as `threefry2x32`, without an array for
 * it; the rounds are written out because shifts by constants are faster.
 */
export function threefryBlock(
  k0: number,
  k1: number,
  block: number,
  out: Int32Array,
  first: number,
  second: number,
): void {
  const k2 = k0 ^ k1 ^ threefryParity
  let x = k0
  let y = (block + k1) | 0
  x = (x + y) | 0
  y = ((y << 13) | (y >>> 19)) ^ x
  x = (x + y) | 0
  y = ((y << 15) | (y >>> 17)) ^ x
  x = (x + y) | 0
  y = ((y << 26) | (y >>> 6)) ^ x
  x = (x + y) | 0
  y = ((y << 6) | (y >>> 26)) ^ x
  x = (x + k1) | 0
  y = (y + k2 + 1) | 0
  x = (x + y) | 0
  y = ((y << 17) | (y >>> 15)) ^ x
  x = (x + y) | 0
  y = ((y << 29) | (y >>> 3)) ^ x
  x = (x + y) | 0
  y = ((y << 16) | (y >>> 16)) ^ x
  x = (x + y) | 0
  y = ((y << 24) | (y >>> 8)) ^ x
  x = (x + k2) | 0
  y = (y + k0 + 2) | 0
  x = (x + y) | 0
  y = ((y << 13) | (y >>> 19)) ^ x
  x = (x + y) | 0
  y = ((y << 15) | (y >>> 17)) ^ x
  x = (x + y) | 0
  y = ((y << 26) | (y >>> 6)) ^ x
  x = (x + y) | 0
  y = ((y << 6) | (y >>> 26)) ^ x
  x = (x + k0) | 0
  y = (y + k1 + 3) | 0
  x = (x + y) | 0
  y = ((y << 17) | (y >>> 15)) ^ x
  x = (x + y) | 0
  y = ((y << 29) | (y >>> 3)) ^ x
  x = (x + y) | 0
  y = ((y << 16) | (y >>> 16)) ^ x
  x = (x + y) | 0
  y = ((y << 24) | (y >>> 8)) ^ x
  x = (x + k1) | 0
  y = (y + k2 + 4) | 0
  x = (x + y) | 0
  y = ((y << 13) | (y >>> 19)) ^ x
  x = (x + y) | 0
  y = ((y << 15) | (y >>> 17)) ^ x
  x = (x + y) | 0
  y = ((y << 26) | (y >>> 6)) ^ x
  x = (x + y) | 0
  y = ((y << 6) | (y >>> 26)) ^ x
  out[first] = x + k2
  out[second] = y + k0 + 5
}

/** Blocks of the counters 0, `from` + i under a key, the two words of each joined by xor: what uniform bits are made of. */
export function threefryWords([key0, key1]: Key, from: number, out: Uint32Array): void {
  const block = new Int32Array(2)
  for (let i = 0; i < out.length; i++) {
    threefryBlock(key0 | 0, key1 | 0, from + i, block, 0, 1)
    out[i] = block[0]! ^ block[1]!
  }
}

/** A key from a seed: an integer of up to 53 bits. Throws TL_BAD_ARGUMENT for anything else. */
export function key(seed: number): Key {
  if (!Number.isSafeInteger(seed) || seed < 0)
    fail('TL_BAD_ARGUMENT', `key: expected a seed that is an integer between 0 and 2^53 − 1, got ${seed}`)
  return [Math.floor(seed / 2 ** 32), seed >>> 0]
}

/** So many keys, one by one where the number is written out and small. */
type Keys<N extends number, Found extends Key[] = []> = number extends N
  ? Key[]
  : Found['length'] extends N
    ? Found
    : Found['length'] extends 8
      ? Key[]
      : Keys<N, [...Found, Key]>

/** `count` independent keys, two when nobody says: `const [a, b, c] = split(k, 3)`. */
export const split = <N extends number = 2>(k: Key, count: N = 2 as N): Keys<N> =>
  Array.from({ length: count }, (_, i) => threefry2x32(k[0], k[1], 0, i)) as Keys<N>

/** A key for a number (a step, a layer, an example) under a key. */
export const foldIn = (k: Key, data: number): Key => threefry2x32(k[0], k[1], 0, data >>> 0)
