/** @file All facts asked of one edited model: means with intervals, and what was found for each fact. */
import { fail } from '../../base/index.ts'
import type { Fact } from '../facts/index.ts'
import type { Answers } from './answers.ts'
import type { Journal } from './journal.ts'
import { type Measured, type Result, referenceOf, resultOf } from './measure.ts'
import { questionsOf } from './questions.ts'
import type { Interval } from './shares.ts'
import { kindOf, type Scores, summarize } from './summary.ts'

/** The three numbers of the field, for means or for one fact. */
interface Three<T> {
  readonly reliability: T
  readonly generalization: T
  readonly locality: T
}
type Name = keyof Three<unknown>
const names: readonly Name[] = ['reliability', 'generalization', 'locality']

/** A mean over facts with its 95 % interval. */
export type MeanInterval = Pick<Interval, 'mean' | 'low' | 'high'>

/** Null where the fact has no such question. */
export interface EvaluatedFact extends Three<number | null> {
  readonly prompt: string
  readonly target: string
  /** The edits that answered the prompt, the rephrase and the locality prompt. */
  readonly edits: Three<number | null>
  readonly generated: Three<number | null>
  readonly asTaught: Three<number | null>
  /** What was generated, as many tokens as the answer has. */
  readonly texts: Three<string | null>
}

/**
 * Teacher-forced; the same by greedy generation after the words that were asked, and where an edit's answer goes on after the
 * prompt it was taught with.
 */
export interface Evaluation extends Three<MeanInterval | null> {
  readonly generated: Three<MeanInterval | null>
  readonly asTaught: Three<MeanInterval | null>
  readonly perItem: readonly EvaluatedFact[]
}

const three = <T>(of: (name: Name) => T): Three<T> => ({
  reliability: of('reliability'),
  generalization: of('generalization'),
  locality: of('locality'),
})

/**
 * Evaluate facts after all edits (the metrics of `measure.ts`): the edited model and the same one unedited. Throws
 * `TL_BAD_ARGUMENT` without a fact.
 */
export async function evaluateFacts(
  edited: Answers,
  unedited: Answers,
  facts: readonly Fact[],
  options: {
    readonly onItem?: (done: number, total: number) => void
    /** What an earlier call has found, and where to keep what this one finds. */
    readonly journal?: Journal
  } = {},
): Promise<Evaluation> {
  if (facts.length === 0) fail('TL_BAD_ARGUMENT', 'evaluate: expected at least one fact')
  const results: Result[] = []
  for (const [done, fact] of facts.entries()) {
    options.onItem?.(done, facts.length)
    const known = options.journal?.known.get(done)
    if (known) {
      results.push(known)
      continue
    }
    const all = questionsOf(fact, done)
    const asked = Object.fromEntries(names.flatMap((name) => [[kindOf[name], all[kindOf[name]]]]))
    const reference = await referenceOf(unedited, { ...asked, edit: all.edit })
    const result = await resultOf(edited, reference, { texts: true })
    options.journal?.keep(done, result)
    results.push(result)
  }
  options.onItem?.(facts.length, facts.length)
  const { forced, generated, asTaught } = summarize(results)
  const means = (scores: Scores): Three<MeanInterval | null> =>
    three((name) => {
      const own = scores[name]
      return own && { mean: own.mean, low: own.low, high: own.high }
    })
  return {
    ...means(forced),
    generated: means(generated),
    asTaught: means(asTaught),
    perItem: results.map((result, i) => {
      const of = <T>(pick: (measured: Measured) => T) =>
        three((name) => {
          const measured = result[kindOf[name]]
          return measured ? pick(measured) : null
        })
      return {
        prompt: facts[i]!.prompt,
        target: facts[i]!.target,
        ...of(({ forced: share }) => share),
        edits: of(({ edit }) => edit),
        generated: of(({ exact }) => exact),
        asTaught: of(({ asTaught: share }) => share ?? null),
        texts: of(({ text }) => text!),
      }
    }),
  }
}
