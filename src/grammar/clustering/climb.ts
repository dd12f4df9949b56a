/** @file The learner that climbs a grammar from its leaves, scored on strings that it has not seen. */
import { random } from '../../tensor/index.ts'
import type { Grammar } from '../grammar.ts'
import { sampleTrees } from '../sample.ts'
import { type ContextKind, learnLexicon, type Rows, relabel } from './learner.ts'
import { pairScores } from './pairScores.ts'

/** Data on which a lexicon is scored. */
const heldOut = 1000

const leavesOf = (grammar: Grammar, key: random.Key, count: number): Rows => ({
  count,
  length: grammar.d,
  symbols: sampleTrees(grammar, key, count).levels[grammar.L]!,
})

/**
 * Learn a lexicon from P data, then name the nodes of others: adjusted Rand index of the symbols found at heights
 * 1, 2, … L − 1. The data of a smaller P are the first of those of a larger one. (Favero et al. 2025)
 */
export function climbScores(
  grammar: Grammar,
  key: random.Key,
  { P, context, restarts }: { P: number; context: ContextKind; restarts: number },
): number[] {
  const { v, s, L, d } = grammar
  const lexicon = learnLexicon(leavesOf(grammar, random.foldIn(key, 1), P), random.foldIn(key, 2), {
    ...{ v, s, context, heights: L - 1 },
    kMeans: { restarts },
  })
  const trees = sampleTrees(grammar, random.foldIn(key, 3), heldOut)
  let rows: Rows = { count: heldOut, length: d, symbols: trees.levels[L]! }
  return lexicon.map((table, below) => {
    rows = relabel(rows, table, v, s)
    return pairScores(rows.symbols, trees.levels[L - 1 - below]!).adjustedRand
  })
}
