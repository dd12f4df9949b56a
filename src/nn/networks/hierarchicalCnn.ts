/**
 * @file The hierarchical CNN of the Random Hierarchy Model papers: one layer for each level of the grammar, windows of s
 * neighbours that do not overlap, then a dense readout. (Cagnetta et al. 2024, section 2)
 */
import { mean, reshape, type Tensor } from '../../tensor/index.ts'
import { type Activation, activation } from '../activations.ts'
import { initAll, type Layer, requirePositive } from '../layer.ts'
import { type DenseParameters, dense } from '../layers/dense.ts'
import { hierarchicalConv } from '../layers/hierarchicalConv.ts'
import { type Parametrization, parametrization } from '../parametrization.ts'

export interface HierarchicalCnnOptions {
  /** Input channels: the vocabulary size v of one-hot symbols. */
  readonly symbols: number
  /** Window and stride s. */
  readonly branching: number
  /** Number L of hidden layers. */
  readonly depth: number
  readonly width: number
  /** Logits: classes, or symbols when the last token is predicted. */
  readonly outputs: number
  /** Default 'relu'. */
  readonly activation?: Activation
  /** Default 'meanField', as in the papers. */
  readonly parametrization?: Parametrization
  /** Default false, as in the papers. */
  readonly bias?: boolean
}

/** layers.l.weight [width, s · inputs], position in the window before channel; readout.weight [outputs, width]. */
export type HierarchicalCnnParameters = { layers: DenseParameters[]; readout: DenseParameters }

export interface HierarchicalCnn extends Layer<HierarchicalCnnParameters> {
  /** The hidden layers after their activations, [B, d / s^l, width] for l = 1 … L. */
  readonly activations: (parameters: HierarchicalCnnParameters, x: Tensor) => Tensor[]
}

/** x [B, d, v] with d a multiple of s^L ↦ logits [B, outputs]; positions left after L layers are averaged. */
export function hierarchicalCnn(options: HierarchicalCnnOptions): HierarchicalCnn {
  const { symbols, branching, depth, width, outputs, bias = false } = options
  requirePositive('hierarchicalCnn: sizes', symbols, branching, depth, width, outputs)
  const act = activation(options.activation ?? 'relu')
  const rule = parametrization(options.parametrization ?? 'meanField')
  const layers = Array.from({ length: depth }, (_, i) => {
    const inputs = i === 0 ? symbols : width
    return hierarchicalConv(inputs, width, branching, { bias, ...rule.hidden(branching * inputs) })
  })
  const readout = dense(width, outputs, { bias, ...rule.readout(width) })
  const activations = (parameters: HierarchicalCnnParameters, x: Tensor): Tensor[] => {
    let h = x
    return layers.map((layer, i) => {
      h = act(layer.apply(parameters.layers[i]!, h))
      return h
    })
  }
  return {
    init: (key) => {
      const made = initAll(key, [...layers, readout])
      return { layers: made.slice(0, -1), readout: made.at(-1)! }
    },
    activations,
    apply: (parameters, x) => {
      const top = activations(parameters, x).at(-1)!
      const [batch, positions] = top.shape as [number, number]
      return readout.apply(parameters.readout, positions === 1 ? reshape(top, [batch, width]) : mean(top, 1))
    },
  }
}
