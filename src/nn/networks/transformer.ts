/** @file Pre-norm transformer over tokens. */

import { fail } from '../../base/index.ts'
import { add, gather, matmul, random, showSpec, sliceAxis, type Tensor } from '../../tensor/index.ts'
import { type Activation, activation } from '../activations.ts'
import { type Initializer, initialize } from '../initializers.ts'
import { initAll, type Key, type Layer, requirePositive, subKey } from '../layer.ts'
import { type AttentionParameters, attention } from '../layers/attention.ts'
import { type DenseParameters, dense } from '../layers/dense.ts'
import { dropout } from '../layers/dropout.ts'
import { layerNorm, rmsNorm } from '../layers/normalization.ts'
import type { RotaryOptions } from '../layers/rotary.ts'

export interface TransformerOptions {
  readonly vocabulary: number
  /** Longest sequence (the table of learned positions has as many rows). */
  readonly context: number
  readonly features: number
  readonly heads: number
  readonly layers: number
  readonly keyValueHeads?: number
  /** Features inside the feed-forward block. Default 4 × features. */
  readonly hidden?: number
  /** Default true. */
  readonly causal?: boolean
  /** Default 'learned'. */
  readonly positions?: 'learned' | 'rotary' | 'none'
  readonly rotary?: RotaryOptions
  /** Default 'layer'. */
  readonly norm?: 'layer' | 'rms'
  /** Default 'gelu' (exact). */
  readonly activation?: Activation
  /** Logits for each position. Default the vocabulary. */
  readonly outputs?: number
  /** Use the embedding table as head (needs outputs = vocabulary). */
  readonly tiedHead?: boolean
  /** Biases of the attention and feed-forward maps. Default true. */
  readonly bias?: boolean
  /** One projection `attention.qkv` in place of `query`, `key`, `value`. */
  readonly fusedAttention?: boolean
  /** Dropout of embeddings and of what each block adds, when there is a key. */
  readonly dropout?: number
}

type Norm = { weight: Tensor; bias?: Tensor }
export type TransformerBlockParameters = {
  norm1: Norm
  attention: AttentionParameters
  norm2: Norm
  mlp: { fc1: DenseParameters; fc2: DenseParameters }
}
export type TransformerParameters = {
  /** [vocabulary, features] */
  embedding: Tensor
  /** [context, features], with learned positions */
  positions?: Tensor
  blocks: TransformerBlockParameters[]
  norm: Norm
  /** weight [outputs, features]; absent when tied */
  head?: DenseParameters
}

export interface TransformerInputs {
  /** Booleans that broadcast to [B, H, T, T], true where a position may look. */
  readonly mask?: Tensor
  /** Key of dropout; none in evaluation. */
  readonly key?: Key | Tensor
}

export interface Transformer
  extends Layer<TransformerParameters, [tokens: Tensor, inputs?: TransformerInputs]> {
  /** The residual stream after the embedding and after each block, [B, T, features] each (layers + 1 of them). */
  readonly activations: (p: TransformerParameters, tokens: Tensor, inputs?: TransformerInputs) => Tensor[]
}

/**
 * Tokens [B, T] (integers, T ≤ context), or weights of the vocabulary [B, T, V] whose mean embedding is taken, ↦ logits
 * [B, T, outputs]. (Vaswani et al. 2017; pre-norm as in GPT-2)
 */
