/**
 * @file Random numbers as pure functions of a key. Functions that return tensors work in graphs; those named `sample…` fill
 * typed arrays at once, with the same bits. Keys, bits, splits and uniform numbers are bit for bit those of `jax.random`
 * (partitionable Threefry, 32-bit).
 */
import { foldIn, type Key, key, split, threefryWords } from '../base/index.ts'
import { requireFloat } from './dtype.ts'
import { fail } from './mistake.ts'
import { add, log, minimum, mul, neg, sqrt, sub } from './ops/arithmetic.ts'
import { gather } from './ops/gather.ts'
import { bitXor, cast, less, shiftRight, where } from './ops/logic.ts'
import { select } from './ops/pieces.ts'
import { randomWords } from './ops/random.ts'
import { argmax } from './ops/reduce.ts'
import { scalar, Tensor, tensor } from './tensor.ts'

export { foldIn, type Key, key, split }

/** A key as a tensor u32[2], to be an input of a program. */
export const keyTensor = (k: Key): Tensor => tensor(Uint32Array.from(k))
function asTensor(k: Key | Tensor): Tensor {
  if (k instanceof Tensor) return k
  requireKey(k)
  return keyTensor(k)
}
function requireKey(k: Key): void {
  if (!Array.isArray(k) || k.length !== 2)
    fail('TL_BAD_ARGUMENT', `expected a key of randomness (random.key(seed)), got ${String(k)}`)
}

/** Keys u32[count, 2] split from a key inside a graph. */
export const splitTensor = (k: Tensor, count = 2): Tensor => randomWords(k, [count])

/** `foldIn` inside a graph, for a number known when the graph is built. */
export const foldInTensor = (k: Tensor, data: number): Tensor => randomWords(k, [], data >>> 0)

/** Uniform 32-bit words. */
export const bits = (k: Key | Tensor, shape: readonly number[]): Tensor => {
  const words = randomWords(asTensor(k), shape)
  return bitXor(select(words, -1, 0), select(words, -1, 1))
}

/** Uniform f32 in [low, high), with 23 random bits. */
export function uniform(
  k: Key | Tensor,
  shape: readonly number[],
  { low = 0, high = 1 }: { low?: number; high?: number } = {},
): Tensor {
  const unit = mul(cast(shiftRight(bits(k, shape), 9), 'f32'), 2 ** -23)
  if (low === 0 && high === 1) return unit
  if (!(Number.isFinite(low) && Number.isFinite(high) && low < high))
    fail('TL_BAD_ARGUMENT', `uniform: expected finite bounds low < high, got low ${low}, high ${high}`)
  return add(mul(unit, Math.fround(high) - Math.fround(low)), low)
}

// Inverse error function in single precision (Giles 2012): two polynomials in w = −log(1 − x²).
type Nine = readonly [number, number, number, number, number, number, number, number, number]
const gilesCentral: Nine = [
  2.81022636e-8, 3.43273939e-7, -3.5233877e-6, -4.39150654e-6, 0.00021858087, -0.00125372503, -0.00417768164,
  0.246640727, 1.50140941,
]
const gilesTail: Nine = [
  -0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773, -0.0076224613, 0.00943887047,
  1.00167406, 2.83297682,
]

/** The inverse of erf on (−1, 1), to single precision. */
export function erfInverse(x: Tensor): Tensor {
  requireFloat('erfInverse', x)
  const w = neg(log(mul(sub(1, x), add(x, 1))))
  const polynomial = (c: readonly number[], t: Tensor): Tensor =>
    c.slice(1).reduce((p, a) => add(mul(p, t), a), scalar(c[0]!, t.dtype))
  const central = polynomial(gilesCentral, sub(w, 2.5))
  const tail = polynomial(gilesTail, sub(sqrt(where(less(w, 5), 5, w)), 3))
  return mul(where(less(w, 5), central, tail), x)
}

const belowOne = Math.fround(1 - 2 ** -24)

/** Standard normal f32. */
export function normal(k: Key | Tensor, shape: readonly number[]): Tensor {
  const low = -belowOne
  return mul(erfInverse(minimum(uniform(k, shape, { low, high: 1 }), belowOne)), Math.SQRT2)
}

/** True with probability p. */
export const bernoulli = (k: Key | Tensor, p: number | Tensor, shape: readonly number[]): Tensor =>
  less(uniform(k, shape), p)

/** Standard Gumbel f32. */
export function gumbel(k: Key | Tensor, shape: readonly number[]): Tensor {
  const tiny = 1.1754943508222875e-38
  const u = uniform(k, shape)
  return neg(log(neg(log(where(less(u, tiny), tiny, u)))))
}

/** An index (i32) for each row of logits [..., C], drawn with probability softmax(logits). */
export const categorical = (k: Key | Tensor, logits: Tensor): Tensor =>
  argmax(add(cast(logits, 'f32'), gumbel(k, logits.shape)), -1)

