/** @file Exact samples of the posterior: the root from its marginal, then a rule at each node, given its symbol. */
import { fail } from '../../base/index.ts'
import type { random } from '../../tensor/index.ts'
import type { Grammar, Trees } from '../grammar.ts'
import { emptyTrees } from '../sample.ts'
import { plainSampler, type Sampler } from './draw.ts'
import { pairSampler } from './drawPairs.ts'
import type { Upward } from './up.ts'
import { sampleKeys } from './words.ts'

/** Samples drawn side by side: enough to share weights, few enough for their symbols to stay near the processor. */
const mostTogether = 64

/** Data whose messages are put next to each other for the fast loops. */
const dataTogether = 32

/** Lay symbols [samples, nodes] of every level into the trees from number `first` on, the first `used` samples of them. */
function keep(
  levels: readonly Int32Array[],
  trees: Trees,
  first: number,
  used: number,
  samples: number,
): void {
  for (const [level, symbols] of levels.entries()) {
    const nodes = symbols.length / samples
    const own = used === samples ? symbols : symbols.subarray(0, used * nodes)
    trees.levels[level]!.set(own, first * nodes)
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
  if (together === 0) return trees
  const plain = plainSampler(grammar, up, together)
  let fast: Sampler | undefined
  for (let b = 0; b < up.batch; b++) {
    if (b % dataTogether === 0)
      fast = pairSampler(grammar, up, b, Math.min(b + dataTogether, up.batch), together)
    if (up.impossible[b]) {
      for (const [level, symbols] of trees.levels.entries()) {
        const size = samples * grammar.s ** level
        symbols.fill(-1, b * size, (b + 1) * size)
      }
      continue
    }
    // messages kept as logarithms are for the plain loops
    const sampler = fast && !up.logs.has(b) ? fast : plain
    for (let start = 0; start < samples; start += together) {
      sampler.draw(b, sampleKeys(key, first + b, start, together))
      keep(sampler.levels, trees, b * samples + start, Math.min(together, samples - start), together)
    }
  }
  return trees
}
