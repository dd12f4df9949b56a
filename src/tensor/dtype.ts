/** @file Element types, their storage, and how a plain number becomes one. */
import { fail } from './mistake.ts'

export type Dtype = 'f32' | 'f64' | 'i32' | 'i64' | 'u32' | 'bool'
export type FloatDtype = 'f32' | 'f64'

export type TypedArray = Float32Array | Float64Array | Int32Array | BigInt64Array | Uint32Array | Uint8Array

/** What is known of a tensor before it has values: its shape (outermost axis first) and element type. */
export interface Spec {
  readonly shape: readonly number[]
  readonly dtype: Dtype
}

interface ElementType {
  readonly array: new (buffer: ArrayBufferLike, byteOffset?: number, length?: number) => TypedArray
  readonly allocate: (size: number) => TypedArray
  readonly bytes: number
  readonly kind: 'float' | 'integer' | 'boolean'
  /** What it holds of a float64 result: integers wrap around. The reference keeps floats as they are. */
  readonly wrap: (x: number) => number
  /** What NumPy, PyTorch and the runtime call it. */
  readonly word: string
  /** Its code in ONNX's TensorProto.DataType. */
  readonly onnx: number
}

const elementType = (
  array: (new (
    buffer: ArrayBufferLike,
  ) => TypedArray) &
    (new (
      size: number,
    ) => TypedArray) & { readonly BYTES_PER_ELEMENT: number },
  rest: Pick<ElementType, 'kind' | 'wrap' | 'word' | 'onnx'>,
): ElementType => ({ array, allocate: (size) => new array(size), bytes: array.BYTES_PER_ELEMENT, ...rest })

const same = (x: number): number => x

/** The table of element types: whatever depends on one is read here. */
export const elementTypes: Readonly<Record<Dtype, ElementType>> = {
  f32: elementType(Float32Array, { kind: 'float', wrap: same, word: 'float32', onnx: 1 }),
  f64: elementType(Float64Array, { kind: 'float', wrap: same, word: 'float64', onnx: 11 }),
  i32: elementType(Int32Array, { kind: 'integer', wrap: (x) => x | 0, word: 'int32', onnx: 6 }),
  i64: elementType(BigInt64Array, { kind: 'integer', wrap: Math.trunc, word: 'int64', onnx: 7 }),
  u32: elementType(Uint32Array, { kind: 'integer', wrap: (x) => x >>> 0, word: 'uint32', onnx: 12 }),
  bool: elementType(Uint8Array, { kind: 'boolean', wrap: (x) => (x ? 1 : 0), word: 'bool', onnx: 9 }),
}

/** One column of the table. */
export const ofEachType = <T>(cell: (type: ElementType) => T): Readonly<Record<Dtype, T>> =>
  Object.fromEntries(Object.entries(elementTypes).map(([dtype, type]) => [dtype, cell(type)])) as Record<
    Dtype,
    T
  >

export const dtypes: readonly Dtype[] = Object.keys(elementTypes) as Dtype[]
export const bytesPerElement: Readonly<Record<Dtype, number>> = ofEachType(({ bytes }) => bytes)
export const isFloat = (dtype: Dtype): dtype is FloatDtype => elementTypes[dtype].kind === 'float'
export const isInteger = (dtype: Dtype): boolean => elementTypes[dtype].kind === 'integer'

/** Number of elements of a shape; 1 for a scalar. */
export const sizeOf = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1)

export const sameShape = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((n, i) => n === b[i])

/** `f32[2,3]`, as the graph printer and all messages show a spec. */
export const showSpec = ({ dtype, shape }: Spec): string => `${dtype}[${shape.join(',')}]`

/** Refuse a shape that is none: `op` asked for it. */
export function requireShape(op: string, shape: unknown): void {
  if (!Array.isArray(shape) || !shape.every((n) => Number.isSafeInteger(n) && n >= 0))
    fail(
      'TL_BAD_ARGUMENT',
      `${op}: expected a shape, a list of whole numbers ≥ 0, got ${Array.isArray(shape) ? `[${shape}]` : String(shape)}`,
    )
}

/** Refuse an element type that is none: `op` asked for it. */
export function requireDtype(op: string, dtype: unknown): void {
  if (!dtypes.includes(dtype as Dtype))
    fail(
      'TL_BAD_ARGUMENT',
      `${op}: ${String(dtype)} is no element type: expected ${dtypes.slice(0, -1).join(', ')} or ${dtypes.at(-1)}`,
    )
}

/** Zeros. */
export const allocate = (dtype: Dtype, size: number): TypedArray => elementTypes[dtype].allocate(size)

/** Elements that lie in a buffer, from a byte on. */
export const viewOf = (dtype: Dtype, buffer: ArrayBufferLike, byteOffset: number, size: number): TypedArray =>
  new elementTypes[dtype].array(buffer, byteOffset, size)

const byConstructor = new Map<unknown, Dtype>(dtypes.map((dtype) => [elementTypes[dtype].array, dtype]))

/** The dtype a typed array stores (`Uint8Array` is bool). */
export function dtypeOf(data: TypedArray): Dtype {
  return (
    byConstructor.get(data.constructor) ??
    fail(
      'TL_DTYPE_MISMATCH',
      `typed array: expected one of ${dtypes.map((dtype) => elementTypes[dtype].array.name).join(', ')}, got ${data.constructor.name}`,
    )
  )
}

/** Values as float64, the form in which the reference interpreter works. int64 beyond 2^53 loses precision. */
export const toFloat64 = (data: TypedArray): Float64Array =>
  data instanceof Float64Array ? data : Float64Array.from(data as ArrayLike<number>, Number)

/** Float64 values stored as `dtype`; integers wrap as in C, floats round to nearest even. */
export function fromFloat64(values: ArrayLike<number>, dtype: Dtype): TypedArray {
  if (dtype === 'i64')
    return BigInt64Array.from({ length: values.length }, (_, i) => BigInt(Math.trunc(values[i]!)))
  if (dtype === 'bool') return Uint8Array.from(values, elementTypes.bool.wrap)
  const out = allocate(dtype, values.length) as Float32Array
  out.set(values)
  return out
}

/** Two dtypes that must agree; the message names the operation. */
export function requireSameDtype(op: string, specs: readonly Spec[]): Dtype {
  const first = specs[0]!.dtype
  for (const spec of specs)
    if (spec.dtype !== first)
      fail(
        'TL_DTYPE_MISMATCH',
        `${op}: expected one element type, got ${specs.map(showSpec).join(' and ')} (cast one of them: cast(x, '${first}'))`,
      )
  return first
}

export function requireFloat(op: string, spec: Spec): void {
  if (!isFloat(spec.dtype))
    fail('TL_DTYPE_MISMATCH', `${op}: expected f32 or f64, got ${showSpec(spec)} (cast it: cast(x, 'f32'))`)
}
