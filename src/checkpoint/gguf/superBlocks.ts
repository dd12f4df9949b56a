/**
 * @file Super-blocks of 256 weights ("K-quants"): f16 scales of small integer scales of 16 or 32 weights each. Layouts
 * as in ggml-common.h of ggml-org/ggml (block_q2_K …). Every product below has at most 24 significant bits, so the one
 * rounding is that of the final sum, and results equal ggml's bit for bit.
 */
import { halfValues } from './half.ts'

const halfAt = (half: Float32Array, raw: Uint8Array, at: number): number =>
  half[raw[at]! | (raw[at + 1]! << 8)]!

/** 84 bytes: 16 × (4-bit scale, 4-bit minimum), 64 bytes of 2-bit q, f16 d, f16 dmin; w = d·scale·q − dmin·minimum. */
export function decodeQ2K(raw: Uint8Array, blocks: number, out: Float32Array): void {
  const half = halfValues()
  for (let b = 0, at = 0; b < blocks; b++, at += 84) {
    const d = halfAt(half, raw, at + 80)
    const dmin = halfAt(half, raw, at + 82)
    for (let group = 0; group < 16; group++) {
      const scale = d * (raw[at + group]! & 15)
      const minimum = dmin * (raw[at + group]! >> 4)
      const { byte, shift } = twoBits(group)
      const to = b * 256 + group * 16
      for (let j = 0; j < 16; j++) out[to + j] = scale * ((raw[at + 16 + byte + j]! >> shift) & 3) - minimum
    }
  }
}

/** Where the 2-bit parts of a group of 16 weights lie: four groups of 32 weights share 32 bytes. */
const twoBits = (group: number) => ({
  byte: (group >> 3) * 32 + (group & 1) * 16,
  shift: ((group >> 1) & 3) * 2,
})

/** 110 bytes: 32 bytes of third bits, 64 bytes of 2-bit q, 16 6-bit scales, f16 d; w = d·(scale − 32)·(q − 4). */
export function decodeQ3K(raw: Uint8Array, blocks: number, out: Float32Array): void {
  const half = halfValues()
  for (let b = 0, at = 0; b < blocks; b++, at += 110) {
    const d = halfAt(half, raw, at + 108)
    for (let group = 0; group < 16; group++) {
      const scale = d * (scaleQ3K(raw, at + 96, group) - 32)
      const { byte, shift } = twoBits(group)
      const bit = group >> 1
      const mask = at + (group & 1) * 16
      const to = b * 256 + group * 16
      for (let j = 0; j < 16; j++) {
        const low = (raw[at + 32 + byte + j]! >> shift) & 3
        // the third bit is stored so that 1 means "nothing to subtract"
        out[to + j] = scale * (low - (((raw[mask + j]! >> bit) & 1) === 1 ? 0 : 4))
      }
    }
  }
}

/** 12 bytes hold 16 scales: low nibbles of 0–7, then high nibbles for 8–15; upper two bits in the last four bytes. */
function scaleQ3K(raw: Uint8Array, at: number, group: number): number {
  const low = group < 8 ? raw[at + group]! & 15 : raw[at + group - 8]! >> 4
  return low | (((raw[at + 8 + (group & 3)]! >> (2 * (group >> 2))) & 3) << 4)
}

/** 6-bit scale of one of the 8 groups of 32 in Q4_K and Q5_K: 4 plain ones, then 4 in pieces. */
const scaleQ4K = (raw: Uint8Array, at: number, group: number): number =>
  group < 4 ? raw[at + group]! & 63 : (raw[at + group + 4]! & 15) | ((raw[at + group - 4]! >> 6) << 4)

/** 6-bit minimum of the same group, in the same 12 bytes. */
const minimumQ4K = (raw: Uint8Array, at: number, group: number): number =>
  group < 4 ? raw[at + group + 4]! & 63 : (raw[at + group + 4]! >> 4) | ((raw[at + group]! >> 6) << 4)

/** 144 bytes: f16 d, f16 dmin, 8 × (6-bit scale, 6-bit minimum), nibbles; w = d·scale·q − dmin·minimum. */
export function decodeQ4K(raw: Uint8Array, blocks: number, out: Float32Array): void {
  const half = halfValues()
  for (let b = 0, at = 0; b < blocks; b++, at += 144) {
    const d = halfAt(half, raw, at)
    const dmin = halfAt(half, raw, at + 2)
    for (let group = 0; group < 8; group++) {
      const scale = d * scaleQ4K(raw, at + 4, group)
      const minimum = dmin * minimumQ4K(raw, at + 4, group)
      const from = at + 16 + (group >> 1) * 32
      const shift = (group & 1) * 4
      const to = b * 256 + group * 32
      for (let j = 0; j < 32; j++) out[to + j] = scale * ((raw[from + j]! >> shift) & 15) - minimum
    }
  }
}

/** 176 bytes: as Q4_K, with 32 bytes of fifth bits (bit g for group g) before the nibbles. */
export function decodeQ5K(raw: Uint8Array, blocks: number, out: Float32Array): void {
  const half = halfValues()
  for (let b = 0, at = 0; b < blocks; b++, at += 176) {
    const d = halfAt(half, raw, at)
    const dmin = halfAt(half, raw, at + 2)
    for (let group = 0; group < 8; group++) {
      const scale = d * scaleQ4K(raw, at + 4, group)
      const minimum = dmin * minimumQ4K(raw, at + 4, group)
      const from = at + 48 + (group >> 1) * 32
      const shift = (group & 1) * 4
      const to = b * 256 + group * 32
      for (let j = 0; j < 32; j++) {
        const q = ((raw[from + j]! >> shift) & 15) | (((raw[at + 16 + j]! >> group) & 1) << 4)
        out[to + j] = scale * q - minimum
      }
    }
  }
}

/** 210 bytes: 128 of low nibbles, 64 of upper 2-bit pairs, 16 int8 scales, f16 d; w = d·scale·(q − 32). */
export function decodeQ6K(raw: Uint8Array, blocks: number, out: Float32Array): void {
  const half = halfValues()
  for (let b = 0, at = 0; b < blocks; b++, at += 210) {
    const d = halfAt(half, raw, at + 208)
    for (let group = 0; group < 16; group++) {
      const scale = d * ((raw[at + 192 + group]! << 24) >> 24)
      // rows of 32 weights: two rows side by side in 64 bytes of low nibbles, then the same bytes' high nibbles
      const row = group >> 1
      const within = (group & 1) * 16
      const low = at + (row >> 2) * 64 + (row & 1) * 32 + within
      const lowShift = ((row >> 1) & 1) * 4
      const high = at + 128 + (row >> 2) * 32 + within
      const highShift = (row & 3) * 2
      const to = b * 256 + group * 16
      for (let j = 0; j < 16; j++) {
        const q = ((raw[low + j]! >> lowShift) & 15) | (((raw[high + j]! >> highShift) & 3) << 4)
        out[to + j] = scale * (q - 32)
      }
    }
  }
}
