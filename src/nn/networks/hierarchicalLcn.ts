/**
 * @file The hierarchical network without weight sharing: windows as in the hierarchical CNN, but every window has weights of its
 * own. The control of the Random Hierarchy Model papers: locality without translation invariance.
 */
import { matmul, mul, reshape, type Tensor, transpose } from '../../tensor/index.ts'
import { type Activation, activation } from '../activations.ts'
import { initialize } from '../initializers.ts'
import { initAll, type Layer, requireFeatures, requirePositive } from '../layer.ts'
import { type DenseParameters, dense } from '../layers/dense.ts'
import { joinWindows } from '../layers/hierarchicalConv.ts'
import { type Parametrization, parametrization } from '../parametrization.ts'

export interface HierarchicalLcnOptions {
  /** Input channels: the vocabulary size v of one-hot symbols. */
  readonly symbols: number
  /** Window and stride s. */
  readonly branching: number
  /** Number L of hidden layers; strings have s^L symbols. */
  readonly depth: number
  readonly width: number
  /** Logits: classes, or symbols when the last token is predicted. */
  readonly outputs: number
  /** Default 'relu'. */
  readonly activation?: Activation
  /** Default 'meanField', as in the papers. */
  readonly parametrization?: Parametrization
}

/** layers.l.weight [s^(L − l − 1), width, s · inputs], window before output; readout.weight [outputs, width]. */
export type HierarchicalLcnParameters = { layers: { weight: Tensor }[]; readout: DenseParameters }

export interface HierarchicalLcn extends Layer<HierarchicalLcnParameters> {
  /** The hidden layers after their activations, [B, s^(L − l), width] for l = 1 … L. */
  readonly activations: (parameters: HierarchicalLcnParameters, x: Tensor) => Tensor[]
}

/** A product for each window, examples after windows: [windows, N, fanIn] ↦ [windows, N, width]. */
function localLayer(
  windows: number,
  fanIn: number,
  width: number,
  { init, scale }: ReturnType<ReturnType<typeof parametrization>['hidden']>,
): Layer<{ weight: Tensor }> {
  return {
    init: (key) => ({
      weight: initialize(key, [windows, width, fanIn], init, { fanIn, fanOut: width }),
    }),
    apply: ({ weight }, x) => mul(matmul(x, weight, { transposeB: true }), scale),
  }
}

/** Windows before examples: [T, N, C] ↦ [T / s, N, s · C]. */
function joinPositions(x: Tensor, s: number): Tensor {
  const [length, n, channels] = x.shape as [number, number, number]
  const open = transpose(reshape(x, [length / s, s, n, channels]), [0, 2, 1, 3])
  return reshape(open, [length / s, n, s * channels])
}

/** x [B, s^L, v] ↦ logits [B, outputs]. */
export function hierarchicalLcn(options: HierarchicalLcnOptions): HierarchicalLcn {
  const { symbols, branching, depth, width, outputs } = options
  requirePositive('hierarchicalLcn: sizes', symbols, branching, depth, width, outputs)
  const act = activation(options.activation ?? 'relu')
  const rule = parametrization(options.parametrization ?? 'meanField')
  const layers = Array.from({ length: depth }, (_, i) => {
    const fanIn = branching * (i === 0 ? symbols : width)
    return localLayer(branching ** (depth - i - 1), fanIn, width, rule.hidden(fanIn))
  })
  const readout = dense(width, outputs, { bias: false, ...rule.readout(width) })

  /** Hidden layers, [s^(L − l), B, width]: examples stand last but one, so that a layer is one batched product. */
  function hidden(parameters: HierarchicalLcnParameters, x: Tensor): Tensor[] {
    requireFeatures(`hierarchicalLcn(${symbols} symbols)`, x, symbols)
    requireFeatures(`hierarchicalLcn(${branching}^${depth} positions)`, x, branching ** depth, 1)
    let h = transpose(joinWindows(x, branching), [1, 0, 2])
    return layers.map((layer, i) => {
      h = act(layer.apply(parameters.layers[i]!, i === 0 ? h : joinPositions(h, branching)))
      return h
    })
  }
  return {
    init: (key) => {
      const { hidden: made, last } = initAll(key, {
        hidden: { init: (own: typeof key) => initAll(own, layers) },
        last: readout,
      })
      return { layers: made, readout: last }
    },
    activations: (parameters, x) => hidden(parameters, x).map((h) => transpose(h, [1, 0, 2])),
    apply: (parameters, x) => {
      const top = hidden(parameters, x).at(-1)!
      return readout.apply(parameters.readout, reshape(top, [x.shape[0]!, width]))
    },
  }
}