export function transformer(options: TransformerOptions): Transformer {
  const { vocabulary, context, features, heads, layers: depth } = options
  const { causal = true, positions = 'learned', tiedHead = false, bias = true, dropout: rate = 0 } = options
  const { hidden = 4 * features, outputs = vocabulary } = options
  requirePositive('transformer: sizes', vocabulary, context, features, depth, hidden, outputs)
  if (tiedHead && outputs !== vocabulary)
    fail('TL_BAD_ARGUMENT', `transformer: a tied head gives ${vocabulary} outputs, got outputs ${outputs}`)
  const init: Initializer = { normal: 0.02 }
  // what a block adds to the stream begins smaller, so that the sum of all keeps its size (GPT-2)
  const initResidual: Initializer = { normal: 0.02 / Math.sqrt(2 * depth) }
  const act = activation(options.activation ?? 'gelu')
  const norm = (): Layer<Norm> =>
    (options.norm ?? 'layer') === 'rms' ? rmsNorm(features) : (layerNorm(features) as Layer<Norm>)

  const attend = attention(features, {
    heads,
    ...(options.keyValueHeads && { keyValueHeads: options.keyValueHeads }),
    fused: options.fusedAttention ?? false,
    ...(positions === 'rotary' && { rotary: options.rotary ?? {} }),
    causal,
    bias,
    init,
    dropout: rate,
  })
  const parts = { norm1: norm(), attention: attend, norm2: norm() }
  const feedForward = {
    fc1: dense(features, hidden, { bias, init }),
    fc2: dense(hidden, features, { bias, init: initResidual }),
  }
  const outProjection = dense(heads * (features / heads), features, { bias, init: initResidual })
  const finalNorm = norm()
  const head = dense(features, outputs, { bias: false, init })

  function initBlock(key: Key): TransformerBlockParameters {
    const [first, second, third] = random.split(key, 3)
    const { norm1, attention: made, norm2 } = initAll(first, parts)
    return {
      norm1,
      attention: { ...made, out: outProjection.init(third) },
      norm2,
      mlp: initAll(second, feedForward),
    }
  }

  function block(p: TransformerBlockParameters, x: Tensor, { mask, key }: TransformerInputs): Tensor {
    const looked = attend.apply(p.attention, parts.norm1.apply(p.norm1, x), {
      ...(mask && { mask }),
      ...(key && { key: subKey(key, 0)! }),
    })
    const h = add(x, dropout(looked, rate, subKey(key, 1)))
    const inner = act(feedForward.fc1.apply(p.mlp.fc1, parts.norm2.apply(p.norm2, h)))
    return add(h, dropout(feedForward.fc2.apply(p.mlp.fc2, inner), rate, subKey(key, 2)))
  }

  function activations(p: TransformerParameters, tokens: Tensor, inputs: TransformerInputs = {}): Tensor[] {
    const length = tokens.shape[1]
    const areWeights = tokens.rank === 3 && tokens.shape[2] === vocabulary
    if (!(tokens.rank === 2 || areWeights) || length! > context)
      fail(
        'TL_SHAPE_MISMATCH',
        `transformer: expected tokens [B, T] or weights [B, T, ${vocabulary}] with T <= ${context}, got ${showSpec(tokens)}`,
      )
    // keys exist only where dropout uses them: each costs random words in the graph
    const { mask, key } = inputs
    const used = rate > 0 ? key : undefined
    let h = areWeights ? matmul(tokens, p.embedding) : gather(p.embedding, tokens, 0)
    if (p.positions) h = add(h, sliceAxis(p.positions, 0, 0, length!))
    h = dropout(h, rate, subKey(used, depth))
    const stream = [h]
    for (const [i, parameters] of p.blocks.entries()) {
      const blockKey = subKey(used, i)
      h = block(parameters, h, { ...(mask && { mask }), ...(blockKey && { key: blockKey }) })
      stream.push(h)
    }
    return stream
  }

  return {
    init: (key) => {
      const [forTable, forPositions, forBlocks, forHead] = random.split(key, 4)
      const table = (k: Key, rows: number): Tensor =>
        initialize(k, [rows, features], init, { fanIn: rows, fanOut: features })
      return {
        embedding: table(forTable, vocabulary),
        ...(positions === 'learned' && { positions: table(forPositions, context) }),
        blocks: random.split(forBlocks, depth).map(initBlock),
        norm: finalNorm.init(forHead),
        ...(!tiedHead && { head: head.init(forHead) }),
      }
    },
    activations,
    apply: (p, tokens, inputs) => {
      const h = finalNorm.apply(p.norm, activations(p, tokens, inputs).at(-1)!)
      return p.head ? head.apply(p.head, h) : matmul(h, p.embedding, { transposeB: true })
    },
  }
}
