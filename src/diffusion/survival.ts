/**
 * @file What survives a round trip through noise, by exact inference: the posterior probability of the true symbol at the
 * nodes of each level, averaged over trees. (Sclocchi et al. 2025)
 */
import { type Grammar, inferUp, marginals, sampleTrees, type Trees } from '../grammar/index.ts'
import { random } from '../tensor/index.ts'
import { type Channel, leafEvidence } from './channels.ts'
import { survivalFromMarginals } from './uTurn.ts'

/** Survival at one noise level. */
export interface Survival {
  /** Mean posterior probability of the true symbol at each level, the root first; the root alone when that was asked. */
  readonly levels: number[]
  /** The same for a leaf given its own observation alone. */
  readonly prior: number
}

/** Likelihood entries worked on at once. */
const entriesAtOnce = 2 ** 20

/** Σ over rows of the share that the true symbol has in its row; `rows` [n, width], `truth` [n]. */
function trueShare(rows: Float64Array, truth: Int32Array): number {
  const width = rows.length / truth.length
  let total = 0
  for (let i = 0; i < truth.length; i++) {
    let sum = 0
    for (let a = 0; a < width; a++) sum += rows[i * width + a]!
    if (sum > 0) total += rows[i * width + truth[i]!]! / sum
  }
  return total
}

/** Σ over data of the posterior probability of the true class: classes are equally likely, so U at the root is enough. */
function rootShare(grammar: Grammar, likelihood: Float64Array, truth: Int32Array): number {
  const up = inferUp(grammar, likelihood, truth.length)
  // messages beyond the range of numbers are kept as logarithms, which the general way knows how to read
  if (up.logs.size > 0) return trueShare(marginals(grammar, up)[0]!, truth)
  const { index, rows, width } = up.levels[0]!
  const own = new Float64Array(truth.length * width)
  for (let b = 0; b < truth.length; b++)
    own.set(rows.subarray(index[b]! * width, (index[b]! + 1) * width), b * width)
  return trueShare(own, truth)
}

/**
 * Survival of some trees under one draw of the noise, `noise` = 1 − ᾱ in [0, 1]. With `rootOnly` a single upward pass.
 * Throws what `leafEvidence` throws.
 */
export function survivalOf(
  grammar: Grammar,
  trees: Trees,
  channel: Channel,
  { noise, key, rootOnly = false }: { noise: number; key: random.Key; rootOnly?: boolean },
): Survival {
  const leaves = trees.levels.at(-1)!
  const likelihood = leafEvidence(channel, leaves, { v: grammar.v, noise, key })
  const prior = trueShare(likelihood, leaves) / leaves.length
  if (rootOnly) return { levels: [rootShare(grammar, likelihood, trees.levels[0]!) / trees.count], prior }
  const rows = marginals(grammar, inferUp(grammar, likelihood, trees.count))
  const meanOf = (values: Float64Array): number => values.reduce((sum, x) => sum + x, 0) / values.length
  return { levels: survivalFromMarginals(trees, rows).map(meanOf), prior }
}

/**
 * Survival at each noise level, averaged over `data` trees drawn from a grammar. Every tree has the same draws at all noise
 * levels: what is hidden by little noise is hidden by more, and curves are smooth.
 */
export function survivalCurve(
  grammar: Grammar,
  channel: Channel,
  options: {
    readonly noise: readonly number[]
    readonly data: number
    readonly forTrees: random.Key
    readonly forNoise: random.Key
    readonly rootOnly?: boolean
  },
): Survival[] {
  const { noise, data, forTrees, forNoise, rootOnly = false } = options
  const { d, v, L } = grammar
  const levels = noise.map(() => new Array<number>(rootOnly ? 1 : L + 1).fill(0))
  const prior = noise.map(() => 0)
  const batch = Math.max(1, Math.min(data, Math.floor(entriesAtOnce / (d * v))))
  for (let from = 0; from < data; from += batch) {
    const count = Math.min(batch, data - from)
    const trees = sampleTrees(grammar, random.foldIn(forTrees, from), count)
    const key = random.foldIn(forNoise, from)
    for (const [i, at] of noise.entries()) {
      const found = survivalOf(grammar, trees, channel, { noise: at, key, rootOnly })
      prior[i]! += (found.prior * count) / data
      for (const [level, mean] of found.levels.entries()) levels[i]![level]! += (mean * count) / data
    }
  }
  return noise.map((_, i) => ({ levels: levels[i]!, prior: prior[i]! }))
}
