/**
 * @file The graph of a transformer block, written once: attention is handed in, so that the same block decodes through a cache
 * and is differentiated over whole sequences.
 */
import {
  add,
  addRmsNorm,
  concatenate,
  gelu,
  layerNorm,
  matmul,
  mul,
  reshape,
  rmsNorm,
  sliceAxis,
  softmax,
  split,
  sub,
  swiGlu,
  type Tensor,
  transpose,
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

/** Tables of rotary angles [S, D/2] and the causal mask [S, S] (0 where a row may look, −10³⁰ elsewhere). */
export interface WholeSequence {
  readonly cos?: Tensor
  readonly sin?: Tensor
  readonly mask: Tensor
}

/** The causal mask of `length` tokens, with a window, as f32 numbers to add to scores: [length, length]. */
export const causalMask = (length: number, window = 0): Float32Array =>
  Float32Array.from({ length: length * length }, (_, i) => {
    const [row, column] = [Math.floor(i / length), i % length]
    return column > row || (window > 0 && column <= row - window) ? excluded : 0
  })

/** Attention over whole sequences from their first token, differentiable: no cache. */
export function wholeAttention(config: ModelConfig, { cos, sin, mask }: WholeSequence): Attention {
  const { heads, keyValueHeads, headSlots: d, headWidth } = config
  return (qkv) => {
    const [b, s] = qkv.shape as [number, number]
    const parts = transpose(reshape(qkv, [b, s, heads + 2 * keyValueHeads, d]), [0, 2, 1, 3])
    const turn = (x: Tensor): Tensor => {
      if (!cos || !sin) return x
      const [first, second] = [sliceAxis(x, -1, 0, d / 2), sliceAxis(x, -1, d / 2, d)]
      return concatenate([sub(mul(first, cos), mul(second, sin)), add(mul(second, cos), mul(first, sin))], -1)
    }
    const shared = heads / keyValueHeads
    const q = reshape(turn(sliceAxis(parts, 1, 0, heads)), [b, keyValueHeads, shared * s, d])
    const k = turn(sliceAxis(parts, 1, heads, heads + keyValueHeads))
    const v = sliceAxis(parts, 1, heads + keyValueHeads, heads + 2 * keyValueHeads)
    const scores = reshape(mul(matmul(q, k, { transposeB: true }), 1 / Math.sqrt(headWidth)), [
      b,
      heads,
      s,
      s,
    ])
    const weights = reshape(softmax(add(scores, mask)), [b, keyValueHeads, shared * s, s])
    const mixed = reshape(matmul(weights, v), [b, heads, s, d])
    return reshape(transpose(mixed, [0, 2, 1, 3]), [b, s, heads * d])
  }
}
