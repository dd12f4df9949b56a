/** @file What an edited model is asked about one fact: the fact, the same in other words, and what must not have changed. */
import type { Fact } from '../facts/index.ts'

/** The fact and its rephrasing are to be answered anew; the rest as before the edit. */
export const learned = ['edit', 'rephrase'] as const
export const unchanged = ['locality', 'sameSubject', 'neighbour', 'sameRelation'] as const
export type Kind = (typeof learned)[number] | (typeof unchanged)[number]

/** Whether a question asks for the fact itself, which its own edit is to answer. */
export const asksForFact = (kind: Kind): boolean => (learned as readonly Kind[]).includes(kind)

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

const plain = (text: string): string => text.normalize('NFC').toLowerCase().trim()

/** The prompt with another subject in the place of its own; undefined when it does not name it. */
export function withSubject(fact: Fact, other: string): string | undefined {
  const at = fact.subject ? plain(fact.prompt).indexOf(plain(fact.subject)) : -1
  if (!fact.subject || at < 0 || plain(fact.prompt).length !== fact.prompt.length) return undefined
  return fact.prompt.slice(0, at) + other + fact.prompt.slice(at + fact.subject.length)
}

/**
 * The questions of fact number `index`. Hard locality: something else said of the same subject, one of several other questions
 * about it, and the fact's own wording about another subject, which no edit is about.
 */
export function questionsOf(fact: Fact, index: number): Questions {
  const names = others.filter((name) => plain(name) !== plain(fact.subject ?? ''))
  const sameRelation = withSubject(fact, names[index % names.length]!)
  const neighbour = neighbours[index % neighbours.length]!
  return {
    edit: { prompt: fact.prompt, answer: fact.target },
    ...(fact.rephrase !== undefined && { rephrase: { prompt: fact.rephrase, answer: fact.target } }),
    ...(fact.locality && { locality: fact.locality }),
    ...(fact.subject !== undefined && {
      sameSubject: { prompt: `${fact.subject} is best known for` },
      neighbour: { prompt: neighbour.replace('{}', () => fact.subject!) },
    }),
    ...(sameRelation !== undefined && { sameRelation: { prompt: sameRelation } }),
  }
}
