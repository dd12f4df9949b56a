/**
 * @file The generator of Python's module `random`, so that seeds of published code give the published rules: the Mersenne Twister
 * MT19937 (Matsumoto & Nishimura 1998), seeded by a whole number, and sampling without replacement as CPython does it.
 */
import { fail } from '../base/index.ts'

const size = 624
const shift = 397

/** State from one number. */
function fill(seed: number): Uint32Array {
  const state = new Uint32Array(size)
  state[0] = seed
  for (let i = 1; i < size; i++) {
    const before = state[i - 1]! ^ (state[i - 1]! >>> 30)
    state[i] = Math.imul(1812433253, before) + i
  }
  return state
}

/** State from an array of 32-bit numbers, of at most 624. */
function fillFrom(keys: readonly number[]): Uint32Array {
  const state = fill(19650218)
  let i = 1
  const mix = (factor: number): number => {
    const before = state[i - 1]! ^ (state[i - 1]! >>> 30)
    return state[i]! ^ Math.imul(before, factor)
  }
  const next = (): void => {
    if (++i < size) return
    state[0] = state[size - 1]!
    i = 1
  }
  for (let k = 0; k < size; k++) {
    state[i] = mix(1664525) + keys[k % keys.length]! + (k % keys.length)
    next()
  }
  for (let k = 1; k < size; k++) {
    state[i] = mix(1566083941) - i
    next()
  }
  state[0] = 0x80000000
  return state
}

/** `random.Random(seed)`, as far as it is needed. */
interface PythonRandom {
  /** `getrandbits(bits)`, 1 ≤ bits ≤ 32. */
  bits(bits: number): number
  /** `sample(range(n), count)`: distinct numbers below n, n < 2^32. */
  sample(n: number, count: number): Uint32Array
}

/** Throws TL_BAD_ARGUMENT for a seed that is no whole number from 0 to 2^53 − 1. */
export function pythonRandom(seed: number): PythonRandom {
  if (!Number.isSafeInteger(seed) || seed < 0)
    fail('TL_BAD_ARGUMENT', `seed: expected a whole number from 0 to 2^53 − 1, got ${seed}`)
  const high = Math.floor(seed / 2 ** 32)
  const state = fillFrom(high > 0 ? [seed >>> 0, high] : [seed])
  let used = size
  const twist = (): void => {
    for (let i = 0; i < size; i++) {
      const y = (state[i]! & 0x80000000) | (state[(i + 1) % size]! & 0x7fffffff)
      state[i] = state[(i + shift) % size]! ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0)
    }
    used = 0
  }
  const word = (): number => {
    if (used === size) twist()
    let y = state[used++]!
    y ^= y >>> 11
    y ^= (y << 7) & 0x9d2c5680
    y ^= (y << 15) & 0xefc60000
    return (y ^ (y >>> 18)) >>> 0
  }
  const bits = (count: number): number => word() >>> (32 - count)
  /** A number below n, by rejection. */
  const below = (n: number): number => {
    const length = 32 - Math.clz32(n)
    let found = bits(length)
    while (found >= n) found = bits(length)
    return found
  }
  return { bits, sample: (n, count) => sampleBelow(below, n, count) }
}

/** A list is shuffled as far as needed where it is small beside a set of the chosen, else numbers are drawn until they are new. */
function sampleBelow(below: (n: number) => number, n: number, count: number): Uint32Array {
  if (!(count >= 0 && count <= n))
    fail('TL_BAD_ARGUMENT', `sample: expected at most ${n} of ${n}, got ${count}`)
  const setSize = 21 + (count > 5 ? 4 ** Math.ceil(Math.log(3 * count) / Math.log(4)) : 0)
  const chosen = new Uint32Array(count)
  if (n <= setSize) {
    const pool = Uint32Array.from({ length: n }, (_, i) => i)
    for (let i = 0; i < count; i++) {
      const j = below(n - i)
      chosen[i] = pool[j]!
      pool[j] = pool[n - i - 1]!
    }
    return chosen
  }
  const seen = new Set<number>()
  for (let i = 0; i < count; i++) {
    let j = below(n)
    while (seen.has(j)) j = below(n)
    seen.add(j)
    chosen[i] = j
  }
  return chosen
}
