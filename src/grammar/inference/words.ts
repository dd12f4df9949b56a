/**
 * @file Random words for samples, many at once: the same bits as `random.foldIn`, without its allocations. Word w of sample t
 * of datum b under a key is half w mod 2 of foldIn(foldIn(foldIn(key, b), t), ⌊w/2⌋), so that it depends on nothing else:
 * neither on how many data or samples there are nor on who computes them.
 */
import { random } from '../../tensor/index.ts'

const parity = 0x1bd11bda

/** The block of a key, Threefry 2×32 with 20 rounds (Salmon et al. 2011), into out[first] and out[second]: foldIn(key, block). */
function threefry(
  k0: number,
  k1: number,
  block: number,
  out: Int32Array,
  first: number,
  second: number,
): void {
  const k2 = k0 ^ k1 ^ parity
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

/** Keys of samples start … start + count − 1 of one datum, [count, 2]. */
export function sampleKeys(key: random.Key, datum: number, start: number, count: number): Int32Array {
  const own = random.foldIn(key, datum)
  const keys = new Int32Array(count * 2)
  for (let t = 0; t < count; t++) threefry(own[0] | 0, own[1] | 0, start + t, keys, 2 * t, 2 * t + 1)
  return keys
}

/** Words 2·block and 2·block + 1 of every sample, their upper 31 bits, into `out` [2, count]. */
export function fillWords(keys: Int32Array, block: number, out: Int32Array): void {
  const count = keys.length >> 1
  for (let t = 0; t < count; t++) {
    threefry(keys[2 * t]!, keys[2 * t + 1]!, block, out, t, count + t)
    out[t]! >>>= 1
    out[count + t]! >>>= 1
  }
}
