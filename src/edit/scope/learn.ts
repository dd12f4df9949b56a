/** @file The scope of a model: what tells one question from another in its hidden states, and thresholds at stated rates. */
import type { LanguageModel, Tokenizer } from '../../lm/index.ts'
import { openFeatures, type Weighted } from './features.ts'
import { outsideWeights, piecesOf } from './outside.ts'
import { asked, generalQuestions, type Kind, kinds } from './questions.ts'
import {
  type Asking,
  difference,
  fitScope,
  type Look,
  meanOf,
  nearness,
  placed,
  type ScopeMap,
  scopeVectors,
} from './scope.ts'

/** How widely an edit answers: of other questions about its subject it may answer one in fifty, three in twenty, or all. */
export const scopeLevels = ['narrow', 'balanced', 'wide'] as const
export type ScopeLevel = (typeof scopeLevels)[number]

/** Shares of held-out questions about the same subject, asking something else, that may be answered. */
export const scopeRates = { narrow: 0.02, balanced: 0.15 } as const satisfies Partial<
  Record<ScopeLevel, number>
>

export interface LearnedScope extends ScopeMap {
  /** Least scores at the rates of `scopeRates`. */
  readonly thresholds: Readonly<Record<keyof typeof scopeRates, number>>
  /** Questions put, general ones included. */
  readonly prompts: number
}

type ScopeWords = Pick<Tokenizer, 'encode' | 'decode' | 'addsBos'> & Partial<Pick<Tokenizer, 'decoder'>>

/** A prompt about a subject, as `Features` takes it. */
export function weightedPrompt(words: ScopeWords, prompt: string, subject: string): Weighted {
  const ids = words.encode(prompt, { bos: words.addsBos })
  return { ids, weights: outsideWeights(piecesOf(words, ids), subject) }
}

/** General questions about a subject, whose mean feature stands for the subject alone. */
export const generalPrompts = (words: ScopeWords, subject: string): Weighted[] =>
  generalQuestions.map((question) => weightedPrompt(words, asked(question, subject), subject))

/** Scores of all pairs of different questions about one subject, by what is asked of each subject. */
function strangers(map: ScopeMap, subjects: readonly (readonly Asking[])[]): number[] {
  return subjects.flatMap((askings) => {
    const all = askings.map(({ rest, question }) => ({
      question,
      ...placed(map, scopeVectors(map, rest)),
    }))
    return all.flatMap((a, i) =>
      all.slice(0, i).flatMap((b) => (a.question === b.question ? [] : [nearness(map, a, b)])),
    )
  })
}

/** The least threshold that at most a share of scores reaches. */
function atRate(scores: readonly number[], rate: number): number {
  const sorted = scores.toSorted((a, b) => b - a)
  return sorted[Math.min(sorted.length - 1, Math.floor(rate * sorted.length))]!
}

/**
 * Learn a scope from our own questions about our own subjects, and those of `more` kinds. Thresholds are set by questions that the
 * discriminants have not seen: they are learned on every other question and judged on the rest, in turns.
 */
export async function learnScope(
  model: LanguageModel,
  words: ScopeWords,
  looks: readonly Look[],
  onPrompt: (done: number, total: number) => void = () => undefined,
  more: readonly Kind[] = [],
): Promise<LearnedScope> {
  const plan: { subject: number; question: number | null; prompt: Weighted }[] = []
  let subjects = 0
  let before = 0
  for (const kind of [...kinds, ...more]) {
    for (const subject of kind.subjects) {
      for (const prompt of generalPrompts(words, subject))
        plan.push({ subject: subjects, question: null, prompt })
      for (const [q, wordings] of kind.questions.entries())
        for (const wording of wordings) {
          const prompt = weightedPrompt(words, asked(wording, subject), subject)
          plan.push({ subject: subjects, question: before + q, prompt })
        }
      subjects++
    }
    before += kind.questions.length
  }
  const features = openFeatures(model, looks)
  try {
    const found = await features.of(
      plan.map(({ prompt }) => prompt),
      (done) => onPrompt(done, plan.length),
    )
    const about = Array.from({ length: subjects }, (_, s): Asking[] => {
      const own = plan.flatMap(({ subject, question }, i) =>
        subject === s ? [{ question, feature: found[i]! }] : [],
      )
      const mean = meanOf(own.flatMap(({ question, feature }) => (question === null ? [feature] : [])))
      return own.flatMap(({ question, feature }) =>
        question === null ? [] : [{ question, rest: difference(feature, mean) }],
      )
    })
    const only = (half: number): Asking[][] =>
      about.map((askings) => askings.filter(({ question }) => question % 2 === half))
    const scores = [0, 1].flatMap((half) => {
      const map = fitScope(looks, only(1 - half).flat())
      return strangers(map, only(half))
    })
    return {
      ...fitScope(looks, about.flat()),
      thresholds: {
        narrow: atRate(scores, scopeRates.narrow),
        balanced: atRate(scores, scopeRates.balanced),
      },
      prompts: plan.length,
    }
  } finally {
    features.dispose()
  }
}
