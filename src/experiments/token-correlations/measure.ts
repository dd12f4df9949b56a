/**
 * @file Covariances of one grammar counted from samples, at growing numbers of data: the last token with every other token
 * and with every tuple, and the same counts between data that have nothing to do with each other (the noise floor).
 */
import { type Grammar, makeGrammar, type Shape, sampleTrees, tupleNumber } from '../../grammar/index.ts'
import { random } from '../../tensor/index.ts'

/** One grammar and how it is measured: all that the numbers depend on. */
export interface CorrelationJob {
  readonly seed: number
  readonly repeat: number
  readonly shape: { readonly v: number; readonly m: number; readonly s: number; readonly L: number }
  readonly rules: 'random' | 'uncorrelated'
  /** Numbers of data at which to look, ascending. */
  readonly samples: readonly number[]
}

/** Mean squares over all pairs of symbols. */
export interface MeanSquares {
  /** Of the covariance within a datum. */
  readonly within: readonly number[]
  /** Of the covariance between the place in a datum and the last token of the datum before: nothing but noise. */
  readonly between: readonly number[]
}

/** What one number of data shows. */
export interface Look {
  readonly P: number
  /** At each distance t = 1 … d − 1 from the last token. */
  readonly tokens: MeanSquares
  /** For each tuple to the left of the last one, nearest first; over the tuples that the grammar has. */
  readonly tuples: MeanSquares
}

/** Trees grown at once: bounds the memory, whatever the number of data. */
const chunk = 8192

/** A classes-equal-symbols shape, as these experiments use. */
export const fullShape = ({ v, m, s, L }: CorrelationJob['shape']): Shape => ({ v, classes: v, m, s, L })

/** The grammar of a job, and the key of its data: both differ between shapes, repeats and seeds. */
export function grammarOf(job: Pick<CorrelationJob, 'seed' | 'repeat' | 'shape' | 'rules'>): {
  grammar: Grammar
  dataKey: random.Key
} {
  const { v, m, s, L } = job.shape
  const key = [job.repeat, v, m, s, L].reduce(random.foldIn, random.key(job.seed))
  const grammar = makeGrammar(fullShape(job.shape), random.foldIn(key, 0), { rules: job.rules })
  return { grammar, dataKey: random.foldIn(key, 1) }
}

/** Numbers of data from `from` to `to`, `perDoubling` of them in each doubling. */
export function sampleSizes(from: number, to: number, perDoubling = 1): number[] {
  const sizes: number[] = []
  for (let step = 0; ; step++) {
    const size = Math.round(from * 2 ** (step / perDoubling))
    if (size > to) return sizes
    if (size !== sizes.at(-1)) sizes.push(size)
  }
}

/** Rows of each legal tuple of leaves: its rule's number, by tuple number. */
function ruleNumbers({ v, s, L, rules }: Grammar): Int32Array {
  const out = new Int32Array(v ** s).fill(-1)
  const table = rules[L - 1]!
  for (let rule = 0; rule < table.length / s; rule++) out[tupleNumber(v, table, rule * s, s)] = rule
  return out
}

/** Joint counts of what stands at several places [places, rows] with the last token [v]. */
interface Joint {
  readonly rows: number
  readonly places: number
  readonly counts: Float64Array
}

const emptyJoint = (places: number, rows: number, v: number): Joint => ({
  rows,
  places,
  counts: new Float64Array(places * rows * v),
})

/** For each place, the mean over (row, symbol) of (N_rx/P − N_r N_x/P²)². */
export function meanSquareCovariance({ counts, rows, places }: Joint, v: number, P: number): number[] {
  const size = rows * v
  return Array.from({ length: places }, (_, place) => {
    const table = counts.subarray(place * size, (place + 1) * size)
    const byRow = new Float64Array(rows)
    const bySymbol = new Float64Array(v)
    for (let i = 0; i < size; i++) {
      byRow[Math.floor(i / v)]! += table[i]!
      bySymbol[i % v]! += table[i]!
    }
    let sum = 0
    for (let r = 0; r < rows; r++)
      for (let x = 0; x < v; x++) sum += (table[r * v + x]! / P - (byRow[r]! * bySymbol[x]!) / P ** 2) ** 2
    return sum / size
  })
}

/** Count `job.samples` data, looking at each number on the way. Data are grown in chunks and forgotten. */
export function measureCorrelations(job: CorrelationJob): Look[] {
  const { grammar, dataKey } = grammarOf(job)
  const { v, m, s, d, L } = grammar
  const ruleOf = ruleNumbers(grammar)
  const blocks = d / s - 1
  const within = { tokens: emptyJoint(d - 1, v, v), tuples: emptyJoint(blocks, v * m, v) }
  const between = { tokens: emptyJoint(d - 1, v, v), tuples: emptyJoint(blocks, v * m, v) }
  const looks: Look[] = []
  let done = 0
  let before = -1
  for (let part = 0; looks.length < job.samples.length; part++) {
    const next = job.samples[looks.length]!
    const n = Math.min(chunk, next - done)
    const leaves = sampleTrees(grammar, random.foldIn(dataKey, part), n).levels[L]!
    for (let i = 0; i < n; i++) {
      const last = leaves[i * d + d - 1]!
      for (let t = 1; t < d; t++) {
        const row = ((t - 1) * v + leaves[i * d + d - 1 - t]!) * v
        within.tokens.counts[row + last]!++
        if (before >= 0) between.tokens.counts[row + before]!++
      }
      for (let b = 0; b < blocks; b++) {
        const tuple = ruleOf[tupleNumber(v, leaves, i * d + d - (b + 2) * s, s)]!
        const row = (b * v * m + tuple) * v
        within.tuples.counts[row + last]!++
        if (before >= 0) between.tuples.counts[row + before]!++
      }
      before = last
    }
    done += n
    if (done < next) continue
    const look = (kind: 'tokens' | 'tuples'): MeanSquares => ({
      within: meanSquareCovariance(within[kind], v, done),
      between: meanSquareCovariance(between[kind], v, done - 1),
    })
    looks.push({ P: done, tokens: look('tokens'), tuples: look('tuples') })
  }
  return looks
}
