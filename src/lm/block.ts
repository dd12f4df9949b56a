/** @file The graph of a transformer block: attention is handed in. */
import {
  add,
  addRmsNorm,
  concatenate,
  gelu,
  layerNorm,
  rmsNorm,
  sliceAxis,
  split,
  swiGlu,
  type Tensor,
} from '../tensor/index.ts'
import type { ModelConfig } from './config.ts'
import { applyLinear } from './matrix.ts'
import type { BlockWeights, HeadWeights, Norm } from './weights.ts'

/** Queries, keys and values side by side [B, S, (H + 2G) · D] ↦ the mix [B, S, H · D] of one layer. */
export type Attention = (qkv: Tensor, layer: number) => Tensor

/** The feed-forward's last map from its input a [B, S, hidden], where something is added to it (a residual memory). */
export type Down = (a: Tensor, plain: (a: Tensor) => Tensor) => Tensor

/** Layer or root-mean-square normalization of the last axis, whichever the model has. */
export const normalize = (config: ModelConfig, { weight, bias }: Norm, x: Tensor): Tensor =>
  bias
    ? layerNorm(x, weight, bias, { epsilon: config.epsilon })
    : rmsNorm(x, weight, { epsilon: config.epsilon })

/** x + y and its normalization, in one pass where there is one. */
function sumAndNorm(
  config: ModelConfig,
  { weight, bias }: Norm,
  x: Tensor,
  y: Tensor,
): { total: Tensor; normalized: Tensor } {
  const options = { epsilon: config.epsilon }
  if (!bias) return addRmsNorm(x, y, weight, options)
  const total = add(x, y)
  return { total, normalized: layerNorm(total, weight, bias, options) }
}

/** Queries and keys normalized head by head (Qwen3). */
function normalizeHeads(config: ModelConfig, { headNorms }: BlockWeights, qkv: Tensor): Tensor {
  if (!headNorms) return qkv
  const { heads, keyValueHeads, headSlots: headWidth, epsilon } = config
  const sizes = [heads, keyValueHeads, keyValueHeads].map((n) => n * headWidth)
  const [q, k, v] = split(qkv, sizes, -1) as [Tensor, Tensor, Tensor]
  // one slice for each head: a reshape would fix the length
  const each = (x: Tensor, n: number, scale: Tensor): Tensor[] =>
    Array.from({ length: n }, (_, h) =>
      rmsNorm(sliceAxis(x, -1, h * headWidth, (h + 1) * headWidth), scale, { epsilon }),
    )
  return concatenate([...each(q, heads, headNorms.query), ...each(k, keyValueHeads, headNorms.key), v], -1)
}

/** The residual stream as a sum that is not taken yet: the next normalization takes it in the same pass. */
export interface Stream {
  readonly x: Tensor
  readonly y?: Tensor
}

/** One block: the stream that enters, [B, S, width] ↦ the stream that leaves, and the input of its last map. */
export function block(
  config: ModelConfig,
  weights: BlockWeights,
  { x, y }: Stream,
  layer: number,
  attention: Attention,
  down?: Down,
): { stream: Stream; a: Tensor } {
  const entered = y
    ? sumAndNorm(config, weights.norm1, x, y)
    : { total: x, normalized: normalize(config, weights.norm1, x) }
  const qkv = normalizeHeads(config, weights, applyLinear(weights.qkv, entered.normalized))
  const mixed = applyLinear(weights.out, attention(qkv, layer))
  const middle = sumAndNorm(config, weights.norm2, entered.total, mixed)
  const wide = applyLinear(weights.up, middle.normalized)
  const a = config.architecture.feedForward === 'swiglu' ? swiGlu(wide) : gelu(wide, { approximate: 'tanh' })
  const plain = (input: Tensor): Tensor => applyLinear(weights.down, input)
  return { stream: { x: middle.total, y: down ? down(a, plain) : plain(a) }, a }
}

/** The stream as one tensor. */
export const collapse = ({ x, y }: Stream): Tensor => (y ? add(x, y) : x)

/**
 * Final normalization and head on chosen rows of the stream: x [B, S, width], rows [R] (b · S + s) ↦ logits [R, vocabulary].
 */
export function applyHead(config: ModelConfig, { norm, head }: HeadWeights, x: Tensor): Tensor {
  return applyLinear(head, normalize(config, norm, x))
}

/** Far below every score, finite so that a fully masked row does not give NaN. */
export const excluded = -1e30

/** The causal mask of `length` tokens, with a window, as f32 numbers to add to scores: [length, length]. */
export const causalMask = (length: number, window = 0): Float32Array =>
  Float32Array.from({ length: length * length }, (_, i) => {
    const [row, column] = [Math.floor(i / length), i % length]
    return column > row || (window > 0 && column <= row - window) ? excluded : 0
  })
