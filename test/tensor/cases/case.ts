/** @file What a case is, and what all of them are made with. */
import type { Dtype } from '../../../src/tensor/dtype.ts'
import type { Tensor } from '../../../src/tensor/index.ts'
import { type Attributes, apply } from '../../../src/tensor/tensor.ts'
import { at, type Draw, numbers, type Value } from '../draw.ts'

/** An argument: its values, and a way to draw others like them (the other examples of a batch). */
export interface Input extends Value {
  readonly again: () => number[]
}

export interface Case {
  readonly op: string
  readonly label: string
  readonly inputs: readonly Input[]
  /** One application of the primitive. */
  readonly fn: (...inputs: Tensor[]) => readonly Tensor[]
  /** Values of some outputs, from a closed form or plain loops. */
  readonly expected?: readonly (readonly number[] | undefined)[]
  /** False where values lie on kinks or ties, or the derivative is cut: no finite differences. */
  readonly smooth?: boolean
  /** Only values are compared: infinities and the like, whose derivatives nobody needs. */
  readonly onlyValues?: boolean
}

export interface CaseMaker {
  readonly dtypes: readonly Dtype[]
  /** How many cases for each element type. */
  readonly count: number
  /** Case number i; the same draws whatever the float type. */
  readonly make: (
    draw: Draw,
    dtype: Dtype,
    i: number,
  ) => Omit<Case, 'op' | 'label'> & { attributes?: Attributes }
}

export const floats: readonly Dtype[] = ['f32', 'f64']
export const numeric: readonly Dtype[] = ['f32', 'f64', 'i32', 'i64', 'u32']
export const all: readonly Dtype[] = [...numeric, 'bool']
export const integers: readonly Dtype[] = ['i32', 'i64', 'u32']

export const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i)

/** An input from a way to draw its values. */
export const input = (shape: readonly number[], dtype: Dtype, again: () => number[]): Input => ({
  shape,
  dtype,
  values: again(),
  again,
})
export const random = (draw: Draw, shape: readonly number[], dtype: Dtype, low = -2, high = 2): Input =>
  input(shape, dtype, () => numbers(draw, shape, dtype, low, high))

/** What an integer type makes of an exact result. */
export function wrapped(value: bigint, dtype: Dtype): number {
  if (dtype === 'i32') return Number(BigInt.asIntN(32, value))
  if (dtype === 'u32') return Number(BigInt.asUintN(32, value))
  return Number(BigInt.asIntN(64, value))
}

export const elementwise =
  (op: string) =>
  (...xs: Tensor[]) => [apply(op, xs)]

export const plain = (draw: Draw, shape: readonly number[], dtype: Dtype): number[] =>
  numbers(draw, shape, dtype)

export const total = (list: readonly number[]): number => list.reduce((a, b) => a + b, 0)

/** Values of a line of x along an axis through an index of the other axes. */
export const lineOf = (x: Value, axis: number, others: readonly number[]): number[] =>
  range(x.shape[axis]!).map((k) => at(x, others.toSpliced(axis, 0, k)))
