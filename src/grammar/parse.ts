/** @file Parsing: from leaves to the one tree they can have, as far up as they are legal. */
import { fail } from '../base/index.ts'
import { type Grammar, type Trees, tupleNumber } from './grammar.ts'
import { inverseRules } from './inverse.ts'
import { emptyTrees } from './sample.ts'

/**
 * Trees of `leaves` [count, d], bottom-up: a node is the parent of its tuple, or −1 when no rule gives that tuple or a
 * symbol below is −1 already. Since rules are unambiguous there is one tree at most. Leaves of −1 stand for symbols that
 * are not known. Throws TL_BAD_ARGUMENT for another number of leaves or a symbol outside 0 … v − 1.
 */
export function parse(grammar: Grammar, leaves: ArrayLike<number>, count: number): Trees {
  const { v, m, s, L, d } = grammar
  if (leaves.length !== count * d)
    fail('TL_BAD_ARGUMENT', `leaves: expected ${count}·${d} = ${count * d} symbols, got ${leaves.length}`)
  for (let i = 0; i < leaves.length; i++) {
    const symbol = leaves[i]!
    if (!(Number.isInteger(symbol) && symbol >= -1 && symbol < v))
      fail(
        'TL_BAD_ARGUMENT',
        `leaves of string ${Math.floor(i / d)}, position ${i % d}: expected a symbol 0 … ${v - 1} (or −1, not known), got ${symbol}`,
      )
  }
  const inverse = inverseRules(grammar)
  const trees = emptyTrees(grammar, count)
  trees.levels[L]!.set(leaves)
  for (let level = L - 1; level >= 0; level--) {
    const ruleOf = inverse[level]!
    const above = trees.levels[level]!
    const below = trees.levels[level + 1]!
    for (let node = 0; node < above.length; node++) {
      const rule = known(below, node * s, s) ? ruleOf(tupleNumber(v, below, node * s, s)) : -1
      above[node] = rule < 0 ? -1 : Math.floor(rule / m)
    }
  }
  return trees
}

function known(symbols: Int32Array, at: number, s: number): boolean {
  for (let i = 0; i < s; i++) if (symbols[at + i]! < 0) return false
  return true
}

/**
 * Share of nodes that are legal (not −1) at each height ℓ: A_0 … A_L, heights counted from the leaves, all in [0, 1].
 * (Favero et al. 2025, the accuracy of generated strings at each level.) NaN for no trees at all.
 */
export function validity({ levels }: Trees): number[] {
  return levels.toReversed().map((symbols) => {
    let valid = 0
    for (const symbol of symbols) if (symbol >= 0) valid++
    return valid / symbols.length
  })
}
