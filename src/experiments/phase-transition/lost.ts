/** @file Too many synonyms, s·f > 1: no transition, every level of depth loses more of the class at any noise. */
import { beliefs, branchingRatio, upwardSlope } from '../../grammar/index.ts'
import { type Config, moreTrees, rising } from './config.ts'
import { type Estimate, jackknife, meanOver, passes } from './curves.ts'
import type { Ask } from './rounds.ts'
import type { Survival, SurvivalJob } from './survival.ts'

export interface LostPhase {
  m: number
  /** s·f. */
  ratio: number
  depths: number[]
  noise: number[]
  /** Mean posterior probability of the true class: [depth][noise]. */
  root: number[][]
  /** The noise at which it is halfway between 1 and chance, for each depth. */
  half: Estimate[]
  /** The same in the mean-field theory. */
  halfTheory: (number | null)[]
  /** The factor by which `half` changes with each level. */
  shrink: Estimate
  /** The same in the theory at these depths, and 1/F′(1) as L → ∞. */
  shrinkTheory: number | null
  shrinkLimit: number
}

/** Noise levels, closer and closer towards 0. */
const noise = Array.from({ length: 25 }, (_, i) => Math.round(1e6 * 0.9 * 0.86 ** (24 - i)) / 1e6)

/** Measure how the noise that destroys half of the class falls with depth. Null where m is too large for the grammar. */
export async function measureLost(
  config: Config,
  ask: Ask<SurvivalJob, Survival>,
): Promise<LostPhase | null> {
  const { v, s } = config.grammar
  const { m, grammars, data } = config.lost
  if (m * v > v ** s) return null
  const depths = rising(config.depths)
  const tallest = depths.at(-1)!
  const results = await ask(
    [...depths].reverse().flatMap((depth) =>
      Array.from(
        { length: grammars },
        (_, grammar): SurvivalJob => ({
          seed: config.seed,
          v,
          m,
          s,
          depth,
          tallest,
          grammar,
          data: data * moreTrees(s, depth, tallest),
          channel: 'epsilon',
          noise,
          rootOnly: true,
        }),
      ),
    ),
  )
  // [grammar][depth][noise]
  const curves = Array.from({ length: grammars }, (_, g) =>
    depths.map((_, d) => {
      const deepestFirst = depths.length - 1 - d
      return results[deepestFirst * grammars + g]!.levels.map(([root]) => root!)
    }),
  )
  const halfway = (1 + 1 / v) / 2
  const halfOf = (some: readonly (readonly number[][])[], d: number) =>
    passes(noise, meanOver(some.map((depthCurves) => depthCurves[d]!)), halfway)
  const shrinkOf = (first: number | null, last: number | null) =>
    first === null || last === null ? null : (last / first) ** (1 / (tallest - depths[0]!))
  const theory = depths.map((L) => {
    const shape = { v, classes: v, m, s, L }
    return passes(
      noise,
      noise.map((eps) => beliefs(shape, eps).up.at(-1)!),
      halfway,
    )
  })
  const shape = { v, classes: v, m, s, L: tallest }
  return {
    m,
    ratio: branchingRatio(shape),
    depths,
    noise,
    root: depths.map((_, d) => meanOver(curves.map((depthCurves) => depthCurves[d]!))),
    half: depths.map((_, d) => jackknife(curves, (some) => halfOf(some, d))),
    halfTheory: theory,
    shrink: jackknife(curves, (some) => shrinkOf(halfOf(some, 0), halfOf(some, depths.length - 1))),
    shrinkTheory: shrinkOf(theory[0]!, theory.at(-1)!),
    shrinkLimit: 1 / upwardSlope(shape, 1),
  }
}
