/** @file From tuples back to rules: which parent, and which of its rules, a tuple belongs to. */
import { fail } from '../base/index.ts'
import { type Grammar, parentsAt, type Shape, tupleNumber } from './grammar.ts'

/** The rule a tuple belongs to as `parent·m + k`, or −1 for a tuple that no rule gives. Takes `tupleNumber`s. */
type RuleOf = (tuple: number) => number

/**
 * Invert one table [parents, m, s]. A dense table of all v^s tuples where that is small or mostly used, a map elsewhere, so
 * that memory stays in proportion to the rules. `onSecond` is called for a tuple that has a rule already.
 */
export function invertTable(
  { v, m, s }: Shape,
  table: Int32Array,
  parents: number,
  onSecond: (rule: number, first: number) => void,
): RuleOf {
  const rules = parents * m
  const tuples = v ** s
  const dense = tuples <= Math.max(2 ** 16, 8 * rules) ? new Int32Array(tuples).fill(-1) : undefined
  const sparse = new Map<number, number>()
  const ruleOf: RuleOf = dense ? (tuple) => dense[tuple]! : (tuple) => sparse.get(tuple) ?? -1
  for (let rule = 0; rule < rules; rule++) {
    const tuple = tupleNumber(v, table, rule * s, s)
    const first = ruleOf(tuple)
    if (first >= 0) onSecond(rule, first)
    if (dense) dense[tuple] = rule
    else sparse.set(tuple, rule)
  }
  return ruleOf
}

const known = new WeakMap<Grammar, RuleOf[]>()

/** The inverse of every table of a grammar, made once. Throws TL_BAD_ARGUMENT when a tuple has two rules. */
export function inverseRules(grammar: Grammar): readonly RuleOf[] {
  const made = known.get(grammar)
  if (made) return made
  const inverse = grammar.rules.map((table, level) =>
    invertTable(grammar, table, parentsAt(grammar, level), (rule, first) =>
      fail(
        'TL_BAD_ARGUMENT',
        `grammar.rules[${level}]: rules ${first} and ${rule} have the same tuple (every tuple has at most one parent)`,
      ),
    ),
  )
  known.set(grammar, inverse)
  return inverse
}
