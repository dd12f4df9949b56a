/**
 * @file Blocks of 32 weights with one scale: w = d·q or d·q + m. Layouts as in ggml-common.h of ggml-org/ggml (block_q4_0
 * …); in the 4- and 5-bit ones the low nibble of byte j is weight j, the high nibble weight j + 16. Products of an f16
 * and a small integer are exact in f32, so results equal ggml's bit for bit.
 */
import { halfValues } from './half.ts'

/** 18 bytes: f16 d, 16 bytes of nibbles; w = d·(q − 8). */
export function decodeQ4_0(raw: Uint8Array, blocks: number, out: Float32Array): void {
  const half = halfValues()
  for (let b = 0, at = 0, to = 0; b < blocks; b++, at += 18, to += 32) {
    const d = half[raw[at]! | (raw[at + 1]! << 8)]!
    for (let j = 0; j < 16; j++) {
      const q = raw[at + 2 + j]!
      out[to + j] = d * ((q & 15) - 8)
      out[to + j + 16] = d * ((q >> 4) - 8)
    }
  }
}

/** 20 bytes: f16 d, f16 m, nibbles; w = d·q + m. */
export function decodeQ4_1(raw: Uint8Array, blocks: number, out: Float32Array): void {
  const half = halfValues()
  for (let b = 0, at = 0, to = 0; b < blocks; b++, at += 20, to += 32) {
    const d = half[raw[at]! | (raw[at + 1]! << 8)]!
    const m = half[raw[at + 2]! | (raw[at + 3]! << 8)]!
    for (let j = 0; j < 16; j++) {
      const q = raw[at + 4 + j]!
      out[to + j] = d * (q & 15) + m
      out[to + j + 16] = d * (q >> 4) + m
    }
  }
}

/** 22 bytes: f16 d, 32 fifth bits, nibbles; w = d·(q − 16). */
export function decodeQ5_0(raw: Uint8Array, blocks: number, out: Float32Array): void {
  const half = halfValues()
  for (let b = 0, at = 0, to = 0; b < blocks; b++, at += 22, to += 32) {
    const d = half[raw[at]! | (raw[at + 1]! << 8)]!
    const high = fifthBits(raw, at + 2)
    for (let j = 0; j < 16; j++) {
      const q = raw[at + 6 + j]!
      out[to + j] = d * (((q & 15) | (((high >>> j) & 1) << 4)) - 16)
      out[to + j + 16] = d * (((q >> 4) | (((high >>> (j + 16)) & 1) << 4)) - 16)
    }
  }
}

/** 24 bytes: f16 d, f16 m, 32 fifth bits, nibbles; w = d·q + m. */
export function decodeQ5_1(raw: Uint8Array, blocks: number, out: Float32Array): void {
  const half = halfValues()
  for (let b = 0, at = 0, to = 0; b < blocks; b++, at += 24, to += 32) {
    const d = half[raw[at]! | (raw[at + 1]! << 8)]!
    const m = half[raw[at + 2]! | (raw[at + 3]! << 8)]!
    const high = fifthBits(raw, at + 4)
    for (let j = 0; j < 16; j++) {
      const q = raw[at + 8 + j]!
      out[to + j] = d * ((q & 15) | (((high >>> j) & 1) << 4)) + m
      out[to + j + 16] = d * ((q >> 4) | (((high >>> (j + 16)) & 1) << 4)) + m
    }
  }
}

const fifthBits = (raw: Uint8Array, at: number): number =>
  raw[at]! | (raw[at + 1]! << 8) | (raw[at + 2]! << 16) | (raw[at + 3]! << 24)

/** 34 bytes: f16 d, 32 int8; w = d·q. */
export function decodeQ8_0(raw: Uint8Array, blocks: number, out: Float32Array): void {
  const half = halfValues()
  for (let b = 0, at = 0, to = 0; b < blocks; b++, at += 34, to += 32) {
    const d = half[raw[at]! | (raw[at + 1]! << 8)]!
    for (let j = 0; j < 32; j++) out[to + j] = d * ((raw[at + 2 + j]! << 24) >> 24)
  }
}
