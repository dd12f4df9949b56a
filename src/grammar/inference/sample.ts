/** @file Exact samples of the posterior: the root from its marginal, then a rule at each node, given its symbol. */
import { fail } from '../../base/index.ts'
import type { random } from '../../tensor/index.ts'
import type { Grammar, Trees } from '../grammar.ts'
import { emptyTrees } from '../sample.ts'
import { choose, type Drawing, drawingFor } from './draw.ts'
import type { Upward } from './up.ts'
import { rootBars, weighFor } from './weigh.ts'
import { sampleKeys } from './words.ts'

/** Samples drawn side by side: enough to share weights, few enough for their symbols to stay near the processor. */
const mostTogether = 64

/** Symbols [nodes, samples] into trees [samples, nodes] beginning at tree `first`. */
function transpose(
  symbols: Int32Array,
  nodes: number,
  samples: number,
  out: Int32Array,
  first: number,
  used: number,
): void {
  for (let t = 0; t < used; t++) {
    const at = (first + t) * nodes
    let from = t
    for (let n = 0; n < nodes; n++) {
      out[at + n] = symbols[from]!
      from += samples
    }
  }
}

/**
 * Some samples of one datum, level by level and node by node: all of them share the weights of a node's rules, which are made
 * for the symbols that occur. Word 0 of a sample chooses its root, word 1 + n the rule of its n-th node from the top.
 */
function sampleTogether(
  grammar: Grammar,
  up: Upward,
  b: number,
  drawing: Drawing,
  samples: number,
  trees: Trees,
  first: number,
  used: number,
): void {
  const { L, s } = grammar
  const { bars, symbols, words } = drawing
  const weigh = weighFor(grammar, up, b)
  const root = rootBars(grammar, up, b)
  const made = new Int32Array(Math.max(grammar.v, grammar.classes))
  let turn = L % 2
  drawing.fill(0)
  for (let t = 0; t < samples; t++) symbols[turn]![t] = choose(root, 0, root.length, words[t]!)
  transpose(symbols[turn]!, 1, samples, trees.levels[0]!, first, used)
  let word = 1
  for (let level = 0; level < L; level++) {
    const nodes = s ** level
    const above = symbols[turn]!
    for (let node = 0; node < nodes; node++, word++) {
      if (word % 2 === 0) drawing.fill(word >> 1)
      for (let t = node * samples; t < (node + 1) * samples; t++) {
        const y = above[t]!
        if (made[y] === word) continue
        made[y] = word
        weigh(level, node, y, bars)
      }
      drawing.draw(level, turn, node, word % 2)
    }
    turn = 1 - turn
    transpose(symbols[turn]!, nodes * s, samples, trees.levels[level + 1]!, first, used)
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
  // groups of equal size; what the last one draws too much is left out
  const together = Math.ceil(samples / Math.ceil(samples / mostTogether)) || 0
  const drawing = drawingFor(grammar, together)
  for (let b = 0; b < up.batch; b++)
    if (up.impossible[b])
      for (const [level, symbols] of trees.levels.entries()) {
        const size = samples * grammar.s ** level
        symbols.fill(-1, b * size, (b + 1) * size)
      }
    else
      for (let start = 0; start < samples; start += together) {
        drawing.setKeys(sampleKeys(key, first + b, start, together))
        const used = Math.min(together, samples - start)
        sampleTogether(grammar, up, b, drawing, together, trees, b * samples + start, used)
      }
  return trees
}
