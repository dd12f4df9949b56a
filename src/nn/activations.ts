/** @file Activation functions by name. */
import { entryOf } from '../base/index.ts'
import { gelu, mul, relu, sigmoid, silu, softplus, type Tensor, tanh } from '../tensor/index.ts'

const table = {
  relu,
  gelu: (x: Tensor) => gelu(x),
  geluTanh: (x: Tensor) => gelu(x, { approximate: 'tanh' }),
  silu,
  /** x σ(1.702 x), CLIP's. (Hendrycks and Gimpel 2016) */
  quickGelu: (x: Tensor) => mul(x, sigmoid(mul(x, 1.702))),
  tanh,
  sigmoid,
  softplus,
  linear: (x: Tensor) => x,
}

export type Activation = keyof typeof table

/** The function of a name; a typo lists the valid ones. */
export const activation = (name: Activation): ((x: Tensor) => Tensor) => entryOf('activation', table, name)
