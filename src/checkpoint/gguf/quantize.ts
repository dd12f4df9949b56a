/** @file From f32 to the element types that are written: F32, F16 and Q8_0. */
import { fail } from '../../base/index.ts'
import { encodeF32 } from '../convertDtype.ts'

/** Encode whole blocks; `what` names the tensor in messages. */
export type BlockEncoder = (values: Float32Array, what: string) => Uint8Array

/** The types that values can be written as. */
export const encoders = {
  F32: (values) => encodeF32(values, 'F32'),
  F16: (values) => encodeF32(values, 'F16'),
  BF16: (values) => encodeF32(values, 'BF16'),
  Q8_0: encodeQ8_0,
} as const satisfies Record<string, BlockEncoder>

/** Halves away from zero, as C's roundf, which ggml uses; the sum is exact in f64 for an f32 below 2^29. */
const roundAway = (x: number): number => (x < 0 ? x - 0.5 : x + 0.5) | 0

/**
 * Per block of 32: d = max|w| / 127 in f32, q = round(w · (1/d)) with the unrounded d, d stored as f16 (quantize_row_q8_0
 * of ggml, bit for bit). Throws `TL_NOT_FINITE` for NaN, infinity, or a scale that f16 cannot hold.
 */
function encodeQ8_0(values: Float32Array, what: string): Uint8Array {
  const blocks = values.length / 32
  const scales = new Float32Array(blocks)
  const out = new Uint8Array(blocks * 34)
  for (let b = 0; b < blocks; b++) {
    let largest = 0
    for (let j = b * 32; j < b * 32 + 32; j++) {
      const size = Math.abs(values[j]!)
      if (!(size < Number.POSITIVE_INFINITY))
        fail('TL_NOT_FINITE', `${what}: a weight is ${values[j]}, which Q8_0 cannot hold: write F16 or F32`)
      if (size > largest) largest = size
    }
    const d = Math.fround(largest / 127)
    // 65520 is the first number that rounds to infinity in f16
    if (d >= 65520) fail('TL_NOT_FINITE', `${what}: a weight of ±${largest} is too large for Q8_0: write F32`)
    scales[b] = d
    const inverse = d === 0 ? 0 : Math.fround(1 / d)
    for (let j = 0; j < 32; j++) out[b * 34 + 2 + j] = roundAway(Math.fround(values[b * 32 + j]! * inverse))
  }
  const codes = encodeF32(scales, 'F16')
  for (let b = 0; b < blocks; b++) out.set(codes.subarray(2 * b, 2 * b + 2), b * 34)
  return out
}
