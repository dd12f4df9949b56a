/** @file Activation functions by name. */
import { entryOf } from '../base/index.ts'
import { gelu, relu, sigmoid, silu, softplus, type Tensor, tanh } from '../tensor/index.ts'

const table = {
  relu,
  gelu: (x: Tensor) => gelu(x),
  geluTanh: (x: Tensor) => gelu(x, { approximate: 'tanh' }),
  silu,
  tanh,
  sigmoid,
  softplus,
  linear: (x: Tensor) => x,
}

export type Activation = keyof typeof table

/** The function of a name; a typo lists the valid ones. */
export const activation = (name: Activation): ((x: Tensor) => Tensor) => entryOf('activation', table, name)
