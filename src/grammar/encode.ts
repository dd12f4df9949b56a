/** @file Strings as networks take them. Tokens are the leaves as they are, Int32Array [count, d]. */
import { fail } from '../base/index.ts'

/**
 * One-hot rows Float32Array [count, d, v] of leaves [count, d] (any shape, v is appended). A leaf of −1, not known, is a row
 * of zeros. Throws TL_BAD_ARGUMENT for a symbol outside 0 … v − 1.
 */
export function oneHot(leaves: ArrayLike<number>, v: number): Float32Array {
  const out = new Float32Array(leaves.length * v)
  for (let i = 0; i < leaves.length; i++) {
    const symbol = leaves[i]!
    if (!(symbol >= -1 && symbol < v))
      fail(
        'TL_BAD_ARGUMENT',
        `leaves[${i}]: expected a symbol 0 … ${v - 1} (or −1, not known), got ${symbol}`,
      )
    if (symbol >= 0) out[i * v + symbol] = 1
  }
  return out
}

/**
 * (x − 1/v)/√(1 − 1/v) of one-hot rows: they sum to zero and have unit norm, so that no symbol stands out (the encoding of
 * Sclocchi et al. 2025, SI). Returns a new array. Throws TL_BAD_ARGUMENT for v = 1, whose rows would be 0/0.
 */
export function whiten(x: ArrayLike<number>, v: number): Float32Array {
  if (v < 2) fail('TL_BAD_ARGUMENT', `whiten: expected v ≥ 2 symbols, got ${v} (one symbol has no deviation)`)
  const scale = 1 / Math.sqrt(1 - 1 / v)
  return Float32Array.from(x, (value) => (value - 1 / v) * scale)
}

function checkSymbol(leaves: Int32Array, at: number, v: number): number {
  const symbol = leaves[at]!
  if (symbol >= 0 && symbol < v) return symbol
  return fail('TL_BAD_ARGUMENT', `leaves[${at}]: expected a symbol 0 … ${v - 1}, got ${symbol}`)
}

/**
 * The last `width` tokens of strings [count, d] as a network takes them that predicts the last one: one-hot rows of norm √v,
 * the last of them all zeros, [count, width, v]; and the last tokens, [count]. Throws TL_BAD_ARGUMENT as `oneHot` does, and
 * for a width outside 1 … d.
 */
export function lastTokenInputs(
  leaves: Int32Array,
  { d, v, width }: { readonly d: number; readonly v: number; readonly width: number },
): { x: Float32Array; last: Int32Array } {
  if (!(Number.isInteger(width) && width >= 1 && width <= d))
    fail('TL_BAD_ARGUMENT', `width: expected an integer from 1 to ${d} tokens, got ${width}`)
  const count = leaves.length / d
  const x = new Float32Array(count * width * v)
  const last = new Int32Array(count)
  const norm = Math.sqrt(v)
  for (let i = 0; i < count; i++) {
    const first = (i + 1) * d - width
    for (let t = 0; t < width - 1; t++) x[(i * width + t) * v + checkSymbol(leaves, first + t, v)] = norm
    last[i] = checkSymbol(leaves, first + width - 1, v)
  }
  return { x, last }
}

/**
 * The last `width` tokens of strings [count, d] for a network that predicts every next one: tokens [count, width − 1], and the
 * token after each, [count, width − 1]. Throws TL_BAD_ARGUMENT for a width outside 2 … d.
 */
export function nextTokenInputs(
  leaves: Int32Array,
  { d, width }: { readonly d: number; readonly width: number },
): { tokens: Int32Array; next: Int32Array } {
  if (!(Number.isInteger(width) && width >= 2 && width <= d))
    fail('TL_BAD_ARGUMENT', `width: expected an integer from 2 to ${d} tokens, got ${width}`)
  const count = leaves.length / d
  const [tokens, next] = [new Int32Array(count * (width - 1)), new Int32Array(count * (width - 1))]
  for (let i = 0; i < count; i++) {
    const end = (i + 1) * d
    tokens.set(leaves.subarray(end - width, end - 1), i * (width - 1))
    next.set(leaves.subarray(end - width + 1, end), i * (width - 1))
  }
  return { tokens, next }
}
