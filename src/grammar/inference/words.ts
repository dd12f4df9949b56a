/**
 * @file Random words for samples, many at once: the same bits as `random.foldIn`, without its allocations. Word w of sample t
 * of datum b under a key is half w mod 2 of foldIn(foldIn(foldIn(key, b), t), ⌊w/2⌋), so that it depends on nothing else:
 * neither on how many data or samples there are nor on who computes them.
 */
import { random } from '../../tensor/index.ts'

/** Keys of samples start … start + count − 1 of one datum, [count, 2]. */
export function sampleKeys(key: random.Key, datum: number, start: number, count: number): Int32Array {
  const own = random.foldIn(key, datum)
  const keys = new Int32Array(count * 2)
  for (let t = 0; t < count; t++) keys.set(random.foldIn(own, start + t), t * 2)
  return keys
}

const parity = 0x1bd11bda

/**
 * Words 2·block and 2·block + 1 of every sample, their upper 31 bits, into `out` [2, count]: Threefry 2×32, 20 rounds (Salmon
 * et al. 2011).
 */
export function fillWords(keys: Int32Array, block: number, out: Int32Array): void {
  const count = keys.length >> 1
  for (let t = 0; t < count; t++) {
    const k0 = keys[2 * t]!
    const k1 = keys[2 * t + 1]!
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
    out[t] = (x + k2) >>> 1
    out[count + t] = (y + k0 + 5) >>> 1
  }
}
