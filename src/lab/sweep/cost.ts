/** @file What runs will cost: from finished runs of the same experiment, from the experiment's own estimate, or unknown. */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { AnyExperiment, BaseConfig } from '../experiment.ts'
import { isFinished, readSummary } from '../runFolder.ts'
import type { PlannedRun } from './plan.ts'

/** Estimated seconds of each run on one core, and where the numbers come from. */
export interface CostEstimate {
  /** In the order of the runs; null where nothing is known. */
  readonly seconds: readonly (number | null)[]
  /** A phrase for each experiment, such as `digits: from 3 finished runs`. */
  readonly basis: readonly string[]
}

interface Timed {
  readonly config: BaseConfig
  readonly seconds: number
}

const median = (values: readonly number[]): number => {
  const sorted = [...values].sort((a, b) => a - b)
  const half = sorted.length >> 1
  return sorted.length % 2 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2
}

/** Reading summaries takes time, and this many tell as much as all. */
const mostTimed = 500

/** Timings of the finished runs of an experiment below `root`, in core seconds. Damaged ones are passed over. */
function timedRuns(root: string, { name, version }: AnyExperiment): Timed[] {
  const folder = join(root, name)
  if (!existsSync(folder)) return []
  return readdirSync(folder)
    .sort()
    .map((child) => join(folder, child))
    .filter(isFinished)
    .slice(0, mostTimed)
    .flatMap((child) => {
      try {
        const { config, timing, version: made } = readSummary(child)
        return made === version ? [{ config, seconds: timing.seconds * timing.threads }] : []
      } catch {
        return []
      }
    })
}

const usable = (value: number | undefined): value is number =>
  value !== undefined && Number.isFinite(value) && value > 0

/** One experiment's estimator, with the phrase that says what it stands on. */
function estimator(
  root: string,
  experiment: AnyExperiment,
): { basis: string; estimate: (config: BaseConfig) => number | null } {
  const { name, cost } = experiment
  const timed = timedRuns(root, experiment)
  const from = `${timed.length} finished run${timed.length === 1 ? '' : 's'}`
  const own = (config: BaseConfig): number | null => {
    const value = cost?.(config)
    return usable(value) ? value : null
  }
  if (!cost) {
    if (timed.length === 0) return { basis: `${name}: unknown, no run is finished yet`, estimate: () => null }
    const typical = median(timed.map(({ seconds }) => seconds))
    return { basis: `${name}: the median of ${from}`, estimate: () => typical }
  }
  const ratios = timed.flatMap(({ config, seconds }) => {
    const expected = own(config)
    return expected === null ? [] : [seconds / expected]
  })
  if (ratios.length === 0) return { basis: `${name}: the experiment's own estimate`, estimate: own }
  const scale = median(ratios)
  return {
    basis: `${name}: the experiment's own estimate, scaled by ${from}`,
    estimate: (config) => {
      const value = own(config)
      return value === null ? null : value * scale
    },
  }
}

/** Estimate what each of the runs would cost from the beginning. */
export function estimateCosts(
  runs: readonly Pick<PlannedRun, 'experiment' | 'config'>[],
  root: string,
): CostEstimate {
  const estimators = new Map<AnyExperiment, ReturnType<typeof estimator>>()
  const seconds = runs.map(({ experiment, config }) => {
    const known = estimators.get(experiment) ?? estimator(root, experiment)
    estimators.set(experiment, known)
    return known.estimate(config)
  })
  return { seconds, basis: [...estimators.values()].map(({ basis }) => basis) }
}

/** Wall time of jobs on `parallel` places: the work shared out, but never less than the longest job. */
export const wallSeconds = (seconds: readonly number[], parallel: number): number =>
  Math.max(0, ...seconds, seconds.reduce((sum, value) => sum + value, 0) / parallel)

/** Weights of the runs for progress: their cost where known, the mean of the known for the others, else all alike. */
export function weights({ seconds }: CostEstimate): number[] {
  const known = seconds.filter(usable as (value: number | null) => value is number)
  const mean = known.length > 0 ? known.reduce((sum, value) => sum + value, 0) / known.length : 1
  return seconds.map((value) => (value !== null && value > 0 ? value : mean))
}
