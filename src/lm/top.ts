/**
 * @file The top of a model, its last blocks and its head, as one differentiable function of the stream that enters it: what is
 * differentiated when a change below is learned while everything under it is frozen and computed once.
 */
import {
  add,
  logSoftmax,
  matmul,
  mul,
  neg,
  reshape,
  scatterAlong,
  softmax,
  sub,
  sum,
  type Tensor,
  takeAlong,
  vjp,
} from '../tensor/index.ts'
import { normalize } from './block.ts'
import type { ModelConfig } from './config.ts'
import { applyLinear, type Memory } from './matrix.ts'
import type { LanguageModel } from './model.ts'
import {
  type LastBlockWeights,
  lastBlockWeights,
  lastPackedBlock,
  type PackedLayout,
  packedBlock,
  selectRows,
} from './packed.ts'
import type { BlockWeights, HeadWeights } from './weights.ts'

export interface Top {
  readonly config: ModelConfig
  /** All blocks but the last. */
  readonly blocks: readonly BlockWeights[]
  /** Absent where the top is the head alone. */
  readonly last?: LastBlockWeights
  readonly head: HeadWeights
}

/**
 * The blocks from `from` on, and the head, in dense weights: read from the file now, made in `memory`, the head `turned` or not.
 * `from` may be the number of blocks.
 */
export function topOf(
  { config, weights }: Pick<LanguageModel, 'config' | 'weights'>,
  from: number,
  { memory, turned }: { readonly memory?: Memory; readonly turned?: boolean } = {},
): Top {
  const { layers } = config
  return {
    config,
    blocks: Array.from({ length: Math.max(0, layers - 1 - from) }, (_, i) => weights.block(from + i, memory)),
    ...(from < layers && { last: lastBlockWeights(config, weights.block(layers - 1, memory)) }),
    head: weights.head(memory, turned),
  }
}

/** Blocks alone: what is fine-tuned, or linearized, where the norm and the head stay as they are. A tree of tensors but for matrices in blocks. */
export type TopBlocks = Pick<Top, 'blocks' | 'last'>

/**
 * The stream on chosen tokens before the last norm, [R, width]: x [T, width] is the stream of packed sequences at `layout`, and
 * `pick` [R, T] has a one in each row.
 */
export function applyBlocks(
  config: ModelConfig,
  { blocks, last }: TopBlocks,
  x: Tensor,
  layout: PackedLayout,
  pick: Tensor,
): Tensor {
  let stream = x
  for (const own of blocks) stream = packedBlock(config, own, stream, layout)
  return last ? lastPackedBlock(config, last, stream, layout, pick) : selectRows(pick, stream)
}

/** The normalized hidden states that the head takes, [R, width], on chosen tokens. Logits are `applyLinear(top.head.head, …)` of them. */
export const applyTop = (
  { config, blocks, last, head }: Top,
  x: Tensor,
  layout: PackedLayout,
  pick: Tensor,
): Tensor => normalize(config, head.norm, applyBlocks(config, { blocks, last }, x, layout, pick))

/** What R predictions are to be, and what each of them counts. */
export interface TopTargets {
  /** [R, T] with a one in each row: the token whose logits are meant. */
  readonly pick: Tensor
  /** Ids [R], and what their cross-entropies count [R]. */
  readonly labels: Tensor
  readonly weights: Tensor
  /** Distributions that are to stay near one: log-probabilities [1, vocabulary], and what KL(p ‖ it) counts [R]. */
  readonly stay?: { readonly initial: Tensor; readonly weights: Tensor }
}

/**
 * Cross-entropy of each target [R], KL(p ‖ initial) of each row [R] where something is to stay, both in nats, and the gradient
 * of their weighted sum in the stream x [T, width]. The loss's own derivative is written out: a program of it serves every R.
 */
export function lossAtTop(
  top: Top,
  x: Tensor,
  layout: PackedLayout,
  { pick, labels, weights, stay }: TopTargets,
): { losses: Tensor; divergences?: Tensor; gradient: Tensor } {
  const { value, pullback } = vjp((stream: Tensor) => applyTop(top, stream, layout, pick), x)
  const logits = applyLinear(top.head.head, value)
  const r = labels.shape[0]!
  const at = reshape(labels, [r, 1])
  const each = reshape(weights, [r, 1])
  const logP = logSoftmax(logits)
  const losses = reshape(neg(takeAlong(logP, at)), [r])
  const { weight, isTurned = false } = top.head.head
  const back = (slope: Tensor): Tensor => matmul(slope, weight as Tensor, { transposeB: !isTurned })
  const slope = scatterAlong(softmax(logits), at, sub(mul(each, 0), 1))
  if (!stay) {
    // the factor is applied where rows are short
    const [gradient] = pullback(mul(back(slope), each))
    return { losses, gradient: gradient! }
  }
  const p = softmax(logits)
  const apart = sub(logP, stay.initial)
  const divergences = sum(mul(p, apart), -1)
  const drift = mul(p, sub(apart, reshape(divergences, [r, 1])))
  const both = add(mul(slope, each), mul(drift, reshape(stay.weights, [r, 1])))
  const [gradient] = pullback(back(both))
  return { losses, divergences, gradient: gradient! }
}
