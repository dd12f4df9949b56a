/** @file Exact samples of the posterior: the root from its marginal, then a rule at each node, given its symbol. */
import { fail } from '../../base/index.ts'
import type { random } from '../../tensor/index.ts'
import type { Grammar, Trees } from '../grammar.ts'
import { emptyTrees } from '../sample.ts'
import type { Upward } from './up.ts'
import { choose, emptyBars, placesFor, rootBars, type Weigh, weighFor } from './weigh.ts'
import { fillWords, sampleKeys } from './words.ts'

/** Samples of one datum at one level: symbols [nodes, samples], so that all samples of a node lie side by side. */
type Symbols = Int32Array

/** Scratch space for the samples of a datum. */
interface Scratch {
  readonly words: Uint32Array
  /** Bars of the rules of one node, [symbols, placesFor(m)]. */
  readonly bars: Int32Array
  /** The number of the node for which a symbol's bars were made. */
  readonly made: Int32Array
}

const scratchFor = ({ v, classes, m }: Grammar, samples: number): Scratch => ({
  words: new Uint32Array(2 * samples),
  bars: emptyBars(Math.max(classes, v), m),
  made: new Int32Array(Math.max(classes, v)),
})

/**
 * Draw the rules of all nodes of a level and write the symbols below. All samples of a node share the weights of its rules,
 * which are made when a symbol first needs them. Word `word` is that of the level's first node.
 */
function drawLevel(
  { m, s }: Grammar,
  rules: Int32Array,
  level: number,
  weigh: Weigh,
  keys: Int32Array,
  { words, bars, made }: Scratch,
  above: Symbols,
  below: Symbols,
): void {
  const samples = keys.length >> 1
  const nodes = above.length / samples
  const places = placesFor(m)
  let word = 1 + (nodes - 1) / (s - 1)
  made.fill(0)
  for (let node = 0; node < nodes; node++, word++) {
    if (word % 2 === 0 || node === 0) fillWords(keys, word >> 1, words)
    const half = (word & 1) * samples
    const from = node * samples
    for (let t = 0; t < samples; t++) {
      const y = above[from + t]!
      if (made[y] !== word) {
        made[y] = word
        weigh(level, node, y, bars)
      }
      const r = y * m + choose(bars, y * places, places, words[half + t]! >>> 1)
      if (s === 2) {
        below[2 * from + t] = rules[2 * r]!
        below[2 * from + samples + t] = rules[2 * r + 1]!
      } else for (let i = 0; i < s; i++) below[from * s + i * samples + t] = rules[r * s + i]!
    }
  }
}

/** Symbols [nodes, samples] into trees [samples, nodes] beginning at tree `first`. */
function transpose(symbols: Symbols, samples: number, out: Int32Array, first: number): void {
  const nodes = symbols.length / samples
  for (let t = 0; t < samples; t++) {
    const at = (first + t) * nodes
    let from = t
    for (let n = 0; n < nodes; n++) {
      out[at + n] = symbols[from]!
      from += samples
    }
  }
}

function sampleDatum(
  grammar: Grammar,
  up: Upward,
  b: number,
  keys: Int32Array,
  scratch: Scratch,
  trees: Trees,
): void {
  const { L, s } = grammar
  const samples = keys.length >> 1
  const weigh = weighFor(grammar, up, b)
  const root = rootBars(grammar, up, b)
  fillWords(keys, 0, scratch.words)
  let above: Symbols = new Int32Array(samples)
  for (let t = 0; t < samples; t++) above[t] = choose(root, 0, root.length, scratch.words[t]! >>> 1)
  transpose(above, samples, trees.levels[0]!, b * samples)
  for (let level = 0; level < L; level++) {
    const below: Symbols = new Int32Array(above.length * s)
    drawLevel(grammar, grammar.rules[level]!, level, weigh, keys, scratch, above, below)
    transpose(below, samples, trees.levels[level + 1]!, b * samples)
    above = below
  }
}

/**
 * Independent exact samples of the whole tree given the evidence, `samples` for each datum: a batch of B·samples trees,
 * datum-major (sample t of datum b is tree b·samples + t), all symbols −1 for impossible data. Sample t of datum b depends
 * on the key, b and t alone; `first` is the number of the batch's first datum, for batches that are parts of a larger one.
 */
export function samplePosterior(
  grammar: Grammar,
  up: Upward,
  key: random.Key,
  samples: number,
  first = 0,
): Trees {
  if (!(Number.isSafeInteger(samples) && samples >= 0))
    fail('TL_BAD_ARGUMENT', `samplePosterior: expected samples to be an integer ≥ 0, got ${samples}`)
  const trees = emptyTrees(grammar, up.batch * samples)
  const scratch = scratchFor(grammar, samples)
  for (let b = 0; b < up.batch; b++)
    if (up.impossible[b])
      for (const [level, symbols] of trees.levels.entries()) {
        const size = samples * grammar.s ** level
        symbols.fill(-1, b * size, (b + 1) * size)
      }
    else if (samples > 0) sampleDatum(grammar, up, b, sampleKeys(key, first + b, samples), scratch, trees)
  return trees
}
