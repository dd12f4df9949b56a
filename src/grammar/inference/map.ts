/** @file The most probable tree given the evidence: max-product with logarithms, which cannot run out of range. */
import { type Grammar, parentsAt, type Trees } from '../grammar.ts'
import { emptyTrees } from '../sample.ts'
import { logProbabilities } from './logs.ts'
import type { Upward } from './up.ts'

/** The most probable trees of a batch, and ln of their posterior probabilities. */
export interface MapTrees {
  readonly trees: Trees
  /** [batch], at most 0; −Infinity for impossible data. */
  readonly logPosterior: Float64Array
}

/** Best ln joint of each symbol at each node, and the rule that gives it. */
interface Best {
  readonly values: Float64Array
  readonly rule: Int32Array
}

/** The best rule of every symbol at every node of a level; of equals the one with the lowest number. */
function bestRules(grammar: Grammar, level: number, priors: Float64Array, below: Float64Array): Best {
  const { m, s, v } = grammar
  const width = parentsAt(grammar, level)
  const nodes = s ** level
  const rules = grammar.rules[level]!
  const values = new Float64Array(nodes * width).fill(-Infinity)
  const rule = new Int32Array(nodes * width)
  for (let n = 0; n < nodes; n++)
    for (let y = 0; y < width; y++) {
      const at = n * width + y
      rule[at] = y * m
      for (let r = y * m; r < (y + 1) * m; r++) {
        let term = priors[r]!
        for (let i = 0; i < s; i++) term += below[(n * s + i) * v + rules[r * s + i]!]!
        if (term > values[at]!) {
          values[at] = term
          rule[at] = r
        }
      }
    }
  return { values, rule }
}

/** ln of the leaf messages of a datum, [d, v], in the units of `logRelative`. */
function leafLogs({ L, d, v }: Grammar, up: Upward, logRows: Float64Array, b: number): Float64Array {
  const kept = up.logs.get(b)
  if (kept) return kept[L]!
  const { index } = up.levels[L]!
  const out = new Float64Array(d * v)
  for (let i = 0; i < d; i++) {
    const from = index[b * d + i]! * v
    out.set(logRows.subarray(from, from + v), i * v)
  }
  return out
}

/**
 * The most probable tree of each datum. Of equally probable ones the lowest class is taken, then at each node the lowest rule
 * number (equal as computed: ln joints that round alike). Symbols of an impossible datum are −1.
 */
export function mapTree(grammar: Grammar, up: Upward): MapTrees {
  const { L, s, classes } = grammar
  const trees = emptyTrees(grammar, up.batch)
  const logPosterior = new Float64Array(up.batch).fill(-Infinity)
  const logRows = Float64Array.from(up.levels[L]!.rows, Math.log)
  const priors = Array.from({ length: L }, (_, level) => logProbabilities(grammar, level))
  for (let b = 0; b < up.batch; b++) {
    if (up.impossible[b]) {
      for (const [level, symbols] of trees.levels.entries())
        symbols.fill(-1, b * s ** level, (b + 1) * s ** level)
      continue
    }
    const best: Best[] = []
    let values = leafLogs(grammar, up, logRows, b)
    for (let level = L - 1; level >= 0; level--) {
      best[level] = bestRules(grammar, level, priors[level]!, values)
      values = best[level]!.values
    }
    let root = 0
    for (let y = 1; y < classes; y++) if (values[y]! > values[root]!) root = y
    trees.levels[0]![b] = root
    const logJoint = values[root]! - Math.log(classes)
    logPosterior[b] = Math.min(0, logJoint - up.logRelative[b]!)
    for (let level = 0; level < L; level++) {
      const nodes = s ** level
      const width = parentsAt(grammar, level)
      for (let n = 0; n < nodes; n++) {
        const r = best[level]!.rule[n * width + trees.levels[level]![b * nodes + n]!]!
        for (let i = 0; i < s; i++)
          trees.levels[level + 1]![(b * nodes + n) * s + i] = grammar.rules[level]![r * s + i]!
      }
    }
  }
  return { trees, logPosterior }
}
