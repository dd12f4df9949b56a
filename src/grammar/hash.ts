/** @file The hash that names a grammar, so that two laboratories can speak of the same one. */
import { sha256 } from '../base/index.ts'
import { type Grammar, parentsAt } from './grammar.ts'

/** Probabilities count to this many parts. */
const parts = 1e12

/** Hexadecimal digits that are shown. */
const shown = 12

/** A table's rules as `[[[a,b],…],…]`: those of a parent in the order of their tuples, each with its probability when given. */
function* tableText(grammar: Grammar, level: number): Generator<string> {
  const { m, s, rules } = grammar
  const table = rules[level]!
  const weights = grammar.probabilities?.[level]
  const uniform = Math.round((1 / m) * parts)
  // a table whose rules are all alike is one without probabilities
  const isWeighted = weights?.some((p) => Math.abs(Math.round(p * parts) - uniform) > 1) ?? false
  const parents = parentsAt(grammar, level)
  const before = (a: number, b: number): number => {
    for (let i = 0; i < s; i++) {
      const difference = table[a * s + i]! - table[b * s + i]!
      if (difference !== 0) return difference
    }
    return 0
  }
  for (let parent = 0; parent < parents; parent++) {
    const order = Array.from({ length: m }, (_, k) => parent * m + k).sort(before)
    const tuples = order.map((rule) => {
      const tuple = Array.from(table.subarray(rule * s, (rule + 1) * s))
      return isWeighted ? [...tuple, Math.round(weights![rule]! * parts)] : tuple
    })
    yield `${parent === 0 ? '[' : ','}${JSON.stringify(tuples)}${parent === parents - 1 ? ']' : ''}`
  }
}

/**
 * The SHA-256, 64 hexadecimal digits, of the UTF-8 text `["treeline-grammar",[v,classes,m,s,L],[table,…]]` without spaces. A table,
 * the root's first, is a list of parents, a parent a list of its tuples in rising order; where rules of a table are not equally
 * likely, a tuple ends with its probability as a whole number of 10^-12. So the order of rules does not count: it changes neither
 * the strings nor their probabilities. Names of symbols count, hidden ones too: trees and reports speak of them.
 */
export function grammarHash(grammar: Grammar): string {
  const { v, classes, m, s, L } = grammar
  const hash = sha256()
  hash.update(`["treeline-grammar",${JSON.stringify([v, classes, m, s, L])},[`)
  for (let level = 0; level < L; level++) {
    if (level > 0) hash.update(',')
    for (const text of tableText(grammar, level)) hash.update(text)
  }
  hash.update(']]')
  return hash.hex()
}

/** The first 12 digits of `grammarHash`: what reports call a grammar. */
export const grammarName = (grammar: Grammar): string => grammarHash(grammar).slice(0, shown)