/** Rounds of sorting by random words after which equal words hardly matter (as in JAX). */
const shuffleRounds = (n: number): number => Math.ceil((3 * Math.log(Math.max(1, n))) / Math.log(2 ** 32 - 1))

/** A random order of 0 … n − 1, or of the rows of a tensor. The key is concrete: rounds split it on the host. */
export function permutation(k: Key, x: number | Tensor): Tensor {
  const n = typeof x === 'number' ? x : x.shape[0]!
  const order = tensor(Int32Array.from(samplePermutation(k, n)))
  return typeof x === 'number' ? order : gather(x, order, 0)
}

// --- on the host ---

/** Uniform 32-bit words `from` … `from` + n − 1 of a key. */
export function sampleBits(k: Key, n: number, from = 0): Uint32Array {
  requireKey(k)
  if (!Number.isSafeInteger(n) || n < 0)
    fail('TL_BAD_ARGUMENT', `expected a number of samples, a whole number ≥ 0, got ${String(n)}`)
  const out = new Uint32Array(n)
  threefryWords(k, from, out)
  return out
}

/** A word as a number in [0, 1), a multiple of 2^−23. */
export const unitOfWord = (word: number): number => (word >>> 9) * 2 ** -23

/** Uniform numbers in [0, 1) with 23 random bits, as `uniform`. */
export function sampleUniform(k: Key, n: number): Float32Array {
  const words = sampleBits(k, n)
  const out = new Float32Array(n)
  for (let i = 0; i < n; i++) out[i] = unitOfWord(words[i]!)
  return out
}

/** The polynomials above by Horner's rule, written out: a loop over the coefficients takes three times as long. */
const [c0, c1, c2, c3, c4, c5, c6, c7, c8] = gilesCentral
const [t0, t1, t2, t3, t4, t5, t6, t7, t8] = gilesTail
const central = (w: number): number =>
  (((((((c0 * w + c1) * w + c2) * w + c3) * w + c4) * w + c5) * w + c6) * w + c7) * w + c8
const tail = (w: number): number =>
  (((((((t0 * w + t1) * w + t2) * w + t3) * w + t4) * w + t5) * w + t6) * w + t7) * w + t8

/** A word as a standard normal number, the larger the larger; all are within ±5.5. */
export function normalOfWord(word: number): number {
  const x = Math.min(Math.fround(Math.fround(unitOfWord(word) * (1 + belowOne)) - belowOne), belowOne)
  const w = -Math.log((1 - x) * (1 + x))
  return Math.SQRT2 * x * (w < 5 ? central(w - 2.5) : tail(Math.sqrt(w) - 3))
}

/** Standard normal numbers, as `normal` up to rounding. */
export function sampleNormal(k: Key, n: number): Float32Array {
  const words = sampleBits(k, n)
  const out = new Float32Array(n)
  for (let i = 0; i < n; i++) out[i] = normalOfWord(words[i]!)
  return out
}

/**
 * An integer 0 … bound − 1 for each of n draws, from 64 random bits modulo the bound. Up to a bound of 2^16 these are the
 * numbers of `jax.random.randint`, which keeps only 32 bits beyond.
 */
export function sampleIntegers(k: Key, n: number, bound: number): Int32Array {
  if (!(Number.isInteger(bound) && bound >= 1 && bound <= 2 ** 31))
    fail('TL_BAD_ARGUMENT', `sampleIntegers: expected a bound between 1 and 2^31, got ${bound}`)
  const [high, low] = split(k).map((half) => sampleBits(half, n)) as [Uint32Array, Uint32Array]
  const out = new Int32Array(n)
  if (bound <= 2 ** 21) {
    const step = 2 ** 32 % bound
    for (let i = 0; i < n; i++) out[i] = ((high[i]! % bound) * step + (low[i]! % bound)) % bound
  } else {
    // the product would not fit a double
    const wide = BigInt(bound)
    for (let i = 0; i < n; i++) out[i] = Number(((BigInt(high[i]!) << 32n) | BigInt(low[i]!)) % wide)
  }
  return out
}

/** A random order of 0 … n − 1: repeated stable sorts by random words. */
export function samplePermutation(k: Key, n: number): Uint32Array {
  let order = Uint32Array.from({ length: n }, (_, i) => i)
  let current = k
  for (let round = 0; round < shuffleRounds(n); round++) {
    const [next, sub] = split(current)
    current = next
    const words = sampleBits(sub, n)
    const packed = Float64Array.from(words, (w, i) => w * 2 ** 21 + i)
    if (n > 2 ** 21) {
      const places = Array.from({ length: n }, (_, i) => i).sort((a, b) => words[a]! - words[b]! || a - b)
      order = Uint32Array.from(places, (i) => order[i]!)
    } else {
      const previous = order
      order = Uint32Array.from(packed.sort(), (v) => previous[v % 2 ** 21]!)
    }
  }
  return order
}
