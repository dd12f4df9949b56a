/** @file Log-probabilities of given tokens, several sequences at once, and perplexity. */
import { fail } from '../base/index.ts'
import type { ModelConfig } from './config.ts'
import { logProbabilityOf } from './sampling.ts'
import type { Segment } from './segment.ts'
import { checkIds, openSession } from './session.ts'

/** Tokens (with padding) of one batch. */
const budget = 256

/**
 * log p(id_t | id_0 … id_{t−1}) in nats for t = 1 …, for each sequence. Short sequences go through the model together, padded
 * on the right; each one's numbers do not depend on the others but for rounding.
 */
export async function scoreSequences(
  config: ModelConfig,
  context: number,
  program: () => Promise<Segment>,
  sequences: readonly (readonly number[])[],
): Promise<Float64Array[]> {
  const { vocabulary } = config
  for (const [i, ids] of sequences.entries()) {
    checkIds(ids, config)
    if (ids.length === 0) fail('TL_BAD_ARGUMENT', `score: sequence ${i} is empty`)
    if (ids.length > context)
      fail('TL_BAD_ARGUMENT', `score: sequence ${i} has ${ids.length} tokens, the context holds ${context}`)
  }
  const results: Float64Array[] = sequences.map((ids) => new Float64Array(ids.length - 1))
  const order = sequences.map((_, i) => i).sort((a, b) => sequences[a]!.length - sequences[b]!.length)
  const segment = await program()
  for (let at = 0; at < order.length; ) {
    const group: number[] = []
    // the last token of a sequence predicts nothing that is asked for
    const lengthOf = (i: number): number => sequences[i]!.length - 1
    while (at < order.length && (group.length + 1) * lengthOf(order[at]!) <= budget) group.push(order[at++]!)
    if (group.length === 0) {
      await scoreLong(order[at++]!)
      continue
    }
    const tokens = lengthOf(group.at(-1)!)
    if (tokens === 0) continue
    const padded = group.flatMap((i) =>
      Array.from({ length: tokens }, (_, t) => (t < lengthOf(i) ? sequences[i]![t]! : 0)),
    )
    const rows = group.flatMap((i, b) => Array.from({ length: lengthOf(i) }, (_, t) => b * tokens + t))
    const last = Int32Array.from(group, (i) => Math.max(0, lengthOf(i) - 1))
    const kvCache = segment.kvCache(group.length, tokens)
    const { logits } = await segment.run({ ids: padded, kvCache, last, rows })
    let row = 0
    for (const i of group)
      for (let t = 0; t < lengthOf(i); t++, row++)
        results[i]![t] = logProbabilityOf(
          logits!.subarray(row * vocabulary, (row + 1) * vocabulary),
          sequences[i]![t + 1]!,
        )
  }
  return results

  async function scoreLong(i: number): Promise<void> {
    const ids = sequences[i]!
    const session = openSession(config, context, program)
    for (let at = 0; at < ids.length - 1; at += budget) {
      const part = ids.slice(at, Math.min(at + budget, ids.length - 1))
      const logits = await session.logits(
        part,
        part.map((_, t) => t),
      )
      for (let t = 0; t < part.length; t++)
        results[i]![at + t] = logProbabilityOf(
          logits.subarray(t * vocabulary, (t + 1) * vocabulary),
          ids[at + t + 1]!,
        )
    }
  }
}

/** exp of the mean negative log-probability of all tokens but the first. */
export function perplexity(logProbabilities: ArrayLike<number>): number {
  if (logProbabilities.length === 0)
    fail('TL_BAD_ARGUMENT', 'perplexity: expected at least one log-probability')
  let total = 0
  for (let i = 0; i < logProbabilities.length; i++) total -= logProbabilities[i]!
  return Math.exp(total / logProbabilities.length)
}
