/**
 * @file The tree U-Net: a U-Net whose strided windows are those of a tree-structured grammar, so that it can do belief propagation
 * on the tree, up and down. (Favero et al. 2025, arXiv 2502.12089; Mei 2024, arXiv 2404.18444)
 */
import { concatenate, gather, mul, reshape, type Tensor, tensor } from '../../tensor/index.ts'
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
  /**
   * The same as `apply` of strings whose symbols are rows [n, v] of a table: i32 [B, d] ↦ logits [B, d, v]. What only depends on
   * single symbols, and on the windows of the first block, is computed once for each that there is.
   */
  readonly applyRows: (parameters: TreeUnetParameters, rows: Tensor, symbols: Tensor) => Tensor
}

/** The symbols of all windows of `s` symbols out of `n`, one after the other, i32 [1, n^s · s]: the digits of their numbers. */
const allWindows = (n: number, s: number): Tensor => {
  const size = n ** s * s
  const digits = Int32Array.from(
    { length: size },
    (_, i) => Math.floor(Math.floor(i / s) / n ** (s - 1 - (i % s))) % n,
  )
  return tensor(digits, { shape: [1, size] })
}

/** The number of each window of strings i32 [B, d]: i32 [B, d / s]. */
function windowNumbers(symbols: Tensor, n: number, s: number): Tensor {
  const [count, d] = symbols.shape as [number, number]
  const powers = tensor(Int32Array.from({ length: s }, (_, j) => n ** (s - 1 - j)))
  return mul(reshape(symbols, [count, d / s, s]), powers).sum(2)
}

/** The layers of a tree U-Net. */
function layersOf({ symbols, branching, depth, width, parametrization: name }: TreeUnetOptions) {
  requirePositive('treeUnet: sizes', symbols, branching, depth, width)
  const rule = parametrization(name ?? 'meanField')
  const bare = { bias: false }
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
  return {
    embed: dense(symbols, width, { ...bare, ...rule.hidden(symbols) }),
    ...{ down, up },
    readout: dense(2 * width, symbols, { ...bare, ...rule.readout(2 * width) }),
  }
}

/** x [B, d, v] with d a multiple of s^L ↦ logits [B, d, v]. */
export function treeUnet(options: TreeUnetOptions): TreeUnet {
  const { symbols: symbolCount, branching, depth, width } = options
  const act = activation(options.activation ?? 'gelu')
  const { embed, down, up, readout } = layersOf(options)

  const block = (layers: (typeof down)[number], own: BlockParameters, h: Tensor): Tensor =>
    act(layers.norm.apply(own.norm, layers.conv.apply(own.conv, h)))

  /** The embedded symbols, and the output of the first block. */
  function firstOf(p: TreeUnetParameters, x: Tensor): [Tensor, Tensor] {
    const first = act(embed.apply(p.embed, x))
    return [first, block(down[0]!, p.down[0]!, first)]
  }

  /** The same of symbols that are rows of a table; where there are fewer windows than in the strings, they are a table, too. */
  function firstOfRows(p: TreeUnetParameters, rows: Tensor, symbols: Tensor): [Tensor, Tensor] {
    const n = rows.shape[0]!
    const embedded = reshape(act(embed.apply(p.embed, reshape(rows, [1, n, symbolCount]))), [n, width])
    const first = gather(embedded, symbols)
    const lowest = (h: Tensor): Tensor => block(down[0]!, p.down[0]!, h)
    if (n ** branching > symbols.size / branching) return [first, lowest(first)]
    const windows = allWindows(n, branching)
    const climbed = reshape(lowest(gather(embedded, windows)), [n ** branching, width])
    return [first, gather(climbed, windowNumbers(symbols, n, branching))]
  }

  /** Outputs of the blocks, and what goes into the readout. */
  function through(
    p: TreeUnetParameters,
    [first, lowest]: readonly [Tensor, Tensor],
  ): { blocks: Tensor[]; last: Tensor } {
    let h = lowest
    const climbed = down.map((layers, i) => {
      if (i > 0) h = block(layers, p.down[i]!, h)
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
    activations: (p, x) => through(p, firstOf(p, x)).blocks,
    apply: (p, x) => readout.apply(p.readout, through(p, firstOf(p, x)).last),
    applyRows: (p, rows, symbols) => readout.apply(p.readout, through(p, firstOfRows(p, rows, symbols)).last),
  }
}
