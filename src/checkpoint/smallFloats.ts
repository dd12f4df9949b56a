/** @file Floating-point numbers of 16 and 8 bits: decoding by table, encoding with round to nearest, ties to even. */

/** How a format divides its bits, and what its largest exponent means. Bits: sign, exponent, mantissa. */
interface SmallFloat {
  readonly exponentBits: number
  readonly mantissaBits: number
  /** True: the largest exponent is infinity and NaN (IEEE 754). False: only all ones is NaN, there is no infinity. */
  readonly hasInfinity: boolean
}

/** IEEE 754 binary16. */
export const f16: SmallFloat = { exponentBits: 5, mantissaBits: 10, hasInfinity: true }
/** E4M3 "fn" (Micikevicius et al. 2022, arXiv:2209.05433, table 1): largest 448, NaN 0x7f and 0xff. */
export const f8e4m3: SmallFloat = { exponentBits: 4, mantissaBits: 3, hasInfinity: false }
/** E5M2 (the same table): IEEE conventions, largest 57344. */
export const f8e5m2: SmallFloat = { exponentBits: 5, mantissaBits: 2, hasInfinity: true }

const widthOf = ({ exponentBits, mantissaBits }: SmallFloat): number => 1 + exponentBits + mantissaBits
const biasOf = ({ exponentBits }: SmallFloat): number => 2 ** (exponentBits - 1) - 1

/** The bits of the f32 of every code; bits and not numbers, so that NaN payloads survive. */
function makeTable(format: SmallFloat): Uint32Array {
  const { exponentBits, mantissaBits, hasInfinity } = format
  const width = widthOf(format)
  const bias = biasOf(format)
  const top = 2 ** exponentBits - 1
  const ones = 2 ** mantissaBits - 1
  const table = new Uint32Array(2 ** width)
  const value = new Float32Array(1)
  const bits = new Uint32Array(value.buffer)
  for (let code = 0; code < table.length; code++) {
    const mantissa = code & ones
    const exponent = (code >>> mantissaBits) & top
    const sign = ((code >>> (width - 1)) << 31) >>> 0
    const isSpecial = exponent === top && (hasInfinity || mantissa === ones)
    if (isSpecial) bits[0] = 0x7f800000 | (mantissa << (23 - mantissaBits))
    else
      value[0] =
        exponent === 0
          ? mantissa * 2 ** (1 - bias - mantissaBits)
          : (2 ** mantissaBits + mantissa) * 2 ** (exponent - bias - mantissaBits)
    table[code] = (bits[0]! | sign) >>> 0
  }
  return table
}

const tables = new Map<SmallFloat, Uint32Array>()

/** Bits of the f32 for every code of a format, made at the first use. */
export function decodingTable(format: SmallFloat): Uint32Array {
  const table = tables.get(format) ?? makeTable(format)
  tables.set(format, table)
  return table
}

/**
 * Codes of f32 values, into `codes`. What is nearer to the next power of two than to the largest number becomes infinity,
 * or NaN in a format without infinity (as PyTorch does); NaN stays NaN with its sign.
 */
export function encodeSmall(values: Float32Array, format: SmallFloat, codes: Uint8Array | Uint16Array): void {
  const { mantissaBits, hasInfinity } = format
  const bias = biasOf(format)
  const ones = 2 ** mantissaBits - 1
  const drop = 23 - mantissaBits
  const signShift = 32 - widthOf(format)
  const signMask = 1 << (widthOf(format) - 1)
  const half = (1 << (drop - 1)) - 1
  const rebias = (127 - bias) << 23
  const smallestNormal = (127 - bias + 1) << 23
  // f32 bits from which every value is too large: one exponent above the largest (IEEE), or the NaN code itself
  const overflow = hasInfinity ? (127 + bias + 1) << 23 : ((127 + bias + 1) << 23) | (ones << drop)
  const infinity = signMask - 1 - ones
  const nan = hasInfinity ? infinity | (1 << (mantissaBits - 1)) : signMask - 1
  const overflowCode = hasInfinity ? infinity : nan
  // adding this number makes f32 arithmetic itself round to the format's subnormal quantum
  const magic = 2 ** (1 - bias - mantissaBits + 23)
  const scratch = new Float32Array(1)
  const scratchBits = new Uint32Array(scratch.buffer)
  scratch[0] = magic
  const magicBits = scratchBits[0]!
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length)
  for (let i = 0; i < bits.length; i++) {
    const all = bits[i]!
    const magnitude = all & 0x7fffffff
    let code: number
    if (magnitude > 0x7f800000) code = nan | (hasInfinity ? (magnitude >>> drop) & ones : 0)
    else if (magnitude >= overflow) code = overflowCode
    else if (magnitude >= smallestNormal)
      code = (magnitude - rebias + half + ((magnitude >>> drop) & 1)) >>> drop
    else {
      scratch[0] = Math.abs(values[i]!) + magic
      code = scratchBits[0]! - magicBits
    }
    codes[i] = code | ((all >>> signShift) & signMask)
  }
}
