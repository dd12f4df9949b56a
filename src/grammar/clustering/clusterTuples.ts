/**
 * @file At how many data do tuples cluster by what they are seen with? One grammar, one kind of context, growing numbers of
 * data: context vectors, k-means, scores against the true parents.
 */
import { random } from '../../tensor/index.ts'
import { type Grammar, tupleNumber } from '../grammar.ts'
import { sampleTrees } from '../sample.ts'
import { contextFrequencies, contrastOf, type TupleContext, tupleLevel } from './contrast.ts'
import { kMeans } from './kMeans.ts'
import { pairScores } from './pairScores.ts'

/** How to look. */
export interface ClusterOptions {
  readonly context: TupleContext
  /** Numbers of data at which to look, ascending. */
  readonly sizes: readonly number[]
  /** Look no further after two adjusted Rand indices at least this high. */
  readonly enough: number
  /** Beginnings of each k-means. */
  readonly restarts: number
}

/** What P data show. */
export interface ClusteredTuples {
  readonly P: number
  readonly adjustedRand: number
  /** Share of the synonym pairs that k-means put together. */
  readonly recall: number
  /** Share of the pairs that k-means put together which are synonyms. */
  readonly precision: number
  /** See `contrastOf`. Null while no synonyms have been seen. */
  readonly contrast: number | null
}

/** Trees grown at once: bounds the memory, whatever the number of data. */
const chunk = 8192

/**
 * Symbols that can stand at the first node of a level [classes or v], 1 or 0: elsewhere a symbol may never begin a tuple, and
 * then it is not there.
 */
export function firstSymbols({ v, m, s, classes, rules }: Grammar, level: number): Uint8Array {
  let there = new Uint8Array(classes).fill(1)
  for (let above = 0; above < level; above++) {
    const next = new Uint8Array(v)
    for (let rule = 0; rule < there.length * m; rule++)
      if (there[Math.floor(rule / m)]) next[rules[above]![rule * s]!] = 1
    there = next
  }
  return there
}

/** Joint counts [v·m rules, symbols of the context], grown as data come. */
function counter(grammar: Grammar, context: TupleContext, key: random.Key) {
  const { v, m, s, L, d } = grammar
  const level = tupleLevel(grammar, context)
  const table = grammar.rules[level - 1]!
  const ruleOf = new Int32Array(v ** s).fill(-1)
  for (let rule = 0; rule < v * m; rule++) ruleOf[tupleNumber(v, table, rule * s, s)] = rule
  const symbols = context === 'class' ? grammar.classes : v
  const counts = new Float64Array(v * m * symbols)
  let done = 0
  let part = 0
  let before = -1
  /** Grow data until there are `P`; the chunks do not depend on anything but the numbers of data. */
  const growTo = (P: number): void => {
    while (done < P) {
      const n = Math.min(chunk, P - done)
      const { levels } = sampleTrees(grammar, random.foldIn(key, part++), n)
      const tuples = levels[level]!
      for (let i = 0; i < n; i++) {
        const row = ruleOf[tupleNumber(v, tuples, i * s ** level, s)]!
        const symbol = context === 'class' ? levels[0]![i]! : levels[L]![i * d + d - 1]!
        const seen = context === 'shuffled' ? before : symbol
        if (seen >= 0) counts[row * symbols + seen]!++
        before = symbol
      }
      done += n
    }
  }
  return { counts, symbols, growTo }
}

/**
 * Scores at growing numbers of data. k-means is told how many symbols can stand there; tuples not seen yet count as not
 * classified. The same key gives the same scores. (Cagnetta et al. 2024, App. D; Favero et al. 2025)
 */
export function clusterTuples(
  grammar: Grammar,
  key: random.Key,
  { context, sizes, enough, restarts }: ClusterOptions,
): ClusteredTuples[] {
  const { v, m } = grammar
  const { counts, symbols, growTo } = counter(grammar, context, random.foldIn(key, 1))
  const there = firstSymbols(grammar, tupleLevel(grammar, context) - 1)
  const parents = Int32Array.from({ length: v * m }, (_, rule) => Math.floor(rule / m))
  const possible = [...parents.keys()].filter((rule) => there[parents[rule]!])
  const truth = possible.map((rule) => parents[rule]!)
  const k = there.reduce((sum, one) => sum + one, 0)
  const looks: ClusteredTuples[] = []
  let good = 0
  for (const P of sizes) {
    growTo(P)
    const { rows, vectors } = contextFrequencies(counts, symbols)
    const { labels } = kMeans(vectors, symbols, random.foldIn(random.foldIn(key, 2), P), { k, restarts })
    const found = new Int32Array(v * m).fill(-1)
    for (const [i, row] of rows.entries()) found[row] = labels[i]!
    const { adjustedRand, recall, precision } = pairScores(
      possible.map((rule) => found[rule]!),
      truth,
    )
    const own = rows.map((row) => parents[row]!)
    looks.push({ P, adjustedRand, recall, precision, contrast: contrastOf(vectors, symbols, own) })
    good = adjustedRand >= enough ? good + 1 : 0
    if (good === 2) break
  }
  return looks
}
