/** @file The downward pass: posterior marginals of every node. */
import { type Grammar, parentsAt } from '../grammar.ts'
import { type Floats, type Level, probabilitiesAt } from './level.ts'
import { logsMarginals } from './logs.ts'
import type { Upward } from './up.ts'

/**
 * Add what one node of one datum says of its children: D_i(x) = Σ_y D(y) Σ_{r of y: r_i = x} p_r Π_{j≠i} U_j(r_j). The
 * product leaves child i out explicitly (no division), so that zeros of U are harmless.
 */
function spread(
  { m, s, v }: Grammar,
  rules: Int32Array,
  probabilities: Float64Array | undefined,
  above: Float64Array,
  rows: Floats,
  from: Int32Array,
  out: Float64Array,
): void {
  for (let y = 0; y < above.length; y++) {
    const here = above[y]!
    if (here === 0) continue
    for (let r = y * m; r < (y + 1) * m; r++) {
      const weight = probabilities ? here * probabilities[r]! : here
      for (let i = 0; i < s; i++) {
        let product = weight
        for (let j = 0; j < s; j++) if (j !== i) product *= rows[from[j]! + rules[r * s + j]!]!
        out[i * v + rules[r * s + i]!]! += product
      }
    }
  }
}

/** Scale numbers at `from` so that the largest is 1. */
function scaleToOne(values: Float64Array, from: number, n: number): void {
  let max = 0
  for (let i = from; i < from + n; i++) if (values[i]! > max) max = values[i]!
  if (max > 0) for (let i = from; i < from + n; i++) values[i]! /= max
}

/** Write the normalised product of a node's messages from below and from above. */
function writePosterior(
  { rows, width }: Level,
  row: number,
  above: Float64Array,
  from: number,
  out: Float64Array,
  at: number,
): void {
  let sum = 0
  for (let y = 0; y < width; y++) sum += out[at + y] = rows[row * width + y]! * above[from + y]!
  for (let y = 0; y < width; y++) out[at + y]! /= sum
}

/** Marginals of one datum, into `out` at every level. */
function datumMarginals(grammar: Grammar, up: Upward, b: number, out: readonly Float64Array[]): void {
  const { L, s, v } = grammar
  const from = new Int32Array(s)
  let above = new Float64Array(up.levels[0]!.width).fill(1)
  for (let level = 0; ; level++) {
    const here = up.levels[level]!
    const { nodes, width } = here
    for (let n = 0; n < nodes; n++) {
      const node = b * nodes + n
      writePosterior(here, here.index[node]!, above, n * width, out[level]!, node * width)
    }
    if (level === L) return
    const below = up.levels[level + 1]!
    const next = new Float64Array(below.nodes * v)
    for (let n = 0; n < nodes; n++) {
      for (let i = 0; i < s; i++) from[i] = below.index[(b * nodes + n) * s + i]! * v
      spread(
        grammar,
        grammar.rules[level]!,
        probabilitiesAt(grammar, level),
        above.subarray(n * width, (n + 1) * width),
        below.rows,
        from,
        next.subarray(n * s * v, (n + 1) * s * v),
      )
      for (let i = 0; i < s; i++) scaleToOne(next, (n * s + i) * v, v)
    }
    above = next
  }
}

/**
 * Posterior probability of each symbol at each node, given all the evidence: levels 0 (root) … L (leaves), each [batch,
 * nodes, symbols], rows summing to 1. Rows of an impossible datum are all 0.
 */
export function marginals(grammar: Grammar, up: Upward): Float64Array[] {
  const { s, L } = grammar
  const out = Array.from(
    { length: L + 1 },
    (_, level) =>
      new Float64Array(up.batch * s ** level * (level < L ? parentsAt(grammar, level) : grammar.v)),
  )
  for (let b = 0; b < up.batch; b++) {
    if (up.impossible[b]) continue
    const logs = up.logs.get(b)
    if (!logs) datumMarginals(grammar, up, b, out)
    else
      for (const [level, rows] of logsMarginals(grammar, logs).entries())
        out[level]!.set(rows, b * rows.length)
  }
  return out
}
