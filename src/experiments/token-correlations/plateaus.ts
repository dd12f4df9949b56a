/** @file Plateaus of the loss of one grammar: the last token given whole subtrees before it, by two exact routes. */
import type { Task } from '../../base/workers.ts'
import { exactCrossEntropy, exactPlateau, sampleTrees } from '../../grammar/index.ts'
import { random } from '../../tensor/index.ts'
import { type CorrelationJob, grammarOf } from './measure.ts'

/** One grammar; `data` strings are predicted. */
export interface PlateauJob extends Pick<CorrelationJob, 'seed' | 'repeat' | 'shape'> {
  readonly data: number
}

/** Nats per token, given the s^ℓ − 1 tokens before, ℓ = 0 … L. */
export interface PlateauAnswer {
  /** Cross-entropy on fresh strings, each predicted by exact inference. */
  readonly losses: readonly number[]
  /** Conditional entropy, from the rules alone. */
  readonly exact: readonly number[]
}

/** Contexts that are enumerated; where there are more they are sampled. */
const limit = 2 ** 17

/** Both routes for every height. */
export function plateauJob({ seed, repeat, shape, data }: PlateauJob): PlateauAnswer {
  const { grammar, dataKey } = grammarOf({ seed, repeat, shape, rules: 'random' })
  const { s, L } = grammar
  const heights = Array.from({ length: L + 1 }, (_, height) => height)
  const leaves = sampleTrees(grammar, random.foldIn(dataKey, 0xffff_ffff), data).levels[L]!
  return {
    losses: heights.map((height) => exactCrossEntropy(grammar, leaves, s ** height - 1)),
    exact: heights.map((height) => exactPlateau(grammar, height, { limit }).loss),
  }
}

export const plateauTask: Task = { module: import.meta.url, name: 'plateauJob' }
