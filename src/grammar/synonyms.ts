/** @file The same strings with tuples replaced by others of the same meaning: probes of what a network has understood. */
import { random } from '../tensor/index.ts'
import type { Grammar, Trees } from './grammar.ts'
import { emptyTrees, expandLevel } from './sample.ts'

/** The rule (0 … m − 1) that made node `node` of `level`. */
export function ruleOf({ m, s, rules }: Grammar, trees: Trees, level: number, node: number): number {
  const table = rules[level]!
  const below = trees.levels[level + 1]!
  const from = trees.levels[level]![node]! * m
  for (let k = 0; k < m; k++) {
    let same = true
    for (let i = 0; i < s && same; i++) same = table[(from + k) * s + i] === below[node * s + i]
    if (same) return k
  }
  return -1
}

/**
 * The same trees with every tuple below the nodes of height `height` (1 = next to the leaves) exchanged for another synonym,
 * drawn uniformly from the m − 1 others; rules further below are drawn afresh. Symbols at and above that height stay. Needs
 * m ≥ 2. (Cagnetta et al. 2024, eq. 8; their code may draw the same synonym again, which makes S start at 1 − 1/m.)
 */
export function exchangeSynonyms(grammar: Grammar, trees: Trees, height: number, key: random.Key): Trees {
  const { m, L } = grammar
  const top = L - height
  const changed = emptyTrees(grammar, trees.count)
  for (let level = 0; level <= top; level++) changed.levels[level]!.set(trees.levels[level]!)
  for (let level = top; level < L; level++) {
    const nodes = changed.levels[level]!.length
    const drawn = random.sampleIntegers(random.foldIn(key, level), nodes, level === top ? m - 1 : m)
    if (level === top)
      for (let node = 0; node < nodes; node++)
        drawn[node] = (ruleOf(grammar, trees, level, node) + 1 + drawn[node]!) % m
    expandLevel(grammar, changed, level, drawn)
  }
  return changed
}
