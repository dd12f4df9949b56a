/** @file Instructions on vectors of 128 bits, as bytes. (WebAssembly core specification 2.0) */
import { type Code, unsigned } from './assemble.ts'

export const simd = (code: number, ...more: readonly number[]): Code => [0xfd, ...unsigned(code), ...more]

export const load4 = (offset: number): Code => simd(0x00, 2, offset)
export const store4 = (offset: number): Code => simd(0x0b, 2, offset)
/** One word of memory in all four lanes. */
export const loadSplat = (offset: number): Code => simd(0x09, 2, offset)

export const splat = simd(0x11)
export const splatSingle = simd(0x13)
/** Instructions over four floats, by the specification's names. */
export const f32x4 = {
  abs: simd(0xe0),
  neg: simd(0xe1),
  sqrt: simd(0xe3),
  add: simd(0xe4),
  sub: simd(0xe5),
  mul: simd(0xe6),
  div: simd(0xe7),
  min: simd(0xe8),
  max: simd(0xe9),
} as const
export const add4 = simd(0xae)
export const shiftLeft4 = simd(0xab)
export const shiftRight4 = simd(0xad)
export const or4 = simd(0x50)
export const xor4 = simd(0x51)
export const less4 = simd(0x39)
export const anyTrue = simd(0x53)
export const lane4 = (lane: number): Code => simd(0x1b, lane)
/** Two comparisons of four lanes into one of eight, and its bits. */
export const narrow8 = simd(0x85)
export const bitmask8 = simd(0x84)

export const splatDoubles = simd(0x14)
export const addDoubles = simd(0xf0)
export const multiplyDoubles = simd(0xf2)

const bytesOf = (word: number): number[] => [0, 1, 2, 3].map((i) => 4 * word + i)
/** Four of the eight words of two vectors. */
export const pick4 = (...words: readonly [number, number, number, number]): Code =>
  simd(0x0d, ...words.flatMap(bytesOf))

/** Four constant words, each below 128. */
export const constant4 = (...words: readonly [number, number, number, number]): Code =>
  simd(0x0c, ...words.flatMap((word) => [word, 0, 0, 0]))

/** Two numbers of memory, one after the other, into the lanes of a vector. */
export const loadDoubleZero = simd(0x5d, 3, 0)
export const loadDoubleLane = (lane: number): Code => simd(0x57, 3, 0, lane)
export const loadSingleZero = simd(0x5c, 2, 0)
export const loadSingleLane = (lane: number): Code => simd(0x56, 2, 0, lane)
export const storeDoubleLane = (lane: number): Code => simd(0x5b, 3, 0, lane)
export const storeSingleLane = (lane: number): Code => simd(0x5a, 2, 0, lane)
export const loadDoubleSplat = simd(0x0a, 3, 0)
/** Two numbers in single precision as doubles, and back. */
export const promote = simd(0x5f)
export const demote = simd(0x5e)
export const divideDoubles = simd(0xf3)
export const maxDoubles = simd(0xf7)
