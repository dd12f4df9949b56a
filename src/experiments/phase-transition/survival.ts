/** @file The unit of work: how much of every level survives a round trip through noise, for one grammar. Pure data in and out. */
import {
  type Channel,
  type ChannelName,
  findChannel,
  leafEvidence,
  survivalFromMarginals,
} from '../../diffusion/index.ts'
import {
  type Grammar,
  inferUp,
  makeGrammar,
  marginals,
  sampleTrees,
  type Trees,
} from '../../grammar/index.ts'
import { mean } from '../../lab/index.ts'
import { random } from '../../tensor/index.ts'

/** One grammar at one depth under one noise process, at several noise levels. */
export interface SurvivalJob {
  readonly seed: number
  readonly v: number
  readonly m: number
  readonly s: number
  /** Levels of rules of this grammar: the lowest of the `tallest` ones that its number stands for. */
  readonly depth: number
  readonly tallest: number
  /** Number of the grammar: the same number gives the same rules at every depth. */
  readonly grammar: number
  /** Trees, and draws of the noise, averaged over. */
  readonly data: number
  readonly channel: ChannelName
  /** 1 − ᾱ (ε in the ε-process), each in [0, 1]. */
  readonly noise: readonly number[]
  /** Only the root and the leaves' initial belief: one upward pass instead of two. */
  readonly rootOnly: boolean
}

/** Mean posterior probability of the true symbol, for each noise level of the job. */
export interface Survival {
  /** [noise][level], root first; the root alone when that was asked. */
  readonly levels: number[][]
  /** Of a leaf given its own observation alone. */
  readonly prior: number[]
}

/** `measureSurvival` as worker threads find it. */
export const task = { module: import.meta.url, name: 'measureSurvival' }

/** Likelihood entries worked on at once. */
const entriesAtOnce = 2 ** 20

/** The grammar made of the lowest `depth` tables of another: what its subtrees of that height are drawn from. */
export const lowestLevels = (grammar: Grammar, depth: number): Grammar => ({
  ...grammar,
  classes: depth === grammar.L ? grammar.classes : grammar.v,
  L: depth,
  d: grammar.s ** depth,
  rules: grammar.rules.slice(grammar.L - depth),
})

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
 * Survival of trees under one draw of the noise: for each level (or the root alone) the mean posterior probability of the
 * true symbols, and for leaves the same given their own observation alone. Throws what `leafEvidence` throws.
 */
export function survivalOf(
  grammar: Grammar,
  trees: Trees,
  channel: Channel,
  { noise, key, rootOnly = false }: { noise: number; key: random.Key; rootOnly?: boolean },
): { levels: number[]; prior: number } {
  const leaves = trees.levels.at(-1)!
  const likelihood = leafEvidence(channel, leaves, { v: grammar.v, noise, key })
  const prior = trueShare(likelihood, leaves) / leaves.length
  if (rootOnly) return { levels: [rootShare(grammar, likelihood, trees.levels[0]!) / trees.count], prior }
  const rows = marginals(grammar, inferUp(grammar, likelihood, trees.count))
  return { levels: survivalFromMarginals(trees, rows).map((ofData) => mean([...ofData])), prior }
}

/**
 * Survival of every level for one grammar. All randomness comes from the job: rules from seed and number, trees also from
 * the depth, and so does the noise.
 */
export function measureSurvival(job: SurvivalJob): Survival {
  const { v, m, s, depth, tallest, data, rootOnly } = job
  const [forRules, forTrees, forNoise] = random.split(
    random.foldIn(random.key(job.seed), job.grammar),
    3,
  ) as [random.Key, random.Key, random.Key]
  const grammar = lowestLevels(makeGrammar({ v, classes: v, m, s, L: tallest }, forRules), depth)
  const channel = findChannel(job.channel)
  const levels = job.noise.map(() => new Array<number>(rootOnly ? 1 : depth + 1).fill(0))
  const prior = job.noise.map(() => 0)
  const batch = Math.max(1, Math.min(data, Math.floor(entriesAtOnce / (grammar.d * v))))
  for (let from = 0; from < data; from += batch) {
    const count = Math.min(batch, data - from)
    const trees = sampleTrees(grammar, random.foldIn(random.foldIn(forTrees, depth), from), count)
    // the same draws at every noise level: what is hidden by little noise is hidden by more, and curves are smooth
    const key = random.foldIn(random.foldIn(forNoise, depth), from)
    for (const [i, noise] of job.noise.entries()) {
      const found = survivalOf(grammar, trees, channel, { noise, key, rootOnly })
      prior[i]! += (found.prior * count) / data
      for (const [level, mean] of found.levels.entries()) levels[i]![level]! += (mean * count) / data
    }
  }
  return { levels, prior }
}
