/** @file The same strings with what stands below one hidden symbol changed: its symbol, or only the rule that it was expanded by. */
import { fail } from '../base/index.ts'
import { random } from '../tensor/index.ts'
import { type Grammar, lowestLevels, type Trees } from './grammar.ts'
import { emptyTrees, expandLevel } from './sample.ts'
import { ruleOf } from './synonyms.ts'

/** `symbol`: another symbol and a subtree of its own. `rule`: the same symbol, expanded by another of its rules. */
export type Intervention = 'symbol' | 'rule'

/** A hidden node of a tree: its height (1 = next to the leaves), and its place among the nodes of this height, 0 first. */
export interface HiddenNode {
  readonly height: number
  readonly node: number
}

/** Throws TL_BAD_ARGUMENT for a node that no tree of the grammar has. */
function checkNode({ L, s }: Grammar, { height, node }: HiddenNode): void {
  if (!(Number.isInteger(height) && height >= 1 && height <= L))
    fail('TL_BAD_ARGUMENT', `height: expected an integer from 1 to ${L}, got ${height}`)
  const nodes = s ** (L - height)
  if (!(Number.isInteger(node) && node >= 0 && node < nodes))
    fail(
      'TL_BAD_ARGUMENT',
      `node: expected an integer from 0 to ${nodes - 1} at height ${height}, got ${node}`,
    )
}

/**
 * The same trees with one hidden symbol of each replaced, or kept and its rule exchanged, drawn uniformly from the others (v − 1
 * symbols, m − 1 rules); rules further below are drawn uniformly afresh. All other symbols stay, so that a replaced symbol may
 * stand where no rule allows it. Needs v ≥ 2 for `symbol` and m ≥ 2 for `rule`. (Cagnetta and Wyart 2024, eq. 14)
 */
export function intervene(
  grammar: Grammar,
  trees: Trees,
  { height, node }: HiddenNode,
  what: Intervention,
  key: random.Key,
): Trees {
  checkNode(grammar, { height, node })
  const { m, s, L } = grammar
  const lowest = lowestLevels(grammar, height)
  const least = what === 'symbol' ? lowest.classes : m
  if (least < 2)
    fail('TL_BAD_ARGUMENT', `intervene: expected at least 2 ${what}s to choose from, got ${least}`)
  const top = L - height
  const nodes = s ** top
  const below = emptyTrees(lowest, trees.count)
  const roots = below.levels[0]!
  const others = random.sampleIntegers(random.foldIn(key, 0), trees.count, least - 1)
  for (let i = 0; i < trees.count; i++) {
    const symbol = trees.levels[top]![i * nodes + node]!
    roots[i] = what === 'symbol' ? (symbol + 1 + others[i]!) % least : symbol
  }
  for (let level = 0; level < height; level++) {
    const drawn = random.sampleIntegers(random.foldIn(key, 1 + level), below.levels[level]!.length, m)
    if (level === 0 && what === 'rule')
      for (let i = 0; i < trees.count; i++)
        drawn[i] = (ruleOf(grammar, trees, top, i * nodes + node) + 1 + others[i]!) % m
    expandLevel(lowest, below, level, drawn)
  }
  const levels = trees.levels.map((all, level) => {
    const changed = Int32Array.from(all)
    if (level < top) return changed
    const width = s ** (level - top)
    for (let i = 0; i < trees.count; i++)
      changed.set(
        below.levels[level - top]!.subarray(i * width, (i + 1) * width),
        i * s ** level + node * width,
      )
    return changed
  })
  return { count: trees.count, levels }
}
