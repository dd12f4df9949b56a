/** @file Growing trees from a grammar. */
import type { Steps } from '../base/index.ts'
import { random } from '../tensor/index.ts'
import { type Grammar, internalNodes, parentsAt, type Trees } from './grammar.ts'

/** Space for `count` trees. */
export const emptyTrees = ({ s, L }: Grammar, count: number): Trees => ({
  count,
  levels: Array.from({ length: L + 1 }, (_, level) => new Int32Array(count * s ** level)),
})

/** Cumulative production probabilities of a level [parents, m], the last of each parent exactly 1. */
function cumulative(probabilities: Float64Array, m: number): Float64Array {
  const out = new Float64Array(probabilities.length)
  for (let parent = 0; parent < out.length; parent += m) {
    let sum = 0
    for (let k = 0; k < m; k++) out[parent + k] = sum += probabilities[parent + k]!
    out[parent + m - 1] = 1
  }
  return out
}

/** Write the tuple of each node's symbol and rule into the level below. `choices` [nodes] are rule numbers 0 … m − 1. */
export function expandLevel(grammar: Grammar, trees: Trees, level: number, choices: ArrayLike<number>): void {
  const { m, s } = grammar
  const rules = grammar.rules[level]!
  const above = trees.levels[level]!
  const below = trees.levels[level + 1]!
  for (let node = 0; node < above.length; node++) {
    const from = (above[node]! * m + choices[node]!) * s
    for (let i = 0; i < s; i++) below[node * s + i] = rules[from + i]!
  }
}

/** Trees of one step. */
const block = 1 << 12

/** `count` trees in steps: `draw` gives those from one number on, a block at a time. */
export function* inBlocks(
  grammar: Grammar,
  count: number,
  draw: (from: number, count: number) => Trees,
): Steps<Trees> {
  const trees = emptyTrees(grammar, count)
  for (let from = 0; from < count; from += block) {
    copyTrees(trees, from, draw(from, Math.min(block, count - from)))
    yield
  }
  return trees
}

/** Copy all trees of a batch to the places of another from `at` on. */
function copyTrees(target: Trees, at: number, batch: Trees): void {
  for (const [level, symbols] of batch.levels.entries())
    target.levels[level]!.set(symbols, at * (symbols.length / batch.count))
}

/** `sampleTrees` in steps. */
export const samplingTrees = (grammar: Grammar, key: random.Key, count: number): Steps<Trees> =>
  inBlocks(grammar, count, (from, some) => sampleTrees(grammar, key, some, from))

/**
 * Independent trees from the grammar's distribution: a class drawn uniformly, then a rule at every node. The first n trees
 * of a larger batch with the same key are the same trees; `from`: leave so many of them out.
 */
export function sampleTrees(grammar: Grammar, key: random.Key, count: number, from = 0): Trees {
  const { m, s, L, probabilities } = grammar
  const trees = emptyTrees(grammar, count)
  const stride = 1 + internalNodes(grammar)
  const words = random.sampleBits(key, count * stride, from * stride)
  const classes = parentsAt(grammar, 0)
  for (let i = 0; i < count; i++) trees.levels[0]![i] = Math.floor((words[i * stride]! * classes) / 2 ** 32)
  let offset = 1
  for (let level = 0; level < L; level++) {
    const nodes = s ** level
    const symbols = trees.levels[level]!
    const steps = probabilities && cumulative(probabilities[level]!, m)
    const choices = new Int32Array(count * nodes)
    for (let i = 0; i < count; i++)
      for (let n = 0; n < nodes; n++) {
        const unit = words[i * stride + offset + n]! / 2 ** 32
        let choice = 0
        if (steps) {
          const from = symbols[i * nodes + n]! * m
          while (unit >= steps[from + choice]!) choice++
        } else choice = Math.floor(unit * m)
        choices[i * nodes + n] = choice
      }
    expandLevel(grammar, trees, level, choices)
    offset += nodes
  }
  return trees
}
