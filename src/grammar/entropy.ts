/** @file Entropies of a grammar's strings, in nats. */
import { type Grammar, parentsAt } from './grammar.ts'

const plogp = (p: number): number => (p > 0 ? p * Math.log(p) : 0)

/**
 * How often each symbol occurs at each level of a tree, on average: [level 0 … L][symbol], levels summing to s^level. With
 * uniform classes and the grammar's production probabilities.
 */
export function meanOccurrences(grammar: Grammar): Float64Array[] {
  const { v, classes, m, s, L, probabilities } = grammar
  const levels = [new Float64Array(classes).fill(1 / classes)]
  for (let level = 0; level < L; level++) {
    const below = new Float64Array(v)
    const rules = grammar.rules[level]!
    for (let rule = 0; rule < rules.length / s; rule++) {
      const uses =
        levels[level]![Math.floor(rule / m)]! * (probabilities ? probabilities[level]![rule]! : 1 / m)
      for (let i = 0; i < s; i++) below[rules[rule * s + i]!]! += uses
    }
    levels.push(below)
  }
  return levels
}

/**
 * H(X | class) in nats: each node adds the entropy of its choice of a rule. With uniform productions (d − 1)/(s − 1)·ln m.
 */
export function entropyGivenClass(grammar: Grammar): number {
  const { m, L, probabilities } = grammar
  const occurrences = meanOccurrences(grammar)
  let entropy = 0
  for (let level = 0; level < L; level++)
    for (let parent = 0; parent < parentsAt(grammar, level); parent++) {
      const row = probabilities?.[level]?.subarray(parent * m, (parent + 1) * m)
      const choice = row ? -row.reduce((sum, p) => sum + plogp(p), 0) : Math.log(m)
      entropy += occurrences[level]![parent]! * choice
    }
  return entropy
}

/** H(X) = ln n_c + H(X | class) in nats: a string has one tree, and so one class. ln P_max with uniform productions. */
export const entropy = (grammar: Grammar): number => Math.log(grammar.classes) + entropyGivenClass(grammar)
