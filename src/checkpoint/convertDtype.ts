/** @file Between f32 and the number types of weight files: exact where that is possible, else rounded once, ties to even. */
import { didYouMean, fail } from '../base/index.ts'
import { decodingTable, encodeSmall, f8e4m3, f8e5m2, f16 } from './smallFloats.ts'

/** Bytes of an element, for every type that `decodeF32` and `encodeF32` know. */
const WIDTH = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  F8_E4M3: 1,
  F8_E5M2: 1,
  I64: 8,
  I32: 4,
  I16: 2,
  I8: 1,
  U64: 8,
  U32: 4,
  U16: 2,
  U8: 1,
  BOOL: 1,
} as const

/** A type whose elements are numbers that f32 can stand for. */
export type ConvertibleDtype = keyof typeof WIDTH

/** All of them. */
export const convertibleDtypes = Object.keys(WIDTH) as ConvertibleDtype[]

/** Can values of this dtype be decoded and encoded? */
export const isConvertible = (dtype: string): dtype is ConvertibleDtype => Object.hasOwn(WIDTH, dtype)

/** Bytes of one element. */
export const elementBytes = (dtype: ConvertibleDtype): number => WIDTH[dtype]

/** Integers as arrays, with the least and largest value; f32 has 24 bits, so wide ones are rounded on decoding. */
const INTEGERS = {
  I32: [Int32Array, -(2 ** 31), 2 ** 31 - 1],
  I16: [Int16Array, -(2 ** 15), 2 ** 15 - 1],
  I8: [Int8Array, -128, 127],
  U32: [Uint32Array, 0, 2 ** 32 - 1],
  U16: [Uint16Array, 0, 2 ** 16 - 1],
  U8: [Uint8Array, 0, 255],
  BOOL: [Uint8Array, 0, 1],
} as const
type SmallInteger = keyof typeof INTEGERS

/** Wide integers: the array, the least value, and the first value above all. */
const WIDE = {
  I64: [BigInt64Array, -(2 ** 63), 2 ** 63],
  U64: [BigUint64Array, 0, 2 ** 64],
} as const

/** The same bytes at an address that a typed array of this element size may begin at. */
function aligned(bytes: Uint8Array, width: number): Uint8Array<ArrayBuffer> {
  // shared memory reads the same; the array constructors' types only know plain buffers
  return (bytes.byteOffset % width === 0 ? bytes : new Uint8Array(bytes)) as Uint8Array<ArrayBuffer>
}

/** Keep 53 bits and let the lowest say whether anything was cut: one rounding to f32 then remains (round to odd). */
function sticky(value: bigint): number {
  const magnitude = value < 0n ? -value : value
  if (magnitude < 2n ** 53n) return Number(value)
  const cut = (magnitude >> 12n) | (magnitude & 0xfffn ? 1n : 0n)
  return (value < 0n ? -1 : 1) * Number(cut) * 4096
}

function checkDtype(dtype: string): ConvertibleDtype {
  if (isConvertible(dtype)) return dtype
  return fail('TL_UNSUPPORTED', `dtype "${dtype}" has no conversion: ${didYouMean(dtype, convertibleDtypes)}`)
}

/**
 * Little-endian elements as f32. F64, I32, U32, I64 and U64 are rounded to nearest, ties to even; all others are exact.
 * For F32 the result shares memory with `bytes` where alignment allows. BOOL: any byte but 0 is 1.
 * Throws `TL_UNSUPPORTED` for another dtype, `TL_SHAPE_MISMATCH` for a part of an element.
 */
export function decodeF32(bytes: Uint8Array, dtype: string): Float32Array {
  const type = checkDtype(dtype)
  const width = WIDTH[type]
  if (bytes.byteLength % width !== 0)
    fail(
      'TL_SHAPE_MISMATCH',
      `${bytes.byteLength} bytes are no whole number of ${type} elements of ${width} bytes`,
    )
  const { buffer, byteOffset } = aligned(bytes, width)
  const count = bytes.byteLength / width
  switch (type) {
    case 'F32':
      return new Float32Array(buffer, byteOffset, count)
    case 'F64':
      return Float32Array.from(new Float64Array(buffer, byteOffset, count))
    case 'BF16':
      return decodeBf16(new Uint16Array(buffer, byteOffset, count))
    case 'F16':
      return decodeByTable(new Uint16Array(buffer, byteOffset, count), decodingTable(f16))
    case 'F8_E4M3':
      return decodeByTable(new Uint8Array(buffer, byteOffset, count), decodingTable(f8e4m3))
    case 'F8_E5M2':
      return decodeByTable(new Uint8Array(buffer, byteOffset, count), decodingTable(f8e5m2))
    case 'BOOL':
      return Float32Array.from(new Uint8Array(buffer, byteOffset, count), (value) => (value ? 1 : 0))
    case 'I64':
    case 'U64': {
      const source = new WIDE[type][0](buffer, byteOffset, count)
      return Float32Array.from({ length: count }, (_, i) => sticky(source[i]!))
    }
    default:
      return Float32Array.from(new INTEGERS[type][0](buffer, byteOffset, count))
  }
}

