/**
 * @file Covariances of a grammar counted from strings, at growing numbers of them: the last token with every other token and
 * with every tuple, and the same counts between strings that have nothing to do with each other (the noise floor).
 */
import { random } from '../tensor/index.ts'
import { type Grammar, tupleNumber } from './grammar.ts'
import { sampleTrees } from './sample.ts'

/** Mean squares over all pairs of symbols, a number for each place. */
export interface MeanSquares {
  /** Of the covariance within a string. */
  readonly within: readonly number[]
  /** Of the covariance between the place in a string and the last token of the string before: nothing but noise. */
  readonly between: readonly number[]
}

/** What P strings show. */
export interface CountedCorrelations {
  readonly P: number
  /** At each distance t = 1 … d − 1 from the last token. */
  readonly tokens: MeanSquares
  /** For each tuple to the left of the last one, nearest first; over the v·m tuples that the grammar has. */
  readonly tuples: MeanSquares
}

/** Trees grown at once: bounds the memory, whatever the number of strings. */
const chunk = 8192

/** Height of the lowest common ancestor of the last token and the one `distance` before it. */
export function ancestorHeight(distance: number, s: number): number {
  let height = 1
  while (s ** height <= distance) height++
  return height
}

/** The rule of each legal tuple of leaves, by tuple number [v^s]; −1 for the others. */
function leafRules({ v, s, L, rules }: Grammar): Int32Array {
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
function meanSquares({ counts, rows, places }: Joint, v: number, P: number): number[] {
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

/** Joint counts of tokens and of tuples with some last token. */
interface Counts {
  readonly tokens: Joint
  readonly tuples: Joint
}

/** Count the string at `i` with the last token `symbol`: its own, or another's. */
function countString(
  { v, m, s, d }: Grammar,
  ruleOf: Int32Array,
  leaves: Int32Array,
  i: number,
  symbol: number,
  { tokens, tuples }: Counts,
): void {
  for (let t = 1; t < d; t++) tokens.counts[((t - 1) * v + leaves[i * d + d - 1 - t]!) * v + symbol]!++
  for (let b = 0; b < d / s - 1; b++) {
    const rule = ruleOf[tupleNumber(v, leaves, i * d + d - (b + 2) * s, s)]!
    tuples.counts[(b * v * m + rule) * v + symbol]!++
  }
}

/**
 * Grow strings and look at each of the numbers of them in `sizes` (ascending) on the way. Strings are grown in chunks and
 * forgotten; the same key gives the same numbers. (Cagnetta & Wyart 2024, section 3)
 */
export function countCorrelations(
  grammar: Grammar,
  key: random.Key,
  sizes: readonly number[],
): CountedCorrelations[] {
  const { v, m, s, d, L } = grammar
  const ruleOf = leafRules(grammar)
  const empty = (): Counts => ({
    tokens: emptyJoint(d - 1, v, v),
    tuples: emptyJoint(d / s - 1, v * m, v),
  })
  const [within, between] = [empty(), empty()]
  const looks: CountedCorrelations[] = []
  let done = 0
  let before = -1
  for (let part = 0; looks.length < sizes.length; part++) {
    const next = sizes[looks.length]!
    const n = Math.min(chunk, next - done)
    const leaves = sampleTrees(grammar, random.foldIn(key, part), n).levels[L]!
    for (let i = 0; i < n; i++) {
      const last = leaves[i * d + d - 1]!
      countString(grammar, ruleOf, leaves, i, last, within)
      if (before >= 0) countString(grammar, ruleOf, leaves, i, before, between)
      before = last
    }
    done += n
    if (done < next) continue
    const look = (kind: 'tokens' | 'tuples'): MeanSquares => ({
      within: meanSquares(within[kind], v, done),
      between: meanSquares(between[kind], v, done - 1),
    })
    looks.push({ P: done, tokens: look('tokens'), tuples: look('tuples') })
  }
  return looks
}
