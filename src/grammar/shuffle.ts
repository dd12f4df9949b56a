/** @file Distinct numbers: the beginning of a shuffle, in memory and time of what is taken from it. */
import { finish, type Steps } from '../base/index.ts'
import { random } from '../tensor/index.ts'

/**
 * The first `count` places of a Fisher–Yates shuffle of 0 … total − 1, Float64Array [count]; total ≤ 2^32. Only places that
 * were swapped are kept, unless they are many. Each place is chosen by 64 random bits modulo what is left: no number is
 * likelier than another by more than 2^−32. The first places are the same whatever the count.
 */
export const shuffledNumbers = (key: random.Key, count: number, total: number): Float64Array =>
  finish(shuffling(key, count, total))

/** Numbers of one step. */
const block = 1 << 14

/** The same in steps. */
export function* shuffling(key: random.Key, count: number, total: number): Steps<Float64Array> {
  let words: Uint32Array = new Uint32Array()
  const dense = total <= 8 * count ? Float64Array.from({ length: total }, (_, i) => i) : undefined
  const moved = new Map<number, number>()
  const out = new Float64Array(count)
  for (let i = 0; i < count; i++) {
    const at = 2 * (i % block)
    if (at === 0) {
      yield
      words = random.sampleBits(key, 2 * Math.min(block, count - i), 2 * i)
    }
    const left = total - i
    const low = words[at + 1]!
    // 64 bits modulo `left` in three steps, each below 2^49 and so exact
    let offset = words[at]! % left
    offset = (offset * 2 ** 16 + (low >>> 16)) % left
    offset = (offset * 2 ** 16 + (low & 0xffff)) % left
    const chosen = i + offset
    if (dense) {
      out[i] = dense[chosen]!
      dense[chosen] = dense[i]!
    } else {
      out[i] = moved.get(chosen) ?? chosen
      moved.set(chosen, moved.get(i) ?? i)
      moved.delete(i)
    }
  }
  return out
}
