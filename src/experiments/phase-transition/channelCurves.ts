/** @file Survival of every level against noise, for each noise process: root curves sharpen with depth, leaves stay smooth. */
import type { ChannelName } from '../../diffusion/index.ts'
import { beliefs, epsStar, type Shape } from '../../grammar/index.ts'
import { type Config, moreTrees, rising, type Sampling } from './config.ts'
import {
  type Curve,
  crossing,
  curveOf,
  type Estimate,
  evenly,
  fall,
  fallingPart,
  jackknife,
  meanOver,
  merged,
} from './curves.ts'
import type { Ask } from './rounds.ts'
import type { Survival, SurvivalJob } from './survival.ts'

/** What is estimated from curves of one noise process; of mean-field curves the errors are null. */
export interface ChannelEstimates {
  /** Where the root curves of the deepest and the shallowest grammars cross: below it depth helps the class, above it hurts. */
  transition: Estimate
  /** The same for each pair of successive depths. */
  successive: Estimate[]
  /** Where root and leaf curves cross, for each depth. */
  rootLeaf: Estimate[]
  /** The factor by which the root curve falls more steeply with each level, at the transition. */
  rootGrowth: Estimate
  /** The same for leaves. */
  leafGrowth: Estimate
}

export interface ChannelResult extends ChannelEstimates {
  channel: ChannelName
  depths: number[]
  noise: number[]
  /** The part of the axis that was measured closely. */
  range: [number, number]
  /** What a leaf's own observation says of it. */
  prior: Curve
  /** Of each depth. */
  root: Curve[]
  leaf: Curve[]
  /** Of the deepest grammars: the root first. */
  levels: Curve[]
  /** The mean-field theory at the same noise levels; for the ε-process, which it is about. */
  meanField: { root: number[][]; leaf: number[][]; levels: number[][]; estimates: ChannelEstimates } | null
}

/** Root and leaf curves of one grammar (or of the theory) at every depth. */
interface Family {
  root: number[][]
  leaf: number[][]
}

const coarse = evenly(0, 1, 21)

/** Curves of several grammars averaged. */
const averaged = (families: readonly Family[]): Family => ({
  root: families[0]!.root.map((_, d) => meanOver(families.map(({ root }) => root[d]!))),
  leaf: families[0]!.leaf.map((_, d) => meanOver(families.map(({ leaf }) => leaf[d]!))),
})

/** All estimates; `half` is half the width of the secant that measures steepness. */
function estimatesOf(
  families: readonly Family[],
  noise: readonly number[],
  depths: readonly number[],
  half: number,
): ChannelEstimates {
  const estimate = (of: (family: Family) => number | null) =>
    jackknife(families, (some) => of(averaged(some)))
  const transitionOf = ({ root }: Family) => crossing(noise, root.at(-1)!, root[0]!)
  const growthOf = (curves: readonly (readonly number[])[], at: number | null): number | null => {
    if (at === null) return null
    const steepness = curves.map((curve) => fall(noise, curve, at, half))
    const ratio = steepness.at(-1)! / steepness[0]!
    return ratio > 0 ? ratio ** (1 / (depths.at(-1)! - depths[0]!)) : null
  }
  return {
    transition: estimate(transitionOf),
    successive: depths
      .slice(1)
      .map((_, d) => estimate(({ root }) => crossing(noise, root[d + 1]!, root[d]!))),
    rootLeaf: depths.map((_, d) => estimate(({ root, leaf }) => crossing(noise, root[d]!, leaf[d]!))),
    rootGrowth: estimate((family) => growthOf(family.root, transitionOf(family))),
    leafGrowth: estimate((family) => growthOf(family.leaf, transitionOf(family))),
  }
}

function meanFieldOf(
  { grammar: { v, m, s } }: Config,
  noise: readonly number[],
  depths: readonly number[],
  half: number,
): NonNullable<ChannelResult['meanField']> {
  const shapeAt = (L: number): Shape => ({ v, classes: v, m, s, L })
  const marginalsAt = depths.map((L) => noise.map((eps) => beliefs(shapeAt(L), eps).marginal))
  const family: Family = {
    root: marginalsAt.map((curves) => curves.map((heights) => heights.at(-1)!)),
    leaf: marginalsAt.map((curves) => curves.map((heights) => heights[0]!)),
  }
  const deepest = marginalsAt.at(-1)!
  return {
    ...family,
    levels: deepest[0]!.map((_, level, { length }) => deepest.map((heights) => heights[length - 1 - level]!)),
    estimates: {
      ...estimatesOf([family], noise, depths, half),
      transition: { value: epsStar(shapeAt(1)) ?? null, error: null },
    },
  }
}

/** Measure one noise process: a coarse look at where the root falls, then all depths there. */
export async function measureChannel(
  config: Config,
  channel: ChannelName,
  { depths: wanted, grammars, data, points }: Sampling,
  ask: Ask<SurvivalJob, Survival>,
): Promise<ChannelResult> {
  const depths = rising(wanted)
  const tallest = depths.at(-1)!
  const job = { ...config.grammar, seed: config.seed, tallest, channel }
  const looks = await ask(
    Array.from({ length: Math.min(2, grammars) }, (_, grammar) => ({
      ...job,
      depth: tallest,
      grammar,
      data: Math.min(2, data),
      noise: coarse,
      rootOnly: true,
    })),
  )
  const first = meanOver(looks.map(({ levels }) => levels.map(([root]) => root!)))
  const [from, to] = fallingPart(coarse, first, { high: 0.9, low: 0.1 })
  const side = (to - from) / 2
  const range: [number, number] = [Math.max(0, from - side), Math.min(1, to + side)]
  const sides = [...evenly(range[0], from, 3), ...evenly(to, range[1], 3)]
  const noise = merged(evenly(0, 1, 11), [...evenly(from, to, points), ...sides])
  const half = (to - from) / (points - 1)

  const jobs = [...depths].reverse().flatMap((depth) =>
    Array.from({ length: grammars }, (_, grammar) => ({
      ...job,
      depth,
      grammar,
      data: data * moreTrees(config.grammar.s, depth, tallest),
      noise,
      rootOnly: false,
    })),
  )
  const results = await ask(jobs)
  /** Results at a depth, one for each grammar. */
  const at = (depth: number) => results.filter((_, i) => jobs[i]!.depth === depth)
  const level = (depth: number, which: number) =>
    at(depth).map(({ levels }) => levels.map((row) => row.at(which)!))
  const [root, leaf] = [0, -1].map((which) => depths.map((depth) => level(depth, which))) as [
    number[][][],
    number[][][],
  ]
  const families: Family[] = Array.from({ length: grammars }, (_, g) => ({
    root: root.map((curves) => curves[g]!),
    leaf: leaf.map((curves) => curves[g]!),
  }))
  return {
    channel,
    depths,
    noise,
    range,
    prior: curveOf(at(tallest).map(({ prior }) => prior)),
    root: root.map(curveOf),
    leaf: leaf.map(curveOf),
    levels: Array.from({ length: tallest + 1 }, (_, which) => curveOf(level(tallest, which))),
    ...estimatesOf(families, noise, depths, half),
    meanField: channel === 'epsilon' ? meanFieldOf(config, noise, depths, half) : null,
  }
}
