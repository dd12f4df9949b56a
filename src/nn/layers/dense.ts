/** @file Dense layer: x Wᵀ + b. */
import { add, matmul, mul, random, type Tensor } from '../../tensor/index.ts'
import { type Initializer, initialize, initializeBias } from '../initializers.ts'
import { type Layer, requireFeatures, requirePositive } from '../layer.ts'

/** weight [outputs, inputs] (the layout of PyTorch), bias [outputs]. */
export type DenseParameters = { weight: Tensor; bias?: Tensor }

export interface DenseOptions {
  readonly bias?: boolean
  /** Default 'glorot'. */
  readonly init?: Initializer
  /** The product is multiplied by this (not the bias): the forward factor of the NTK and mean-field parametrizations. */
  readonly scale?: number
}

/** x [..., inputs] ↦ scale · x Wᵀ + b [..., outputs]. */
export function dense(
  inputs: number,
  outputs: number,
  { bias = true, init = 'glorot', scale = 1 }: DenseOptions = {},
): Layer<DenseParameters> {
  requirePositive('dense: sizes', inputs, outputs)
  const fans = { fanIn: inputs, fanOut: outputs }
  return {
    init: (key) => {
      const [forWeight, forBias] = random.split(key)
      const weight = initialize(forWeight!, [outputs, inputs], init, fans)
      return bias ? { weight, bias: initializeBias(forBias!, outputs, init, fans) } : { weight }
    },
    apply: (parameters, x) => {
      requireFeatures(`dense(${inputs} → ${outputs})`, x, inputs)
      const y = matmul(x, parameters.weight, { transposeB: true })
      const scaled = scale === 1 ? y : mul(y, scale)
      return parameters.bias ? add(scaled, parameters.bias) : scaled
    },
  }
}
