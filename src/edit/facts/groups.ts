/** @file Facts that speak of the same thing: duplicates, contradictions, and one fact for each subject. */
import type { Fact } from './fact.ts'

/**
 * When two facts speak of the same: `question` – the same subject, asked in the same words in a prompt or a rephrase;
 * `subject` – the same subject, whatever is said of it. Case, punctuation and spacing do not count.
 */
export type Sameness = 'question' | 'subject'

/** Facts that speak of the same, by their places in the list, in order. */
export interface FactGroup {
  readonly facts: readonly number[]
  /** Their targets, each once, in the order of the facts. */
  readonly targets: readonly string[]
}

const plain = (text: string): string =>
  text
    .normalize('NFC')
    .toLowerCase()
    .replace(/[\p{P}\s]+/gu, ' ')
    .trim()

/** What a fact can be found by. */
function keysOf(fact: Fact, sameness: Sameness): string[] {
  const subject = fact.subject === undefined ? '' : plain(fact.subject)
  if (sameness === 'subject' && subject !== '') return [subject]
  return [fact.prompt, ...(fact.rephrase === undefined ? [] : [fact.rephrase])].map(
    (question) => `${subject}\n${plain(question)}`,
  )
}

/** All groups of two facts and more. A fact without a subject is found by its question. */
export function groupFacts(facts: readonly Fact[], sameness: Sameness): FactGroup[] {
  const parent = facts.map((_, index) => index)
  const root = (index: number): number => {
    let at = index
    while (parent[at] !== at) {
      parent[at] = parent[parent[at]!]!
      at = parent[at]!
    }
    return at
  }
  const seen = new Map<string, number>()
  for (const [index, fact] of facts.entries())
    for (const key of keysOf(fact, sameness)) {
      const other = seen.get(key)
      if (other === undefined) seen.set(key, index)
      else {
        const [low, high] = [root(other), root(index)].sort((a, b) => a - b)
        parent[high!] = low!
      }
    }
  const groups = new Map<number, number[]>()
  for (const index of facts.keys()) groups.set(root(index), [...(groups.get(root(index)) ?? []), index])
  return [...groups.values()]
    .filter((members) => members.length > 1)
    .map((members) => ({
      facts: members,
      targets: [
        ...new Map(members.map((index) => [plain(facts[index]!.target), facts[index]!.target])).values(),
      ],
    }))
}

/** Groups whose facts cannot all be true: the targets differ. */
export const contradictions = (facts: readonly Fact[], sameness: Sameness = 'question'): FactGroup[] =>
  groupFacts(facts, sameness).filter(({ targets }) => targets.length > 1)

/** Groups that say the same thing more than once. */
export const duplicates = (facts: readonly Fact[]): FactGroup[] =>
  groupFacts(facts, 'question').filter(({ targets }) => targets.length === 1)

/** The first fact of each subject, in order. */
export function onePerSubject(facts: readonly Fact[]): Fact[] {
  const later = new Set(groupFacts(facts, 'subject').flatMap(({ facts: members }) => members.slice(1)))
  return facts.filter((_, index) => !later.has(index))
}
