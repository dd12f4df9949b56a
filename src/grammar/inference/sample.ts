/** @file Exact samples of the posterior: the root from its marginal, then a rule at each node, given its symbol. */
import { fail } from '../../base/index.ts'
import type { random } from '../../tensor/index.ts'
import type { Grammar, Trees } from '../grammar.ts'
import { emptyTrees } from '../sample.ts'
import { probabilitiesAt } from './level.ts'
import { logProbabilities } from './logs.ts'
import type { Upward } from './up.ts'
import { fillWords, sampleKeys } from './words.ts'

/**
 * Cumulative weights of the rules of symbol y at one node, into steps[y·m …]. Weights are p_r Π_i U_i(r_i) in any common
 * unit.
 */
type Weigh = (level: number, node: number, y: number, steps: Float64Array) => void

/** Weights from the messages of datum b. */
function weighRows(grammar: Grammar, up: Upward, b: number): Weigh {
  const { m, s } = grammar
  return (level, node, y, steps) => {
    const rules = grammar.rules[level]!
    const probabilities = probabilitiesAt(grammar, level)
    const { rows, index, width, nodes } = up.levels[level + 1]!
    const first = b * nodes + node * s
    let sum = 0
    for (let r = y * m; r < (y + 1) * m; r++) {
      let product = probabilities ? probabilities[r]! : 1
      for (let i = 0; i < s; i++) product *= rows[index[first + i]! * width + rules[r * s + i]!]!
      steps[r] = sum += product
    }
  }
}

/** Weights from ln messages, in units of the largest. */
function weighLogs(grammar: Grammar, logs: readonly Float64Array[]): Weigh {
  const { m, s, v, L } = grammar
  const priors = Array.from({ length: L }, (_, level) => logProbabilities(grammar, level))
  return (level, node, y, steps) => {
    const rules = grammar.rules[level]!
    let max = -Infinity
    for (let r = y * m; r < (y + 1) * m; r++) {
      let term = priors[level]![r]!
      for (let i = 0; i < s; i++) term += logs[level + 1]![(node * s + i) * v + rules[r * s + i]!]!
      steps[r] = term
      if (term > max) max = term
    }
    let sum = 0
    for (let r = y * m; r < (y + 1) * m; r++) steps[r] = sum += Math.exp(steps[r]! - max)
  }
}

/** The first place whose cumulative weight exceeds word/2^32 of the total; a place of weight 0 is never chosen. */
function choose(steps: Float64Array, from: number, n: number, word: number): number {
  const x = word * 2 ** -32 * steps[from + n - 1]!
  let k = 0
  while (x >= steps[from + k]!) k++
  return k
}

/** Cumulative posterior weights of the classes. */
function rootSteps({ classes }: Grammar, up: Upward, b: number): Float64Array {
  const logs = up.logs.get(b)
  const { rows, index } = up.levels[0]!
  const max = logs ? Math.max(...logs[0]!) : 0
  let sum = 0
  return Float64Array.from({ length: classes }, (_, y) => {
    sum += logs ? Math.exp(logs[0]![y]! - max) : rows[index[b]! * classes + y]!
    return sum
  })
}

/** Samples of one datum, node by node: all samples of a node share the weights of its rules, made when first needed. */
function sampleDatum(grammar: Grammar, up: Upward, b: number, keys: Int32Array, trees: Trees): void {
  const { L, m, s, v, classes } = grammar
  const samples = keys.length >> 1
  const logs = up.logs.get(b)
  const weigh = logs ? weighLogs(grammar, logs) : weighRows(grammar, up, b)
  const words = new Uint32Array(2 * samples)
  const steps = new Float64Array(Math.max(classes, v) * m)
  const made = new Int32Array(Math.max(classes, v))
  const first = b * samples
  const root = rootSteps(grammar, up, b)
  fillWords(keys, 0, words)
  for (let t = 0; t < samples; t++) trees.levels[0]![first + t] = choose(root, 0, classes, words[t]!)
  let word = 1
  for (let level = 0; level < L; level++) {
    const nodes = s ** level
    const above = trees.levels[level]!
    const below = trees.levels[level + 1]!
    const rules = grammar.rules[level]!
    for (let node = 0; node < nodes; node++, word++) {
      if (word % 2 === 0) fillWords(keys, word >> 1, words)
      for (let t = 0; t < samples; t++) {
        const at = (first + t) * nodes + node
        const y = above[at]!
        if (made[y] !== word) {
          made[y] = word
          weigh(level, node, y, steps)
        }
        const r = y * m + choose(steps, y * m, m, words[(word % 2) * samples + t]!)
        for (let i = 0; i < s; i++) below[at * s + i] = rules[r * s + i]!
      }
    }
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
  for (let b = 0; b < up.batch; b++)
    if (up.impossible[b])
      for (const [level, symbols] of trees.levels.entries()) {
        const size = samples * grammar.s ** level
        symbols.fill(-1, b * size, (b + 1) * size)
      }
    else if (samples > 0) sampleDatum(grammar, up, b, sampleKeys(key, first + b, 0, samples), trees)
  return trees
}
