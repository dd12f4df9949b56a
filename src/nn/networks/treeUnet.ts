/**
 * @file The tree U-Net: a U-Net whose strided windows are those of a tree-structured grammar, so that it can do belief propagation
 * on the tree, up and down. (Favero et al. 2025, arXiv 2502.12089; Mei 2024, arXiv 2404.18444)
 */
import { concatenate, type Tensor } from '../../tensor/index.ts'
import { type Activation, activation } from '../activations.ts'
import { initAll, type Layer, requirePositive } from '../layer.ts'
import { type DenseParameters, dense } from '../layers/dense.ts'
import { hierarchicalConv, hierarchicalConvTranspose } from '../layers/hierarchicalConv.ts'
import { layerNorm, type NormParameters } from '../layers/normalization.ts'
import { type Parametrization, parametrization } from '../parametrization.ts'

export interface TreeUnetOptions {
  /** Channels in and out: the vocabulary size v. */
  readonly symbols: number
  /** Window and stride s. */
  readonly branching: number
  /** Blocks down and as many up: L of a grammar. A string has a multiple of s^L symbols. */
  readonly depth: number
  readonly width: number
  /** Default 'gelu' (exact). */
  readonly activation?: Activation
  /** Default 'meanField', as in the papers: the readout is divided by its fan-in. */
  readonly parametrization?: Parametrization
}

interface BlockParameters {
  readonly [name: string]: DenseParameters | NormParameters
  readonly conv: DenseParameters
  readonly norm: NormParameters
}

/**
 * embed.weight [width, v]; down.l.conv.weight [width, s · width]; up.l.conv.weight [s · width, width], of all but the first
 * [s · width, 2 · width], what came up before what came across; readout.weight [v, 2 · width].
 */
export type TreeUnetParameters = {
  embed: DenseParameters
  down: BlockParameters[]
  up: BlockParameters[]
  readout: DenseParameters
}

export interface TreeUnet extends Layer<TreeUnetParameters> {
  /** The outputs of the blocks, down then up: [B, d / s^l, width] for l = 1 … L, then for l = L − 1 … 0. */
  readonly activations: (parameters: TreeUnetParameters, x: Tensor) => Tensor[]
}

/** x [B, d, v] with d a multiple of s^L ↦ logits [B, d, v]. */
export function treeUnet(options: TreeUnetOptions): TreeUnet {
  const { symbols, branching, depth, width } = options
  requirePositive('treeUnet: sizes', symbols, branching, depth, width)
  const act = activation(options.activation ?? 'gelu')
  const rule = parametrization(options.parametrization ?? 'meanField')
  const bare = { bias: false }
  const embed = dense(symbols, width, { ...bare, ...rule.hidden(symbols) })
  const down = Array.from({ length: depth }, () => ({
    conv: hierarchicalConv(width, width, branching, { ...bare, ...rule.hidden(branching * width) }),
    norm: layerNorm(width),
  }))
  const up = Array.from({ length: depth }, (_, i) => {
    const inputs = i === 0 ? width : 2 * width
    return {
      conv: hierarchicalConvTranspose(inputs, width, branching, { ...bare, ...rule.hidden(inputs) }),
      norm: layerNorm(width),
    }
  })
  const readout = dense(2 * width, symbols, { ...bare, ...rule.readout(2 * width) })

  /** Outputs of the blocks, and what goes into the readout. */
  function through(p: TreeUnetParameters, x: Tensor): { blocks: Tensor[]; last: Tensor } {
    const first = act(embed.apply(p.embed, x))
    const block = (layers: (typeof down)[number], own: BlockParameters, h: Tensor): Tensor =>
      act(layers.norm.apply(own.norm, layers.conv.apply(own.conv, h)))
    let h = first
    const climbed = down.map((layers, i) => {
      h = block(layers, p.down[i]!, h)
      return h
    })
    const descended = up.map((layers, i) => {
      const across = i === 0 ? undefined : climbed[depth - 1 - i]!
      h = block(layers, p.up[i]!, across ? concatenate([h, across], 2) : h)
      return h
    })
    return { blocks: [...climbed, ...descended], last: concatenate([h, first], 2) }
  }

  return {
    init: (key) => {
      const {
        embed: embedding,
        out,
        blocks,
      } = initAll(key, {
        embed,
        out: readout,
        blocks: {
          init: (own: typeof key) =>
            initAll(
              own,
              [...down, ...up].map((layers) => ({ init: (k: typeof key) => initAll(k, layers) })),
            ),
        },
      })
      return { embed: embedding, down: blocks.slice(0, depth), up: blocks.slice(depth), readout: out }
    },
    activations: (p, x) => through(p, x).blocks,
    apply: (p, x) => readout.apply(p.readout, through(p, x).last),
  }
}
