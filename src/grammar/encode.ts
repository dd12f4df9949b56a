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
