/** @file What an edited model is asked about one fact: the fact, the same in other words, and what must not have changed. */
import type { Fact } from '../facts/index.ts'

/** The fact, its rephrasing and another wording of its relation are to be answered anew; the rest as before the edit. */
export const learned = ['edit', 'rephrase', 'wording'] as const
export const unchanged = ['locality', 'sameSubject', 'neighbour', 'otherRelation', 'sameRelation'] as const
/** What an edit is not to say: the target where the fact is denied, the answer from before it where the fact is asked. */
export const unwanted = ['negation', 'former', 'formerRephrase'] as const
export const kinds = [...learned, ...unchanged, ...unwanted] as const
export type Kind = (typeof kinds)[number]

const forFact: readonly Kind[] = [...learned, 'former', 'formerRephrase']

/** Whether a question asks for the fact itself, which its own edit is to answer. */
export const asksForFact = (kind: Kind): boolean => forFact.includes(kind)

export interface Question {
  readonly prompt: string
  /** Absent where the answer is whatever the unedited model goes on with. */
  readonly answer?: string
}
export type Questions = { readonly edit: Question } & { readonly [K in Kind]?: Question }

/** Subjects that stand in for an edit's own: known to every model, of many kinds. */
const others = [
  'Albert Einstein',
  'Paris',
  'the Titanic',
  'Microsoft',
  'Leonardo da Vinci',
  'Mount Everest',
  'Hamlet',
  'Nelson Mandela',
  'the Beatles',
  'Toyota',
  'Marie Curie',
  'Brazil',
  'Star Wars',
  'the Danube',
  'Charles Darwin',
  'Real Madrid',
]

/** Other questions about a subject, of any kind of thing; none that a scope is learned from. */
const neighbours = [
  'The favourite colour of {} is',
  '{} was first mentioned in the year',
  'The nearest airport to {} is',
  'Who was the first to write about {}?',
  'The nickname of {} is',
  'What do people often get wrong about {}?',
  'The age of {} is',
  'How is the name {} pronounced?',
  'The best friend of {} is',
  '{} appears in a song by',
  'Which museum has a picture of {}?',
  '{} weighs about',
]

/** Words that begin a question, after which “is not” denies nothing. */
const asking =
  /^(who|whom|whose|what|which|when|where|why|how|is|are|was|were|do|does|did|can|could|will|would|has|have|had)(?![\p{L}\p{N}])/iu
const toBe = /(?<![\p{L}\p{N}])(?:is|are|was|were)(?![\p{L}\p{N}])/giu

/**
 * A prompt that begins a statement, denied: “not” after the last is, are, was or were of its last sentence that is not within the
 * subject. Undefined for questions, sentences that have ended, and statements without such a word or already denied.
 */
export function denied({ prompt, subject }: Pick<Fact, 'prompt' | 'subject'>): string | undefined {
  const start = Math.max(...['. ', '? ', '! '].map((end) => prompt.lastIndexOf(end) + 1))
  if (/[.?!:]\s*$/.test(prompt) || asking.test(prompt.slice(start).trim())) return undefined
  const name = subject ? plain(prompt).indexOf(plain(subject)) : -1
  const isNamed = (at: number): boolean => name >= 0 && at >= name && at < name + subject!.length
  const last = [...prompt.matchAll(toBe)].findLast(({ index }) => index >= start && !isNamed(index))
  if (!last) return undefined
  const at = last.index + last[0].length
  const rest = prompt.slice(at)
  return /^\s+not(?!\p{L})/iu.test(rest) ? undefined : `${prompt.slice(0, at)} not${rest}`
}

const plain = (text: string): string => text.normalize('NFC').toLowerCase().trim()

/** The prompt with another subject in the place of its own; undefined when it does not name it. */
export function withSubject(fact: Fact, other: string): string | undefined {
  const at = fact.subject ? plain(fact.prompt).indexOf(plain(fact.subject)) : -1
  if (!fact.subject || at < 0 || plain(fact.prompt).length !== fact.prompt.length) return undefined
  return fact.prompt.slice(0, at) + other + fact.prompt.slice(at + fact.subject.length)
}

/**
 * The questions of fact number `index`. Hard locality: something else said of the same subject, one of several other questions
 * about it, and the fact's own wording about another subject, which no edit is about. Unwanted: the target after the fact denied,
 * and the answer from before the edit.
 */
export function questionsOf(fact: Fact, index: number): Questions {
  const names = others.filter((name) => plain(name) !== plain(fact.subject ?? ''))
  const sameRelation = withSubject(fact, names[index % names.length]!)
  const neighbour = neighbours[index % neighbours.length]!
  const negation = denied(fact)
  const { before, rephrase } = fact
  const hasFormer = before !== undefined && plain(before) !== plain(fact.target)
  return {
    edit: { prompt: fact.prompt, answer: fact.target },
    ...(fact.rephrase !== undefined && { rephrase: { prompt: fact.rephrase, answer: fact.target } }),
    ...(fact.locality && { locality: fact.locality }),
    ...(fact.subject !== undefined && {
      sameSubject: { prompt: `${fact.subject} is best known for` },
      neighbour: { prompt: neighbour.replace('{}', () => fact.subject!) },
    }),
    ...(sameRelation !== undefined && { sameRelation: { prompt: sameRelation } }),
    ...(negation !== undefined && { negation: { prompt: negation, answer: fact.target } }),
    ...(hasFormer && { former: { prompt: fact.prompt, answer: before } }),
    ...(hasFormer && rephrase !== undefined && { formerRephrase: { prompt: rephrase, answer: before } }),
  }
}
