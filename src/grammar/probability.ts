/** @file How likely trees are under a grammar's production probabilities. */
import { type Grammar, internalNodes, parentsAt, type Trees } from './grammar.ts'
import { ruleChoices, treeCount } from './rank.ts'

/**
 * ln of the probability of each tree [count], in nats: ln(1/n_c) + Σ over nodes of ln p(rule | symbol); −Infinity for a tree
 * with a rule of probability 0. Throws TL_BAD_ARGUMENT for trees that are not of this grammar.
 */
export function logProbability(grammar: Grammar, trees: Trees): Float64Array {
  const { m, s, L, classes, probabilities } = grammar
  const nodes = internalNodes(grammar)
  const choices = ruleChoices(grammar, trees)
  const out = new Float64Array(trees.count).fill(-Math.log(classes))
  for (let i = 0; i < trees.count; i++) {
    let at = i * nodes
    for (let level = 0; level < L; level++) {
      const width = s ** level
      const logs = probabilities?.[level]
      for (let node = 0; node < width; node++) {
        const symbol = trees.levels[level]![i * width + node]!
        out[i]! += logs ? Math.log(logs[symbol * m + choices[at]!]!) : -Math.log(m)
        at++
      }
    }
  }
  return out
}

/** Trees of positive probability: `treeCount` unless a production has probability 0. */
export function possibleTrees(grammar: Grammar): bigint {
  const { m, s, L, probabilities } = grammar
  if (!probabilities?.some((level) => level.includes(0))) return treeCount(grammar)
  let below: bigint[] = new Array<bigint>(grammar.v).fill(1n)
  for (let level = L - 1; level >= 0; level--) {
    const rules = grammar.rules[level]!
    below = Array.from({ length: parentsAt(grammar, level) }, (_, parent) => {
      let sum = 0n
      for (let rule = parent * m; rule < (parent + 1) * m; rule++) {
        if (probabilities[level]![rule] === 0) continue
        let product = 1n
        for (let i = 0; i < s; i++) product *= below[rules[rule * s + i]!]!
        sum += product
      }
      return sum
    })
  }
  return below.reduce((sum, n) => sum + n, 0n)
}
