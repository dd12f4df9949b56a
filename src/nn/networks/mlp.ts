/** @file Multi-layer perceptron. */
import { fail } from '../../base/index.ts'
import { reshape, type Tensor } from '../../tensor/index.ts'
import { type Activation, activation } from '../activations.ts'
import { initAll, type Layer } from '../layer.ts'
import { type DenseParameters, dense } from '../layers/dense.ts'
import { type Parametrization, parametrization } from '../parametrization.ts'

export interface MlpOptions {
  /** Inputs, hidden widths, outputs: `[784, 256, 10]`. */
  readonly sizes: readonly number[]
  /** Default 'relu'. */
  readonly activation?: Activation
  /** Default 'standard'. */
  readonly parametrization?: Parametrization
  readonly bias?: boolean
}

/** layers.0 … layers.n: { weight, bias? }; the last is the readout. */
export type MlpParameters = { layers: DenseParameters[] }

export interface Mlp extends Layer<MlpParameters> {
  /** The hidden layers after their activations, [B, width] each. */
  readonly activations: (parameters: MlpParameters, x: Tensor) => Tensor[]
}

/** Dense layers with activations between: x [B, ...] (flattened) ↦ [B, outputs]. */
export function mlp(options: MlpOptions): Mlp {
  const { sizes, bias = true } = options
  if (sizes.length < 2)
    fail('TL_BAD_ARGUMENT', `mlp: expected sizes [inputs, ..., outputs], got [${sizes.join(', ')}]`)
  const act = activation(options.activation ?? 'relu')
  const rule = parametrization(options.parametrization ?? 'standard')
  const layers = sizes.slice(1).map((outputs, i) => {
    const inputs = sizes[i]!
    const isReadout = i === sizes.length - 2
    return dense(inputs, outputs, { bias, ...(isReadout ? rule.readout(inputs) : rule.hidden(inputs)) })
  })
  const activations = (parameters: MlpParameters, x: Tensor): Tensor[] => {
    let h = x.rank === 2 ? x : reshape(x, [x.shape[0]!, x.size / x.shape[0]!])
    return layers.slice(0, -1).map((layer, i) => {
      h = act(layer.apply(parameters.layers[i]!, h))
      return h
    })
  }
  return {
    init: (key) => ({ layers: initAll(key, layers) }),
    activations,
    apply: (parameters, x) => {
      const h = activations(parameters, x).at(-1) ?? reshape(x, [x.shape[0]!, x.size / x.shape[0]!])
      return layers.at(-1)!.apply(parameters.layers.at(-1)!, h)
    },
  }
}
