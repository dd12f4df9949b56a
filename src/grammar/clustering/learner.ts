/**
 * @file Learning a grammar's latent symbols from leaves alone: tuples that occur in the same contexts are synonyms, so
 * clusters of context vectors are the symbols of the level above; replace every tuple by its cluster and go on.
 */
import { fail } from '../../base/index.ts'
import { random } from '../../tensor/index.ts'
import { type KMeansOptions, kMeans } from './kMeans.ts'

/** Rows of symbols, all of the same length; −1 marks what is not known. */
export interface Rows {
  readonly count: number
  readonly length: number
  readonly symbols: Int32Array
}

/** What a tuple is seen together with. */
export type ContextKind =
  /** The leaves below its siblings, as they are (sample complexity v m^(h+2) at height h). */
  | 'tokens'
  /** The symbols found one level below its siblings (v m³ at every height). */
  | 'latents'

/** Sizes of the grammar to learn, and the choice of context. */
export interface LearnerOptions {
  readonly v: number
  readonly s: number
  readonly context: ContextKind
  /** Heights to climb; one less than the grammar has levels, for the root has no context. */
  readonly heights: number
  readonly kMeans?: Omit<KMeansOptions, 'k' | 'weights'>
}

/** What was learned: for each height 1, 2, … the cluster of each tuple [v^s], −1 where it was never seen. */
export type Lexicon = readonly Int32Array[]

/** Replace each s-tuple by its entry of `table` [v^s]; −1 when a part of it is unknown or the table does not have it. */
export function relabel(rows: Rows, table: Int32Array, v: number, s: number): Rows {
  const tuples = tuplesOf(rows, v, s)
  return { ...tuples, symbols: tuples.symbols.map((tuple) => (tuple < 0 ? -1 : table[tuple]!)) }
}

/** Each s-tuple as one number in [0, v^s), −1 when a part of it is unknown. */
function tuplesOf({ count, length, symbols }: Rows, v: number, s: number): Rows {
  const out = new Int32Array((count * length) / s)
  for (let node = 0; node < out.length; node++) {
    let number = 0
    for (let i = 0; i < s && number >= 0; i++) {
      const symbol = symbols[node * s + i]!
      number = symbol < 0 ? -1 : number * v + symbol
    }
    out[node] = number
  }
  return { count, length: length / s, symbols: out }
}

/** Context vectors of the tuples that occur. */
export interface Contexts {
  /** Numbers of the tuples seen, ascending [n]. */
  readonly tuples: Int32Array
  /** How often each was seen [n]. */
  readonly seen: Float64Array
  /** [n, dim]: for each relative place of a context symbol, P(symbol | tuple) − P(symbol). */
  readonly vectors: Float64Array
  readonly dim: number
}

/**
 * Count what stands below the siblings of every tuple. `tuples` and `below` are rows over the same data, `below` with
 * w = below.length / tuples.length symbols under each node; a relative place is (which child the tuple is, which of its
 * siblings, which of the w symbols), s(s − 1)w of them, and all nodes of a row are pooled.
 */
export function contextVectors(tuples: Rows, below: Rows, v: number, s: number): Contexts {
  const width = below.length / tuples.length
  const places = (s - 1) * width
  const perChild = places * v
  const dim = s * perChild
  const rowOf = new Int32Array(v ** s).fill(-1)
  for (const tuple of tuples.symbols) if (tuple >= 0) rowOf[tuple] = 0
  const numbers: number[] = []
  for (const [tuple, row] of rowOf.entries()) if (row === 0) rowOf[tuple] = numbers.push(tuple) - 1
  const counts = new Float64Array(numbers.length * dim)
  const seen = new Float64Array(numbers.length)
  const total = tuples.symbols.length
  for (let node = 0; node < total; node++) {
    const tuple = tuples.symbols[node]!
    if (tuple < 0) continue
    const row = rowOf[tuple]!
    seen[row]!++
    const child = node % s
    const family = (node - child) * width
    let at = row * dim + child * perChild
    for (let place = 0; place < s * width; place++) {
      if (place >= child * width && place < (child + 1) * width) continue
      const symbol = below.symbols[family + place]!
      if (symbol >= 0) counts[at + symbol]!++
      at += v
    }
  }
  return { tuples: Int32Array.from(numbers), seen, vectors: centred(counts, dim, v), dim }
}

/** Counts [n, dim] to P(symbol | row) − P(symbol), in each group of v columns; a row never seen there says nothing: zeros. */
function centred(counts: Float64Array, dim: number, v: number): Float64Array {
  const n = counts.length / dim
  const out = new Float64Array(counts.length)
  for (let from = 0; from < dim; from += v) {
    const whole = new Float64Array(v)
    for (let row = 0; row < n; row++) for (let x = 0; x < v; x++) whole[x]! += counts[row * dim + from + x]!
    const total = whole.reduce((a, b) => a + b, 0)
    for (let row = 0; row < n; row++) {
      const at = row * dim + from
      let sum = 0
      for (let x = 0; x < v; x++) sum += counts[at + x]!
      if (sum > 0) for (let x = 0; x < v; x++) out[at + x] = counts[at + x]! / sum - whole[x]! / total
    }
  }
  return out
}

/**
 * Climb from the leaves: at each height cluster the tuples by their contexts into v symbols, relabel, repeat. Nothing but
 * the leaves is looked at. Throws TL_BAD_ARGUMENT when the rows are too short for so many heights.
 */
export function learnLexicon(leaves: Rows, key: random.Key, options: LearnerOptions): Lexicon {
  const { v, s, context, heights } = options
  if (leaves.length % s ** (heights + 1) !== 0 || leaves.count < 1)
    fail(
      'TL_BAD_ARGUMENT',
      `learnLexicon: expected rows of a multiple of ${s}^${heights + 1} leaves for ${heights} heights, got ${leaves.count} rows of ${leaves.length}`,
    )
  const lexicon: Int32Array[] = []
  let known = leaves
  for (let height = 1; height <= heights; height++) {
    const tuples = tuplesOf(known, v, s)
    const found = contextVectors(tuples, context === 'tokens' ? leaves : known, v, s)
    const table = new Int32Array(v ** s).fill(-1)
    if (found.tuples.length > 0) {
      const { labels } = kMeans(found.vectors, found.dim, random.foldIn(key, height), {
        ...options.kMeans,
        k: v,
        weights: found.seen,
      })
      for (const [row, tuple] of found.tuples.entries()) table[tuple] = labels[row]!
    }
    lexicon.push(table)
    known = relabel(known, table, v, s)
  }
  return lexicon
}
