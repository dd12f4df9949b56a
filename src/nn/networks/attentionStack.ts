/**
 * @file A stack of multi-head attention and nothing else – no residual, no norm, no feed-forward block, no mask – that predicts
 * the last token: the transformer of the Random Hierarchy Model papers. (Cagnetta and Wyart 2024, arXiv 2406.00048)
 */
import { fail } from '../../base/index.ts'
import { add, matmul, mul, reshape, showSpec, sliceAxis, type Tensor } from '../../tensor/index.ts'
import { initialize } from '../initializers.ts'
import { initAll, type Key, type Layer, requirePositive } from '../layer.ts'
import { type AttentionParameters, attention } from '../layers/attention.ts'
import { type DenseParameters, dense } from '../layers/dense.ts'
import { parametrization } from '../parametrization.ts'

export interface AttentionStackOptions {
  /** Vocabulary size v. */
  readonly symbols: number
  /** Tokens d of a string. */
  readonly length: number
  /** Size e of the embedding, a multiple of the heads. */
  readonly features: number
  readonly heads: number
  /** Layers of attention. */
  readonly layers: number
  /** Logits. */
  readonly outputs: number
}

/** embedding [v, e]; positions [d, e]; layers.l.query, key, value, out: weight [e, e]; readout.weight [outputs, e]. */
export type AttentionStackParameters = {
  embedding: Tensor
  positions: Tensor
  layers: AttentionParameters[]
  readout: DenseParameters
}

export interface AttentionStack extends Layer<AttentionStackParameters> {
  /** The embedded string and what each layer makes of it, [B, d, e] each (layers + 1 of them). */
  readonly activations: (parameters: AttentionStackParameters, x: Tensor) => Tensor[]
}

/**
 * x [B, d, v], weights of the vocabulary at each position (rows of norm √v, zeros where a token is hidden) ↦ logits [B, outputs],
 * read at the last position. All weights N(0, 1); the embedding is divided by √v, every other product by √e.
 */
export function attentionStack(options: AttentionStackOptions): AttentionStack {
  const { symbols, length, features, heads, layers: depth, outputs } = options
  requirePositive('attentionStack: sizes', symbols, length, features, depth, outputs)
  const rule = parametrization('ntk')
  const bare = { bias: false } as const
  const layer = attention(features, { heads, ...bare, ...rule.hidden(features) })
  const readout = dense(features, outputs, { ...bare, ...rule.readout(features) })
  const table = (key: Key, rows: number): Tensor =>
    initialize(key, [rows, features], { normal: 1 }, { fanIn: rows, fanOut: features })

  function embed(p: AttentionStackParameters, x: Tensor): Tensor {
    if (x.rank !== 3 || x.shape[1] !== length || x.shape[2] !== symbols)
      fail('TL_SHAPE_MISMATCH', `attentionStack: expected x [B, ${length}, ${symbols}], got ${showSpec(x)}`)
    return add(mul(matmul(x, p.embedding), 1 / Math.sqrt(symbols)), p.positions)
  }
  /** The embedding and the outputs of the first `count` layers. */
  function through(p: AttentionStackParameters, x: Tensor, count: number): Tensor[] {
    const all = [embed(p, x)]
    for (let i = 0; i < count; i++) all.push(layer.apply(p.layers[i]!, all[i]!))
    return all
  }
  return {
    init: (key) =>
      initAll(key, {
        embedding: { init: (own: Key) => table(own, symbols) },
        positions: { init: (own: Key) => table(own, length) },
        layers: { init: (own: Key) => initAll(own, Array<typeof layer>(depth).fill(layer)) },
        readout,
      }),
    activations: (p, x) => through(p, x, depth),
    apply: (p, x) => {
      // of the last layer only the last position is read: no other has a query
      const h = through(p, x, depth - 1).at(-1)!
      const last = layer.apply(p.layers.at(-1)!, sliceAxis(h, 1, length - 1, length), { context: h })
      return readout.apply(p.readout, reshape(last, [x.shape[0]!, features]))
    },
  }
}
