/** @file The element types a safetensors file may name: their sizes, and the typed arrays of those we compute with. */
import { fail } from '../base/index.ts'

/**
 * Bits an element takes, in the order of the `safetensors` library's own table (0.8). The writer sorts tensors by
 * this order, last row first, as that library does, so wide types come first and every tensor starts aligned.
 */
const BITS = {
  BOOL: 8,
  F4: 4,
  F6_E2M3: 6,
  F6_E3M2: 6,
  U8: 8,
  I8: 8,
  F8_E5M2: 8,
  F8_E4M3: 8,
  F8_E8M0: 8,
  F8_E4M3FNUZ: 8,
  F8_E5M2FNUZ: 8,
  I16: 16,
  U16: 16,
  F16: 16,
  BF16: 16,
  I32: 32,
  U32: 32,
  F32: 32,
  C64: 64,
  F64: 64,
  I64: 64,
  U64: 64,
} as const

/** A type name as it stands in the file. */
export type StoredDtype = keyof typeof BITS

/** Every type name of the format, narrowest first. */
export const storedDtypes = Object.keys(BITS) as StoredDtype[]

const rank = new Map(storedDtypes.map((dtype, index) => [dtype, index]))

/** Position in the format's own ordering of types. */
export const dtypeRank = (dtype: StoredDtype): number => rank.get(dtype)!

/** Is `name` a type of the format? */
export const isStoredDtype = (name: string): name is StoredDtype => Object.hasOwn(BITS, name)

/** Typed arrays of the types Treeline computes with; every other type stays raw little-endian bytes. */
type ComputedArrays = {
  F32: Float32Array
  F64: Float64Array
  I32: Int32Array
  I64: BigInt64Array
  U32: Uint32Array
  BOOL: Uint8Array
}

/** Any array a tensor's elements may come in. */
export type StoredArray = ComputedArrays[keyof ComputedArrays]

/** The array type of one dtype: `Float32Array` for F32, …, `Uint8Array` of raw bytes for what we do not compute with. */
export type ArrayOf<D extends StoredDtype> = D extends keyof ComputedArrays ? ComputedArrays[D] : Uint8Array

const ARRAYS = {
  F32: Float32Array,
  F64: Float64Array,
  I32: Int32Array,
  I64: BigInt64Array,
  U32: Uint32Array,
  BOOL: Uint8Array,
} as const

// The format is little-endian and the arrays below are views of its bytes.
if (new Uint8Array(new Uint16Array([1]).buffer)[0] !== 1)
  fail(
    'TL_UNSUPPORTED',
    'this machine is big-endian: Treeline reads and writes tensors on little-endian ones only',
  )

/** The constructor of the array a dtype is given as. */
export const arrayConstructor = (dtype: StoredDtype) =>
  dtype in ARRAYS ? ARRAYS[dtype as keyof typeof ARRAYS] : Uint8Array

/** View bytes (starting at offset 0 of their own buffer) as the array of `dtype`. */
export const viewAs = (dtype: StoredDtype, bytes: Uint8Array<ArrayBuffer>): StoredArray =>
  new (arrayConstructor(dtype))(
    bytes.buffer,
    bytes.byteOffset,
    bytes.byteLength / arrayConstructor(dtype).BYTES_PER_ELEMENT,
  )

/** Product of the dimensions; 1 for a scalar, `undefined` when it is too large to be counted exactly. */
export function elementCount(shape: readonly number[]): number | undefined {
  if (shape.includes(0)) return 0
  let product = 1
  for (const size of shape) {
    product *= size
    if (product > Number.MAX_SAFE_INTEGER) return undefined
  }
  return product
}

/** Bytes of a tensor; `undefined` when too large to count, or when sub-byte elements do not fill whole bytes. */
export function storedBytes(dtype: StoredDtype, shape: readonly number[]): number | undefined {
  const elements = elementCount(shape)
  if (elements === undefined || elements > Number.MAX_SAFE_INTEGER / 64) return undefined
  const bits = elements * BITS[dtype]
  return bits % 8 === 0 ? bits / 8 : undefined
}
