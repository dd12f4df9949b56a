/** @file What a tensor can do by methods, over any type of tensor: `Tensor` is this of itself. */
import type { Dtype } from './dtype.ts'

export interface ReduceOptions {
  /** Keep the reduced axes, with size 1. */
  readonly keepDims?: boolean
}

type Axes = number | readonly number[]

/** The commonest operations as methods; each is the function of the same name. `T` is the type of tensors. */
export interface Methods<T> {
  add(b: T | number | boolean): T
  sub(b: T | number | boolean): T
  mul(b: T | number | boolean): T
  div(b: T | number | boolean): T
  pow(b: T | number | boolean): T
  neg(): T
  exp(): T
  log(): T
  sqrt(): T
  square(): T
  tanh(): T
  relu(): T
  matmul(b: T): T
  sum(axes?: Axes, options?: ReduceOptions): T
  mean(axes?: Axes, options?: ReduceOptions): T
  max(axes?: Axes, options?: ReduceOptions): T
  min(axes?: Axes, options?: ReduceOptions): T
  argmax(axis?: number): T
  reshape(shape: readonly number[]): T
  flatten(): T
  transpose(permutation?: readonly number[]): T
  broadcastTo(shape: readonly number[]): T
  expandDims(axis: number): T
  squeeze(axis?: number): T
  cast(dtype: Dtype): T
}
