/** @file Fourier transforms in place: fast ones of lengths that are powers of two, sums of others. */
import { fail } from '../base/index.ts'

/** A complex array, its two parts side by side. */
export interface Complex {
  readonly re: Float64Array
  readonly im: Float64Array
}

/** Space for `n` complex numbers, all 0. */
export const zeros = (n: number): Complex => ({ re: new Float64Array(n), im: new Float64Array(n) })

/** Swap each place with that of its reversed bits. */
function reverseBits(x: Float64Array, y: Float64Array, at: number, n: number, stride: number): void {
  for (let i = 1, j = 0; i < n; i++) {
    let bit = n >> 1
    for (; j & bit; bit >>= 1) j ^= bit
    j ^= bit
    if (i >= j) continue
    const [a, b] = [at + i * stride, at + j * stride]
    ;[x[a], x[b]] = [x[b]!, x[a]!]
    ;[y[a], y[b]] = [y[b]!, y[a]!]
  }
}

interface Turn {
  readonly cos: Float64Array
  readonly sin: Float64Array
}

/** Cosines and sines of the first `count` of the n-th parts of a turn. */
const turnOf = (n: number, count: number): Turn => {
  const angle = (k: number): number => (2 * Math.PI * k) / n
  return {
    cos: Float64Array.from({ length: count }, (_, k) => Math.cos(angle(k))),
    sin: Float64Array.from({ length: count }, (_, k) => Math.sin(angle(k))),
  }
}

/** Half turns of fast transforms and whole turns of others, by their length, kept. */
const [halfTurns, wholeTurns] = [new Map<number, Turn>(), new Map<number, Turn>()]
function kept(turns: Map<number, Turn>, n: number, count: number): Turn {
  const known = turns.get(n)
  if (known) return known
  const made = turnOf(n, count)
  turns.set(n, made)
  return made
}

/**
 * X_k = Σ_j x_j e^{∓2πi jk/n} of n numbers from `at` on, `stride` apart; without a factor in either direction (a round trip
 * multiplies by n). Cooley and Tukey 1965. Throws TL_BAD_ARGUMENT unless n is a power of two.
 */
export function fft({ re, im }: Complex, { n = re.length, at = 0, stride = 1, inverse = false } = {}): void {
  if (!(Number.isInteger(n) && n >= 1 && (n & (n - 1)) === 0))
    fail('TL_BAD_ARGUMENT', `fft: expected a length that is a power of two, got ${n}`)
  if (n === 1) return
  reverseBits(re, im, at, n, stride)
  const { cos, sin } = kept(halfTurns, n, n / 2)
  const sign = inverse ? 1 : -1
  for (let size = 2; size <= n; size *= 2) {
    const half = size / 2
    const step = n / size
    for (let start = 0; start < n; start += size)
      for (let k = 0; k < half; k++) {
        const c = cos[k * step]!
        const s = sign * sin[k * step]!
        const a = at + (start + k) * stride
        const b = a + half * stride
        const x = re[b]! * c - im[b]! * s
        const y = re[b]! * s + im[b]! * c
        re[b] = re[a]! - x
        im[b] = im[a]! - y
        re[a] = re[a]! + x
        im[a] = im[a]! + y
      }
  }
}

/** The same of any length, by its sums: n² products. */
function fourierSums({ re, im }: Complex, n: number, at: number, stride: number, inverse: boolean): void {
  const { cos, sin } = kept(wholeTurns, n, n)
  const sign = inverse ? 1 : -1
  const [a, b] = [new Float64Array(n), new Float64Array(n)]
  for (let k = 0; k < n; k++)
    for (let j = 0, turn = 0; j < n; j++, turn = (turn + k) % n) {
      const [x, y] = [re[at + j * stride]!, im[at + j * stride]!]
      a[k]! += x * cos[turn]! - sign * y * sin[turn]!
      b[k]! += y * cos[turn]! + sign * x * sin[turn]!
    }
  for (let k = 0; k < n; k++) {
    re[at + k * stride] = a[k]!
    im[at + k * stride] = b[k]!
  }
}

/** Along every axis of a field with `side` points, any number, in each of `dimensions` directions. */
export function fftField(field: Complex, side: number, dimensions: number, inverse = false): void {
  const count = side ** dimensions
  const isFast = (side & (side - 1)) === 0
  for (let axis = 0; axis < dimensions; axis++) {
    const stride = side ** axis
    for (let start = 0; start < count; start += stride * side)
      for (let offset = 0; offset < stride; offset++)
        if (isFast) fft(field, { n: side, at: start + offset, stride, inverse })
        else fourierSums(field, side, start + offset, stride, inverse)
  }
}
