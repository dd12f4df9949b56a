/** @file Many prompts through a model at once: those of like lengths together, padded on the right. */

/** Tokens (with padding) of one batch. */
const budget = 256

interface PromptBatch {
  /** Which prompts. */
  readonly group: readonly number[]
  /** Tokens of each, with padding. */
  readonly tokens: number
  /** One prompt after the other. */
  readonly ids: readonly number[]
  /** Place of the last token of each. */
  readonly last: Int32Array
}

/** Batches of prompts, the short ones first. */
export function* batchesOf(prompts: readonly (readonly number[])[]): Generator<PromptBatch> {
  const order = prompts.map((_, i) => i).sort((a, b) => prompts[a]!.length - prompts[b]!.length)
  for (let done = 0; done < order.length; ) {
    const group = [order[done]!]
    for (let i = done + 1; i < order.length; i++)
      if ((group.length + 1) * prompts[order[i]!]!.length <= budget) group.push(order[i]!)
      else break
    const tokens = prompts[group.at(-1)!]!.length
    yield {
      group,
      tokens,
      ids: group.flatMap((i) => Array.from({ length: tokens }, (_, t) => prompts[i]![t] ?? 0)),
      last: Int32Array.from(group, (i) => prompts[i]!.length - 1),
    }
    done += group.length
  }
}
