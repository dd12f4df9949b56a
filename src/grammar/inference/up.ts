/** @file The upward pass: what the evidence says of every node's symbol from below, and how probable it is as a whole. */
import { type Grammar, parentsAt } from '../grammar.ts'
import { type Combined, combinePairs } from './combine.ts'
import { leafLevel } from './leaves.ts'
import { distinctTuples, type Floats, floatsLike, type Level, probabilitiesAt, safeReach } from './level.ts'
import { logsUp } from './logs.ts'

/** Messages from below at every level, for a batch of data. */
export interface Upward {
  readonly batch: number
  /** Level 0 is the root, level L the leaves. */
  readonly levels: readonly Level[]
  /** ln of the mean of the product of likelihoods under the grammar's distribution, [batch]; −Infinity where it is 0. */
  readonly logEvidence: Float64Array
  /** The same for leaf rows divided by their largest entries, [batch]. */
  readonly logRelative: Float64Array
  /** 1 where the evidence has probability 0. */
  readonly impossible: Uint8Array
  /**
   * The ln of the messages, by datum, where they span more than the precision holds (evidence that nearly contradicts
   * itself): levels 0 … L, each [nodes, symbols], the largest of each row 0. For these data the rows of `levels` mean nothing.
   */
  readonly logs: ReadonlyMap<number, readonly Float64Array[]>
}

/**
 * Unscaled messages of one node with children at `from` (offsets into rows): for each parent the sum over its rules of the
 * product of the children's entries, and of production probabilities if given. Returns the largest.
 */
function combine(
  rules: Int32Array,
  probabilities: Float64Array | undefined,
  m: number,
  rows: Floats,
  from: Int32Array,
  out: Float64Array,
): number {
  const s = from.length
  let max = 0
  for (let y = 0; y < out.length; y++) {
    let sum = 0
    for (let r = y * m; r < (y + 1) * m; r++) {
      let product = probabilities ? probabilities[r]! : 1
      for (let i = 0; i < s; i++) product *= rows[from[i]! + rules[r * s + i]!]!
      sum += product
    }
    out[y] = sum
    if (sum > max) max = sum
  }
  return max
}

/** Messages of the nodes whose children have the rows `tuples` [count, s] of `below`. */
function combineAll(grammar: Grammar, level: number, below: Level, tuples: Int32Array): Combined {
  const { m, s } = grammar
  const table = grammar.rules[level]!
  const probabilities = probabilitiesAt(grammar, level)
  const fast = s === 2 && combinePairs(below.rows, below.width, tuples, table, m, probabilities)
  if (fast) return fast
  const width = parentsAt(grammar, level)
  const count = tuples.length / s
  const rows = floatsLike(below.rows, count * width)
  const maxima = new Float64Array(count)
  const out = new Float64Array(width)
  for (let row = 0; row < count; row++) {
    const from = tuples.subarray(row * s, (row + 1) * s).map((child) => child * below.width)
    const max = combine(table, probabilities, m, below.rows, from, out)
    maxima[row] = max
    if (max > 0) for (let y = 0; y < width; y++) rows[row * width + y] = out[y]! / max
  }
  return { rows, maxima }
}

/** The level above `below`. */
function levelAbove(grammar: Grammar, level: number, below: Level): Level {
  const { m, s } = grammar
  const { index, first } = distinctTuples(below, below.index.length / s, s)
  const count = first.length
  const scale = new Float64Array(count)
  const reach = new Float64Array(count)
  const tuples = new Int32Array(count * s)
  // uniform probabilities 1/m are left to the scale
  const unit = grammar.probabilities ? 1 : m
  for (let row = 0; row < count; row++)
    for (let i = 0; i < s; i++) tuples[row * s + i] = below.index[first[row]! * s + i]!
  const { rows, maxima } = combineAll(grammar, level, below, tuples)
  for (let row = 0; row < count; row++) {
    let least = 1
    let units = 0
    for (let i = row * s; i < (row + 1) * s; i++) {
      const child = tuples[i]!
      least = Math.min(least, below.reach[child]!)
      if (level < grammar.L - 1) units += below.scale[child]!
    }
    const max = maxima[row]!
    reach[row] = least * Math.min(1, max)
    scale[row] = units + Math.log(max / unit)
  }
  return { nodes: below.nodes / s, width: parentsAt(grammar, level), count, index, rows, scale, reach }
}

/** True for data with a leaf row that lost entries when scaled. */
function lossyData({ nodes, index }: Level, lossy: Uint8Array, batch: number): Uint8Array {
  const out = new Uint8Array(batch)
  if (lossy.includes(1))
    for (let n = 0; n < index.length; n++) if (lossy[index[n]!]) out[Math.floor(n / nodes)] = 1
  return out
}

/**
 * Belief propagation from the leaves to the root, exact on a tree (Sclocchi et al. 2025, eqs. 13–16): a node's message is
 * U(y) = Σ_r p_r Π_i U_i(r_i) over the rules r of y. `likelihood` [batch, d, v] holds non-negative numbers, any scale for
 * each row, in the precision in which messages are kept. Classes are equally likely. Evidence of probability 0 gives
 * logEvidence −Infinity and `impossible` 1; evidence that is only improbable, however much, is told apart from it.
 * `first` is the number messages give to the first datum. Throws TL_SHAPE_MISMATCH for a wrong length, TL_BAD_ARGUMENT for a
 * negative, NaN or infinite likelihood.
 */
export function inferUp(grammar: Grammar, likelihood: Floats, batch: number, first = 0): Upward {
  const { L, d, v, classes } = grammar
  const { level: leaves, lossy } = leafLevel(grammar, likelihood, batch, first)
  const levels: Level[] = [leaves]
  for (let level = L - 1; level >= 0; level--) levels.unshift(levelAbove(grammar, level, levels[0]!))
  const root = levels[0]!
  const unsafe = lossyData(leaves, lossy, batch)
  const logRelative = new Float64Array(batch)
  const logEvidence = new Float64Array(batch)
  const impossible = new Uint8Array(batch)
  const logs = new Map<number, readonly Float64Array[]>()
  for (let b = 0; b < batch; b++) {
    const row = root.index[b]!
    if (unsafe[b] || root.reach[row]! < safeReach(root.rows)) {
      const own = logsUp(grammar, likelihood.subarray(b * d * v, (b + 1) * d * v))
      logRelative[b] = own.logRelative
      if (own.logRelative === -Infinity) impossible[b] = 1
      else logs.set(b, own.levels)
    } else {
      let sum = 0
      for (let y = 0; y < classes; y++) sum += root.rows[row * classes + y]!
      logRelative[b] = root.scale[row]! + Math.log(sum / classes)
    }
    let units = 0
    for (let i = b * d; i < (b + 1) * d; i++) units += leaves.scale[leaves.index[i]!]!
    logEvidence[b] = impossible[b] ? -Infinity : logRelative[b]! + units
  }
  return { batch, levels, logEvidence, logRelative, impossible, logs }
}
