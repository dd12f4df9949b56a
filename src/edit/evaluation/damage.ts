/** @file What edits do to a text that they are not about: how far the model's distributions moved, and how well it still writes. */
import { fail } from '../../base/index.ts'
import { logProbabilityOf } from '../../lm/index.ts'
import type { Answers } from './answers.ts'

/** A text in two parts: whether an edit answers is decided on the first, and the second is looked at. */
export interface TextInParts {
  readonly prompt: string
  readonly rest: string
}

export interface Damage {
  /** Tokens that are looked at. */
  readonly tokens: number
  /**
   * Σ p (log p − log q) in nats, the mean over the tokens' places: p of the unedited model, q of the edited one; 0 where all logits
   * have the same bits, null where it is not finite.
   */
  readonly divergence: number | null
  /** Mean negative log-probability of a token in nats, before and after; null where it is not finite. */
  readonly lossBefore: number | null
  readonly lossAfter: number | null
  /** All logits have the bits of the unedited model's. */
  readonly isIdentical: boolean
  /** The edit that answered, 0 for all together, null for none. */
  readonly edit: number | null
}

/** Σ p (log p − log q) in nats, of the softmax of two rows of logits. */
export function divergenceOf(before: Float32Array, after: Float32Array): number {
  // log-probability of the first token: what a row's logits are shifted by
  const [p0, q0] = [before, after].map((row) => logProbabilityOf(row, 0) - row[0]!)
  let total = 0
  for (let i = 0; i < before.length; i++) {
    const logP = before[i]! + p0!
    total += Math.exp(logP) * (logP - (after[i]! + q0!))
  }
  return total
}

const mean = (values: readonly number[]): number | null => {
  const own = values.reduce((a, b) => a + b, 0) / values.length
  return Number.isFinite(own) ? own : null
}

const lossOf = (logProbabilities: readonly number[]): number | null => mean(logProbabilities.map((x) => -x))

/** Read a text by the edited model and by the same one unedited. */
export async function damageOf(
  edited: Answers,
  unedited: Answers,
  { prompt, rest }: TextInParts,
): Promise<Damage> {
  const before = await unedited.score(prompt, rest, { logits: true })
  const after = await edited.score(prompt, rest, { logits: true })
  const [p, q] = [before.logits, after.logits]
  if (!p || !q) return fail('TL_BAD_ARGUMENT', 'damage: expected models that score with logits')
  const isIdentical = p.every((row, t) => row.every((x, i) => Object.is(x, q[t]![i])))
  return {
    tokens: p.length,
    divergence: isIdentical ? 0 : mean(p.map((row, t) => divergenceOf(row, q[t]!))),
    lossBefore: lossOf(before.logProbabilities),
    lossAfter: lossOf(after.logProbabilities),
    isIdentical,
    edit: after.edit,
  }
}
