/** @file Means over facts: reliability, generalization, locality, their average, perplexity, hard locality. */
import type { Measured, Result } from './measure.ts'
import type { Kind } from './questions.ts'
import { type Interval, meanShare, median } from './shares.ts'
import type { Wild } from './wild.ts'

export interface Scores {
  readonly reliability: Interval | null
  readonly generalization: Interval | null
  readonly locality: Interval | null
  /** The target after another wording of the fact's relation. */
  readonly wording: Interval | null
  /** Mean of the three, over facts that have all. */
  readonly average: Interval | null
  /** Hard locality. */
  readonly sameSubject: Interval | null
  readonly neighbour: Interval | null
  /** What another relation asks about the subject. */
  readonly otherRelation: Interval | null
  readonly sameRelation: Interval | null
  /** The target where the fact is denied. */
  readonly negation: Interval | null
  /** The answer from before the edit, after the prompt and after its rephrasing. */
  readonly former: Interval | null
  readonly formerRephrase: Interval | null
}

export interface Summary {
  readonly forced: Scores
  /** The same by greedy generation, after the words that were asked. */
  readonly generated: Scores
  /** The same, where an edit's answer goes on after the prompt it was taught with; null each for methods without that choice. */
  readonly asTaught: Scores
  /**
   * exp of the mean negative log-probability of the target, after the prompt and after its rephrasing: mean over facts, which
   * its largest rules, and median; at most 10³⁰, which also stands for losses that are not finite.
   */
  readonly perplexity: {
    readonly [K in 'edit' | 'rephrase']: { readonly mean: number; readonly median: number } | null
  }
  /** How often the answer from before the edit is likelier than the target, each by its mean log-probability of a token. */
  readonly formerIsLikelier: { readonly [K in 'edit' | 'rephrase']: Interval | null }
  readonly wild: { readonly [K in 'edit' | 'rephrase']: WildScores }
  /** How often the target is said in answer to a message in the model's chat template; null where it is not asked. */
  readonly chat: { readonly [K in 'edit' | 'rephrase']: Interval | null }
  /** Share of what must not change whose log-probabilities have the bits of the unedited model. */
  readonly identical: { readonly [K in 'locality' | 'sameSubject' | 'sameRelation']: number | null }
  /** Whenever no edit answered, all bits were those of the unedited model. */
  readonly silentIsIdentical: boolean
}

/** What is said freely, until the model stops by itself, see `Wild`; null where it is not asked. */
export interface WildScores {
  readonly contains: Interval | null
  readonly begins: Interval | null
  readonly ends: Interval | null
}

/** Which question each score is about. */
export const kindOf = {
  reliability: 'edit',
  generalization: 'rephrase',
  locality: 'locality',
  wording: 'wording',
  sameSubject: 'sameSubject',
  neighbour: 'neighbour',
  otherRelation: 'otherRelation',
  sameRelation: 'sameRelation',
  negation: 'negation',
  former: 'former',
  formerRephrase: 'formerRephrase',
} as const satisfies Record<string, Kind>

const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length

/** Summarize results of facts, with intervals over facts. */
export function summarize(results: readonly Result[]): Summary {
  const all = (kind: Kind): Measured[] => results.flatMap((result) => result[kind] ?? [])
  const scores = (value: (measured: Measured) => number | undefined): Scores => {
    const of = (name: keyof typeof kindOf): Interval | null =>
      meanShare(all(kindOf[name]).flatMap((measured) => value(measured) ?? []))
    const averages = results.flatMap(({ edit, rephrase, locality }) => {
      const three = [edit, rephrase, locality].flatMap((measured) => (measured && value(measured)) ?? [])
      return three.length === 3 ? [mean(three)] : []
    })
    return {
      reliability: of('reliability'),
      generalization: of('generalization'),
      locality: of('locality'),
      wording: of('wording'),
      average: meanShare(averages),
      sameSubject: of('sameSubject'),
      neighbour: of('neighbour'),
      otherRelation: of('otherRelation'),
      sameRelation: of('sameRelation'),
      negation: of('negation'),
      former: of('former'),
      formerRephrase: of('formerRephrase'),
    }
  }
  const perplexity = (kind: 'edit' | 'rephrase') => {
    const values = all(kind).map(({ loss }) => Math.min(1e30, Math.exp(loss ?? Number.POSITIVE_INFINITY)))
    return values.length ? { mean: mean(values), median: median(values) } : null
  }
  const wild = (kind: 'edit' | 'rephrase'): WildScores => {
    const share = (name: keyof Wild) => meanShare(all(kind).flatMap((measured) => measured[name] ?? []))
    return { contains: share('wild'), begins: share('wildBegins'), ends: share('wildEnds') }
  }
  const inChat = (kind: Kind): Interval | null => meanShare(all(kind).flatMap(({ chat }) => chat ?? []))
  const likelier = (former: Kind, kind: Kind): Interval | null =>
    meanShare(
      results.flatMap(({ [former]: old, [kind]: own }) => {
        if (!old || !own) return []
        return Number((old.loss ?? Number.POSITIVE_INFINITY) < (own.loss ?? Number.POSITIVE_INFINITY))
      }),
    )
  const identical = (kind: Kind): number | null => {
    const values = all(kind).map(({ isIdentical }) => Number(isIdentical))
    return values.length ? mean(values) : null
  }
  return {
    forced: scores(({ forced }) => forced),
    generated: scores(({ exact }) => exact),
    asTaught: scores(({ asTaught }) => asTaught),
    perplexity: { edit: perplexity('edit'), rephrase: perplexity('rephrase') },
    formerIsLikelier: {
      edit: likelier('former', 'edit'),
      rephrase: likelier('formerRephrase', 'rephrase'),
    },
    wild: { edit: wild('edit'), rephrase: wild('rephrase') },
    chat: { edit: inChat('edit'), rephrase: inChat('rephrase') },
    identical: {
      locality: identical('locality'),
      sameSubject: identical('sameSubject'),
      sameRelation: identical('sameRelation'),
    },
    silentIsIdentical: results.every((result) =>
      Object.values(result).every(({ edit, isIdentical }) => edit !== null || isIdentical),
    ),
  }
}
