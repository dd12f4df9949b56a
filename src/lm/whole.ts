/**
 * @file Blocks over whole sequences without a cache, as a plain function of tensors: what is differentiated when the top of a
 * model is trained while everything below it is frozen and computed once.
 */
import { gather, reshape, type Tensor, tensor } from '../tensor/index.ts'
import { applyHead, block, causalMask, collapse, type Down, type Stream, wholeAttention } from './block.ts'
import type { ModelConfig } from './config.ts'
import { rotaryTables } from './rotary.ts'
import type { BlockWeights, HeadWeights, ModelWeights } from './weights.ts'

export interface WholeWeights {
  /** First block. */
  readonly from: number
  readonly blocks: readonly BlockWeights[]
  readonly head?: HeadWeights
  readonly frequencyFactors?: Float32Array
}

/** Weights of blocks `from` to `to − 1`, and of the head when `to` is the end: read from the file now. */
export function wholeWeights(
  { layers }: ModelConfig,
  weights: ModelWeights,
  from: number,
  to = layers,
): WholeWeights {
  const { frequencyFactors } = weights
  return {
    from,
    blocks: Array.from({ length: to - from }, (_, i) => weights.block(from + i)),
    ...(to === layers && { head: weights.head() }),
    ...(frequencyFactors && { frequencyFactors }),
  }
}

export interface WholeInputs {
  /** The stream that enters: [B, S, width]; sequences begin at position 0 and are padded on the right. */
  readonly x: Tensor
  /** Rows b · S + s that reach the head: integers [R]. */
  readonly rows?: Tensor
  /** What a block's down projection becomes: a [B, S, hidden] and the plain map ↦ [B, S, width]. */
  readonly down?: { readonly layer: number; readonly apply: Down }
}

/** The stream after the blocks, [B, S, width]; with a head its logits on the rows, [R, vocabulary]. Differentiable. */
export function applyWhole(
  config: ModelConfig,
  weights: WholeWeights,
  { x, rows, down }: WholeInputs,
): Tensor {
  const [b, s] = x.shape as [number, number, number]
  const tables = rotaryTables(config, s, weights.frequencyFactors)
  const mask = tensor(causalMask(s, config.window), { shape: [s, s] })
  const attention = wholeAttention(config, { mask, ...tables })
  let stream: Stream = { x }
  for (const [i, own] of weights.blocks.entries()) {
    const layer = weights.from + i
    const hook = down?.layer === layer ? down.apply : undefined
    stream = block(config, own, stream, layer, attention, hook).stream
  }
  const whole = collapse(stream)
  if (!weights.head || !rows) return whole
  return applyHead(config, weights.head, gather(reshape(whole, [b * s, config.width]), rows, 0))
}
