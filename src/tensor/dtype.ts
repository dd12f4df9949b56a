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

export const dtypes: readonly Dtype[] = ['f32', 'f64', 'i32', 'i64', 'u32', 'bool']
export const bytesPerElement: Record<Dtype, number> = { f32: 4, f64: 8, i32: 4, i64: 8, u32: 4, bool: 1 }
export const isFloat = (dtype: Dtype): dtype is FloatDtype => dtype === 'f32' || dtype === 'f64'
export const isInteger = (dtype: Dtype): boolean => dtype === 'i32' || dtype === 'i64' || dtype === 'u32'

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

export function allocate(dtype: Dtype, size: number): TypedArray {
  switch (dtype) {
    case 'f32':
      return new Float32Array(size)
    case 'f64':
      return new Float64Array(size)
    case 'i32':
      return new Int32Array(size)
    case 'i64':
      return new BigInt64Array(size)
    case 'u32':
      return new Uint32Array(size)
    case 'bool':
      return new Uint8Array(size)
  }
}

const byConstructor = new Map<unknown, Dtype>([
  [Float32Array, 'f32'],
  [Float64Array, 'f64'],
  [Int32Array, 'i32'],
  [BigInt64Array, 'i64'],
  [Uint32Array, 'u32'],
  [Uint8Array, 'bool'],
])

/** The dtype a typed array stores (`Uint8Array` is bool). */
export function dtypeOf(data: TypedArray): Dtype {
  return (
    byConstructor.get(data.constructor) ??
    fail(
      'TL_DTYPE_MISMATCH',
      `typed array: expected one of Float32Array, Float64Array, Int32Array, BigInt64Array, Uint32Array, Uint8Array, got ${data.constructor.name}`,
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
  if (dtype === 'bool') return Uint8Array.from(values, (x) => (x ? 1 : 0))
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
