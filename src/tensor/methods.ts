/** @file The commonest operations as methods, so that programs read from left to right: `x.matmul(w).add(b).relu()`. */
import type { Dtype } from './dtype.ts'
import type { Methods, ReduceOptions } from './methodTypes.ts'
import { add, div, exp, log, mul, neg, pow, relu, sqrt, square, sub, tanh } from './ops/arithmetic.ts'
import { broadcastTo } from './ops/broadcast.ts'
import { cast } from './ops/logic.ts'
import { matmul } from './ops/matmul.ts'
import { argmax, max, mean, min, sum } from './ops/reduce.ts'
import { expandDims, flatten, reshape, squeeze, transpose } from './ops/shape.ts'
import { Tensor, type TensorLike } from './tensor.ts'

type Axes = number | readonly number[]

const methods: {
  [K in keyof Methods<Tensor>]: (this: Tensor, ...words: Parameters<Methods<Tensor>[K]>) => Tensor
} = {
  add(this: Tensor, b: TensorLike) {
    return add(this, b)
  },
  sub(this: Tensor, b: TensorLike) {
    return sub(this, b)
  },
  mul(this: Tensor, b: TensorLike) {
    return mul(this, b)
  },
  div(this: Tensor, b: TensorLike) {
    return div(this, b)
  },
  pow(this: Tensor, b: TensorLike) {
    return pow(this, b)
  },
  neg(this: Tensor) {
    return neg(this)
  },
  exp(this: Tensor) {
    return exp(this)
  },
  log(this: Tensor) {
    return log(this)
  },
  sqrt(this: Tensor) {
    return sqrt(this)
  },
  square(this: Tensor) {
    return square(this)
  },
  tanh(this: Tensor) {
    return tanh(this)
  },
  relu(this: Tensor) {
    return relu(this)
  },
  matmul(this: Tensor, b: Tensor) {
    return matmul(this, b)
  },
  sum(this: Tensor, axes?: Axes, options?: ReduceOptions) {
    return sum(this, axes, options)
  },
  mean(this: Tensor, axes?: Axes, options?: ReduceOptions) {
    return mean(this, axes, options)
  },
  max(this: Tensor, axes?: Axes, options?: ReduceOptions) {
    return max(this, axes, options)
  },
  min(this: Tensor, axes?: Axes, options?: ReduceOptions) {
    return min(this, axes, options)
  },
  argmax(this: Tensor, axis?: number) {
    return argmax(this, axis)
  },
  reshape(this: Tensor, shape: readonly number[]) {
    return reshape(this, shape)
  },
  flatten(this: Tensor) {
    return flatten(this)
  },
  transpose(this: Tensor, permutation?: readonly number[]) {
    return transpose(this, permutation)
  },
  broadcastTo(this: Tensor, shape: readonly number[]) {
    return broadcastTo(this, shape)
  },
  expandDims(this: Tensor, axis: number) {
    return expandDims(this, axis)
  },
  squeeze(this: Tensor, axis?: number) {
    return squeeze(this, axis)
  },
  cast(this: Tensor, dtype: Dtype) {
    return cast(this, dtype)
  },
}

Object.assign(Tensor.prototype, methods)