function decodeBf16(codes: Uint16Array): Float32Array {
  const bits = new Uint32Array(codes.length)
  for (let i = 0; i < codes.length; i++) bits[i] = codes[i]! << 16
  return new Float32Array(bits.buffer)
}

function decodeByTable(codes: Uint8Array | Uint16Array, table: Uint32Array): Float32Array {
  const bits = new Uint32Array(codes.length)
  for (let i = 0; i < codes.length; i++) bits[i] = table[codes[i]!]!
  return new Float32Array(bits.buffer)
}

/**
 * f32 values as little-endian elements of `dtype`, rounded to nearest with ties to even. Floats: too large becomes infinity
 * (NaN in F8_E4M3, which has no infinity), NaN stays NaN. Integers and BOOL: a value that rounds to none of the type's is
 * an error that names it, as is NaN. For F32 the result shares memory with `values`.
 * Throws `TL_UNSUPPORTED` for another dtype, `TL_NOT_FINITE` or `TL_BAD_ARGUMENT` for a value an integer cannot hold.
 */
export function encodeF32(values: Float32Array, dtype: string): Uint8Array {
  const type = checkDtype(dtype)
  const bytes = encodedView(values, type)
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function encodedView(values: Float32Array, type: ConvertibleDtype): ArrayBufferView {
  switch (type) {
    case 'F32':
      return values
    case 'F64':
      return Float64Array.from(values)
    case 'BF16':
      return encodeBf16(values)
    case 'F16':
      return withCodes(values, f16, new Uint16Array(values.length))
    case 'F8_E4M3':
      return withCodes(values, f8e4m3, new Uint8Array(values.length))
    case 'F8_E5M2':
      return withCodes(values, f8e5m2, new Uint8Array(values.length))
    case 'I64':
    case 'U64':
      return encodeWide(values, type)
    default:
      return encodeInteger(values, type)
  }
}

function withCodes<Codes extends Uint8Array | Uint16Array>(
  values: Float32Array,
  format: typeof f16,
  codes: Codes,
): Codes {
  encodeSmall(values, format, codes)
  return codes
}

/** The upper half of an f32, after adding just less than half of the last place that stays, and its parity. */
function encodeBf16(values: Float32Array): Uint16Array {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length)
  const codes = new Uint16Array(values.length)
  for (let i = 0; i < bits.length; i++) {
    const all = bits[i]!
    codes[i] =
      (all & 0x7fffffff) > 0x7f800000 ? (all >>> 16) | 0x40 : (all + 0x7fff + ((all >>> 16) & 1)) >>> 16
  }
  return codes
}

/** The nearest integer, the even one of two. */
export function roundHalfEven(value: number): number {
  const floor = Math.floor(value)
  const rest = value - floor
  if (rest !== 0.5) return rest < 0.5 ? floor : floor + 1
  return floor % 2 === 0 ? floor : floor + 1
}

function refuse(value: number, index: number, type: ConvertibleDtype, range: string): never {
  return Number.isNaN(value)
    ? fail('TL_NOT_FINITE', `element ${index} is NaN, which ${type} cannot hold (${range})`)
    : fail('TL_BAD_ARGUMENT', `element ${index} is ${value}, which ${type} cannot hold (${range})`)
}

function encodeInteger(values: Float32Array, type: SmallInteger): ArrayBufferView {
  const [make, low, high] = INTEGERS[type]
  const target = new make(values.length)
  for (let i = 0; i < values.length; i++) {
    const value = roundHalfEven(values[i]!)
    if (!(value >= low && value <= high)) refuse(values[i]!, i, type, `${low} to ${high}`)
    target[i] = value
  }
  return target
}

function encodeWide(values: Float32Array, type: keyof typeof WIDE): ArrayBufferView {
  const [make, low, above] = WIDE[type]
  const target = new make(values.length)
  for (let i = 0; i < values.length; i++) {
    const value = roundHalfEven(values[i]!)
    if (!(value >= low && value < above)) refuse(values[i]!, i, type, `${low} to below ${above}`)
    target[i] = BigInt(value)
  }
  return target
}
