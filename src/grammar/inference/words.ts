/**
 * @file Random words for samples, many at once: the same bits as `random.foldIn`, without its allocations. Word w of sample t
 * of datum b under a key is half w mod 2 of foldIn(foldIn(foldIn(key, b), t), ⌊w/2⌋), so that it depends on nothing else:
 * neither on how many data or samples there are nor on who computes them.
 */
import { threefryBlock } from '../../base/index.ts'
import { random } from '../../tensor/index.ts'

/** Keys of samples start … start + count − 1 of one datum, [count, 2]. */
export function sampleKeys(key: random.Key, datum: number, start: number, count: number): Int32Array {
  const own = random.foldIn(key, datum)
  const keys = new Int32Array(count * 2)
  for (let t = 0; t < count; t++) threefryBlock(own[0] | 0, own[1] | 0, start + t, keys, 2 * t, 2 * t + 1)
  return keys
}

/** Words 2·block and 2·block + 1 of every sample, their upper 31 bits, into `out` [2, count]. */
export function fillWords(keys: Int32Array, block: number, out: Int32Array): void {
  const count = keys.length >> 1
  for (let t = 0; t < count; t++) {
    threefryBlock(keys[2 * t]!, keys[2 * t + 1]!, block, out, t, count + t)
    out[t]! >>>= 1
    out[count + t]! >>>= 1
  }
}
