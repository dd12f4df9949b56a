/** @file The noise at which the class is lost, measured for several grammars without any theory, beside the closed form. */
import { epsStar, type Shape } from '../../grammar/index.ts'
import { type Config, moreTrees } from './config.ts'
import { crossing, type Estimate, evenly, jackknife, meanOver } from './curves.ts'
import type { Ask } from './rounds.ts'
import type { Survival, SurvivalJob } from './survival.ts'

/** The threshold of one [v, m, s]. */
export interface Threshold {
  v: number
  m: number
  s: number
  /** The two depths whose root curves cross. */
  depths: [shallow: number, deep: number]
  measured: Estimate
  /** ε* of the closed form (s = 2) or of the polynomial's root; null without a transition. */
  theory: number | null
}

const coarse = evenly(0, 1, 21)
/** Around the coarse crossing. */
const reach = 0.08
const finePoints = 13

/** Depth of trees with about `leaves` leaves, and the shallower depth they are compared with. */
export function depthPair(s: number, leaves: number): [number, number] {
  const deep = Math.max(2, Math.round(Math.log(leaves) / Math.log(s)))
  return [Math.max(1, Math.round(0.4 * deep)), deep]
}

/**
 * Below the transition a deeper tree knows its class better than a shallow one, above it worse: their root curves cross at
 * the transition. In the mean-field theory all depths cross at exactly (ε*, p*), for p* is the map's fixed point; the steep
 * curve of the deep tree makes the place insensitive to what a finite depth does to the shallow one.
 */
export async function measureThreshold(
  { seed, thresholds: { leaves, grammars, data } }: Config,
  [v, m, s]: readonly [number, number, number],
  ask: Ask<SurvivalJob, Survival>,
): Promise<Threshold> {
  const depths = depthPair(s, leaves)
  const tallest = depths[1]
  const look = async (noise: number[], count: number, trees: number) => {
    const jobs = [...depths].reverse().flatMap((depth) =>
      Array.from({ length: count }, (_, grammar): SurvivalJob => {
        const more = trees * moreTrees(s, depth, tallest)
        return {
          seed,
          v,
          m,
          s,
          depth,
          tallest,
          grammar,
          data: more,
          channel: 'epsilon',
          noise,
          rootOnly: true,
        }
      }),
    )
    const results = await ask(jobs)
    const roots = results.map(({ levels }) => levels.map(([root]) => root!))
    return Array.from({ length: count }, (_, g) => ({ deep: roots[g]!, shallow: roots[count + g]! }))
  }
  const estimate = (noise: number[], curves: readonly { deep: number[]; shallow: number[] }[]) =>
    crossing(noise, meanOver(curves.map(({ deep }) => deep)), meanOver(curves.map(({ shallow }) => shallow)))

  const theory = epsStar({ v, classes: v, m, s, L: 1 } satisfies Shape) ?? null
  const few = Math.min(4, grammars)
  const about = estimate(coarse, await look(coarse, few, Math.min(2, data)))
  if (about === null) return { v, m, s, depths, measured: { value: null, error: null }, theory }
  const noise = evenly(Math.max(0, about - reach), Math.min(1, about + reach), finePoints)
  const curves = await look(noise, grammars, data)
  return { v, m, s, depths, measured: jackknife(curves, (some) => estimate(noise, some)), theory }
}
