/** @file The learner that climbs a whole grammar from its leaves, measured at growing numbers of data. */
import {
  type ContextKind,
  type Grammar,
  learnLexicon,
  makeGrammar,
  pairScores,
  type Rows,
  relabel,
  sampleTrees,
} from '../../grammar/index.ts'
import { random } from '../../tensor/index.ts'

/** One grammar, one number of data, one kind of context. */
export interface ClimbJob {
  readonly seed: number
  readonly repeat: number
  readonly shape: { readonly v: number; readonly m: number; readonly s: number; readonly L: number }
  readonly context: ContextKind
  readonly P: number
  readonly restarts: number
}

/** Adjusted Rand index of the symbols found at heights 1, 2, … L − 1, over the nodes of data not learned from. */
export interface Climbed {
  readonly scores: readonly number[]
}

/** Data on which a lexicon is scored. */
const heldOut = 1000

const leavesOf = (grammar: Grammar, key: random.Key, count: number): Rows => ({
  count,
  length: grammar.d,
  symbols: sampleTrees(grammar, key, count).levels[grammar.L]!,
})

/** Learn from P data, then name the nodes of others. */
export function measureClimb({ seed, repeat, shape, context, P, restarts }: ClimbJob): Climbed {
  const { v, m, s, L } = shape
  const key = [repeat, v, m, s, L].reduce(random.foldIn, random.key(seed))
  const grammar = makeGrammar({ v, classes: v, m, s, L }, random.foldIn(key, 0))
  const lexicon = learnLexicon(leavesOf(grammar, random.foldIn(key, 1), P), random.foldIn(key, 2), {
    v,
    s,
    context,
    heights: L - 1,
    kMeans: { restarts },
  })
  const trees = sampleTrees(grammar, random.foldIn(key, 3), heldOut)
  let rows: Rows = { count: heldOut, length: grammar.d, symbols: trees.levels[L]! }
  const scores = lexicon.map((table, below) => {
    rows = relabel(rows, table, v, s)
    return pairScores(rows.symbols, trees.levels[L - 1 - below]!).adjustedRand
  })
  return { scores }
}
