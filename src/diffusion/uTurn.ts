/**
 * @file Forward–backward experiments: noise up to a level, then back to clean by one exact sample of the posterior, which has
 * the distribution of the whole reverse process; and what survived at each level of the tree.
 */
import { fail } from '../base/index.ts'
import { emptyTrees, type Grammar, inferUp, samplePosterior, type Trees } from '../grammar/index.ts'
import { random } from '../tensor/index.ts'
import { type Channel, leafEvidence } from './channels.ts'

/** How to turn. */
export interface TurnOptions {
  /** Noise level 1 − ᾱ at which the process turns. */
  readonly noise: number
  /** Trajectories of each datum; each draws its own noise where the channel is random. */
  readonly samples: number
  readonly key: random.Key
}

/** Data or trajectories inferred at once: enough to share the work of equal subtrees, few enough for the memory. */
const together = 32

/** Write the trees of `part` into `whole` from tree `at` on. */
function copyTrees(part: Trees, whole: Trees, at: number): void {
  for (const [level, symbols] of part.levels.entries())
    whole.levels[level]!.set(symbols, at * (symbols.length / part.count))
}

/**
 * Round trips of every datum: x_0 → x_t → x̂_0 ~ p(x_0 | x_t), exact (Sclocchi et al. 2025, section 2). `leaves` [B, d] are
 * strings of the grammar; the result holds B·samples trees, datum-major. Throws TL_BAD_ARGUMENT for a noise level outside
 * [0, 1], samples < 1, or leaves that are no whole number of strings.
 */
export function uTurn(
  grammar: Grammar,
  channel: Channel,
  leaves: Int32Array,
  { noise, samples, key }: TurnOptions,
): Trees {
  const { d, v } = grammar
  const count = leaves.length / d
  if (!Number.isInteger(count))
    fail(
      'TL_BAD_ARGUMENT',
      `leaves: expected a whole number of strings of ${d} symbols, got ${leaves.length}`,
    )
  if (!(Number.isSafeInteger(samples) && samples >= 1))
    fail('TL_BAD_ARGUMENT', `samples: expected a whole number ≥ 1, got ${samples}`)
  const [forNoise, forSample] = random.split(key)
  const trees = emptyTrees(grammar, count * samples)
  if (!channel.random) {
    for (let from = 0; from < count; from += together) {
      const size = Math.min(together, count - from)
      const data = leaves.subarray(from * d, (from + size) * d)
      const up = inferUp(grammar, leafEvidence(channel, data, { v, noise, key: forNoise }), size)
      copyTrees(samplePosterior(grammar, up, forSample, samples, from), trees, from * samples)
    }
    return trees
  }
  for (let b = 0; b < count; b++)
    for (let from = 0; from < samples; from += together) {
      const size = Math.min(together, samples - from)
      const copies = new Int32Array(size * d)
      for (let k = 0; k < size; k++) copies.set(leaves.subarray(b * d, (b + 1) * d), k * d)
      const at = b * samples + from
      const evidence = leafEvidence(channel, copies, { v, noise, key: random.foldIn(forNoise, at) })
      const up = inferUp(grammar, evidence, size)
      copyTrees(samplePosterior(grammar, up, forSample, 1, at), trees, at)
    }
  return trees
}

/**
 * Survival by level, for each datum: the mean over nodes of the posterior probability of the true symbol. `marginals` are
 * those of `grammar.marginals`, levels 0 (root) … L, each [B, nodes, symbols]. Result: levels, each [B].
 */
export function survivalFromMarginals(truth: Trees, marginals: readonly Float64Array[]): Float64Array[] {
  return truth.levels.map((symbols, level) => {
    const probabilities = marginals[level]!
    const nodes = symbols.length / truth.count
    const width = probabilities.length / symbols.length
    return Float64Array.from({ length: truth.count }, (_, b) => {
      let sum = 0
      for (let n = b * nodes; n < (b + 1) * nodes; n++) sum += probabilities[n * width + symbols[n]!]!
      return sum / nodes
    })
  })
}

/**
 * The same from round trips: the share of nodes whose symbol is that of the datum. `samples` hold the same number of trees
 * for each datum, datum-major. Result: levels 0 (root) … L, each [B].
 */
export function survivalFromSamples(truth: Trees, samples: Trees): Float64Array[] {
  const each = samples.count / truth.count
  if (!Number.isInteger(each))
    fail(
      'TL_BAD_ARGUMENT',
      `samples: expected the same number for each of ${truth.count} data, got ${samples.count}`,
    )
  return truth.levels.map((symbols, level) => {
    const drawn = samples.levels[level]!
    const nodes = symbols.length / truth.count
    return Float64Array.from({ length: truth.count }, (_, b) => {
      let same = 0
      for (let k = b * each; k < (b + 1) * each; k++)
        for (let n = 0; n < nodes; n++) if (drawn[k * nodes + n] === symbols[b * nodes + n]) same++
      return same / (each * nodes)
    })
  })
}
