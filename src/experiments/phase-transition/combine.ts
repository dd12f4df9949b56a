/** @file Several runs of the same config but for the seed as one: means of curves and estimates, errors added in squares. */

import { mean } from '../../lab/index.ts'
import type { ChannelEstimates, ChannelResult } from './channelCurves.ts'
import { averageCurves, averageEstimates, type Curve, type Estimate } from './curves.ts'
import type { Result } from './measure.ts'

/** Element i of a list of every run, put together. */
const each = <T>(runs: readonly (readonly T[])[], together: (same: readonly T[]) => T): T[] =>
  runs[0]!.map((_, i) => together(runs.map((run) => run[i]!)))

const estimates = (runs: readonly (readonly Estimate[])[]): Estimate[] => each(runs, averageEstimates)

const grids = (runs: readonly (readonly (readonly number[])[])[]): number[][] =>
  each(runs, (rows) => each(rows, mean)) as number[][]

function combineEstimates(runs: readonly ChannelEstimates[]): ChannelEstimates {
  const one = (of: (run: ChannelEstimates) => Estimate) => averageEstimates(runs.map(of))
  return {
    transition: one(({ transition }) => transition),
    successive: estimates(runs.map(({ successive }) => successive)),
    rootLeaf: estimates(runs.map(({ rootLeaf }) => rootLeaf)),
    rootGrowth: one(({ rootGrowth }) => rootGrowth),
    leafGrowth: one(({ leafGrowth }) => leafGrowth),
  }
}

function combineChannels(runs: readonly ChannelResult[]): ChannelResult {
  const first = runs[0]!
  const curve = (of: (run: ChannelResult) => Curve) =>
    averageCurves(runs.map((run) => ({ noise: run.noise, curve: of(run) })))
  return {
    ...first,
    prior: curve(({ prior }) => prior),
    root: first.root.map((_, d) => curve(({ root }) => root[d]!)),
    leaf: first.leaf.map((_, d) => curve(({ leaf }) => leaf[d]!)),
    levels: first.levels.map((_, level) => curve(({ levels }) => levels[level]!)),
    ...combineEstimates(runs),
  }
}

/** The results of runs that differ only in their seeds as one result. */
export function combine(runs: readonly Result[]): Result {
  const first = runs[0]!
  if (runs.length === 1) return first
  const mixtures = runs.map(({ mixture }) => mixture)
  const mixtureCurve = (of: 'mode' | 'coordinate') =>
    averageCurves(mixtures.map((run) => ({ noise: run.time, curve: run[of] })))
  const own = averageEstimates(
    runs.map(({ epsStar, epsStarError }) => ({ value: epsStar, error: epsStarError })),
  )
  return {
    ...first,
    epsStar: own.value,
    epsStarError: own.error,
    thresholds: first.thresholds.map((threshold, i) => ({
      ...threshold,
      measured: averageEstimates(runs.map(({ thresholds }) => thresholds[i]!.measured)),
    })),
    channels: first.channels.map((_, i) => combineChannels(runs.map(({ channels }) => channels[i]!))),
    diagram: first.diagram && {
      ...first.diagram,
      root: grids(runs.map(({ diagram }) => diagram!.root)),
      boundary: estimates(runs.map(({ diagram }) => diagram!.boundary)),
    },
    lost: first.lost && {
      ...first.lost,
      root: grids(runs.map(({ lost }) => lost!.root)),
      half: estimates(runs.map(({ lost }) => lost!.half)),
      shrink: averageEstimates(runs.map(({ lost }) => lost!.shrink)),
    },
    mixture: { ...first.mixture, mode: mixtureCurve('mode'), coordinate: mixtureCurve('coordinate') },
    acceptance: first.acceptance.map((comparison, i) => ({
      ...comparison,
      measured: averageEstimates(runs.map(({ acceptance }) => acceptance[i]!.measured)),
    })),
  }
}
