/**
 * @file At how many data do tuples cluster by what they are seen with? One grammar, one kind of context, growing numbers of
 * data: context vectors, k-means, scores against the true parents.
 */
import {
  type Grammar,
  kMeans,
  makeGrammar,
  pairScores,
  sampleTrees,
  tupleNumber,
} from '../../grammar/index.ts'
import { random } from '../../tensor/index.ts'

/** What the tuple is seen with. */
export type ContextChoice =
  /** The last leaf; the tuple stands under the first child of the root, two levels down: the root is their LCA, ℓ = L. */
  | 'leaf'
  /** The last leaf of the datum before: nothing can be learned (control). */
  | 'shuffled'
  /** The class; the tuple is the first one of leaves. */
  | 'class'

/** One grammar and how it is measured: all that the numbers depend on. */
export interface ThresholdJob {
  readonly seed: number
  readonly repeat: number
  readonly v: number
  readonly classes: number
  readonly m: number
  readonly s: number
  readonly L: number
  readonly rules: 'random' | 'uncorrelated'
  readonly context: ContextChoice
  /** Numbers of data at which to look, ascending. */
  readonly samples: readonly number[]
  /** Look no further after two scores at least this high. */
  readonly enough: number
  readonly restarts: number
}

/** What one number of data shows. */
export interface Clustered {
  readonly P: number
  readonly adjustedRand: number
  /** Share of the synonym pairs that k-means put together. */
  readonly recall: number
  /** Share of the pairs that k-means put together which are synonyms. */
  readonly precision: number
  /**
   * Mean squared distance of context vectors between tuples of different parents over that between synonyms, minus 1: signal
   * over noise, without any formula for either. Null while no synonyms have been seen.
   */
  readonly contrast: number | null
}

const chunk = 8192

/** The grammar of a job, and the key of everything else. */
export function grammarOf(job: ThresholdJob): { grammar: Grammar; key: random.Key } {
  const { v, classes, m, s, L } = job
  const key = [job.repeat, v, classes, m, s, L].reduce(random.foldIn, random.key(job.seed))
  return { grammar: makeGrammar({ v, classes, m, s, L }, random.foldIn(key, 0), { rules: job.rules }), key }
}

/** The level of the tuple's symbols: two below the root, or the leaves. */
const tupleLevel = ({ context, L }: ThresholdJob): number => (context === 'class' ? L : 2)

/** Symbols that can stand at the first node of a level: elsewhere a symbol may never begin a tuple, and then it is not there. */
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
function counter(job: ThresholdJob, grammar: Grammar, key: random.Key) {
  const { v, m, s, L, d } = grammar
  const level = tupleLevel(job)
  const table = grammar.rules[level - 1]!
  const ruleOf = new Int32Array(v ** s).fill(-1)
  for (let rule = 0; rule < v * m; rule++) ruleOf[tupleNumber(v, table, rule * s, s)] = rule
  const symbols = job.context === 'class' ? grammar.classes : v
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
        const symbol = job.context === 'class' ? levels[0]![i]! : levels[L]![i * d + d - 1]!
        const seen = job.context === 'shuffled' ? before : symbol
        if (seen >= 0) counts[row * symbols + seen]!++
        before = symbol
      }
      done += n
    }
  }
  return { counts, symbols, growTo }
}

/** Rows seen at least once: which, and P(symbol | row) − P(symbol) [n, symbols]. */
export function conditional(
  counts: Float64Array,
  symbols: number,
): { rows: number[]; vectors: Float64Array } {
  const whole = new Float64Array(symbols)
  for (let i = 0; i < counts.length; i++) whole[i % symbols]! += counts[i]!
  const total = whole.reduce((a, b) => a + b, 0)
  const rows: number[] = []
  const vectors: number[] = []
  for (let row = 0; row < counts.length / symbols; row++) {
    const own = counts.subarray(row * symbols, (row + 1) * symbols)
    const sum = own.reduce((a, b) => a + b, 0)
    if (sum === 0) continue
    rows.push(row)
    for (let x = 0; x < symbols; x++) vectors.push(own[x]! / sum - whole[x]! / total)
  }
  return { rows, vectors: Float64Array.from(vectors) }
}

/** Squared distance between parents over that between synonyms, minus 1. */
export function contrastOf(vectors: Float64Array, dim: number, parents: readonly number[]): number | null {
  const sums = { same: 0, other: 0 }
  const pairs = { same: 0, other: 0 }
  for (let i = 0; i < parents.length; i++)
    for (let j = 0; j < i; j++) {
      let distance = 0
      for (let x = 0; x < dim; x++) distance += (vectors[i * dim + x]! - vectors[j * dim + x]!) ** 2
      const kind = parents[i] === parents[j] ? 'same' : 'other'
      sums[kind] += distance
      pairs[kind]++
    }
  if (pairs.same === 0 || pairs.other === 0 || sums.same === 0) return null
  return sums.other / pairs.other / (sums.same / pairs.same) - 1
}

/**
 * Scores at growing numbers of data. k-means is told how many symbols can stand there; tuples not seen yet count as not
 * classified.
 */
export function measureThreshold(job: ThresholdJob): Clustered[] {
  const { grammar, key } = grammarOf(job)
  const { v, m } = grammar
  const { counts, symbols, growTo } = counter(job, grammar, random.foldIn(key, 1))
  const there = firstSymbols(grammar, tupleLevel(job) - 1)
  const parents = Int32Array.from({ length: v * m }, (_, rule) => Math.floor(rule / m))
  const possible = [...parents.keys()].filter((rule) => there[parents[rule]!])
  const truth = possible.map((rule) => parents[rule]!)
  const k = there.reduce((sum, one) => sum + one, 0)
  const looks: Clustered[] = []
  let good = 0
  for (const P of job.samples) {
    growTo(P)
    const { rows, vectors } = conditional(counts, symbols)
    const { labels } = kMeans(vectors, symbols, random.foldIn(random.foldIn(key, 2), P), {
      k,
      restarts: job.restarts,
    })
    const found = new Int32Array(v * m).fill(-1)
    for (const [i, row] of rows.entries()) found[row] = labels[i]!
    const { adjustedRand, recall, precision } = pairScores(
      possible.map((rule) => found[rule]!),
      truth,
    )
    const own = rows.map((row) => parents[row]!)
    looks.push({ P, adjustedRand, recall, precision, contrast: contrastOf(vectors, symbols, own) })
    good = adjustedRand >= job.enough ? good + 1 : 0
    if (good === 2) break
  }
  return looks
}
