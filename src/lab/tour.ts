/** @file The short preset of everything there is, one after another; what fails does not stop the rest. */
import { availableParallelism } from 'node:os'
import { TreelineError } from '../base/index.ts'
import { composeConfig } from './config.ts'
import { executeRun, isInterruption, type RunOptions, type RunOutcome } from './execute.ts'
import type { AnyExperiment, BaseConfig } from './experiment.ts'
import { estimateCosts, weights } from './sweep/cost.ts'

/** What became of one experiment. */
export interface TourStop {
  readonly experiment: AnyExperiment
  /** Absent when it failed. */
  readonly outcome?: RunOutcome
  /** Why it failed, in one line. */
  readonly error?: string
}

/** How far the whole tour is. */
export interface TourProgress {
  /** Work done, from 0 to 1, by the estimated cost of each experiment. */
  readonly share: number
  readonly secondsLeft: number
}

/** Who listens to a tour, besides to each run. */
export interface TourOptions extends RunOptions {
  /** `tour`, the default: headlines, about 20 s each. `quick`: all that the quick presets show. */
  readonly preset?: 'tour' | 'quick'
  /** Called whenever the tour advances. */
  readonly onOverall?: (progress: TourProgress, detail: string | undefined) => void
  /** Called before an experiment begins. */
  readonly onBegin?: (experiment: AnyExperiment, index: number) => void
  /** Called when it has ended. */
  readonly onEnd?: (stop: TourStop, index: number) => void
}

/** How much of the estimate counts beside the pace that is seen: the first seconds say little. */
const trust = 0.1

/** Shares of a tour, and the time left from its pace so far and from the estimates. */
function overallOf(seconds: readonly number[], threads: number) {
  const total = seconds.reduce((sum, value) => sum + value, 0)
  const begun = performance.now()
  let before = 0
  // what was finished before, or is done at the first word of a run, says nothing about the pace
  let free = 0
  return {
    at(index: number, share: number): TourProgress {
      const done = before + seconds[index]! * Math.min(1, share)
      const elapsed = (performance.now() - begun) / 1000
      const worked = Math.max(0, done - free)
      const pace = (elapsed + (trust * total) / threads) / (worked + trust * total)
      return { share: done / total, secondsLeft: pace * (total - done) }
    },
    /** Work of the running experiment that was done before this process. */
    given(index: number, share: number): void {
      free += seconds[index]! * share
    },
    end(index: number): void {
      before += seconds[index]!
    },
  }
}

/**
 * Run a short preset of each experiment; without one called `tour`, its quick one. Finished ones are skipped, interrupted ones go on. Throws TL_INTERRUPTED when
 * the signal is aborted; any other failure is noted, and the tour goes on.
 */
export async function tour(
  experiments: readonly AnyExperiment[],
  { onBegin, onEnd, onOverall, preset = 'tour', ...options }: TourOptions = {},
): Promise<TourStop[]> {
  const stops: TourStop[] = []
  const root = options.root ?? 'runs'
  const configs = experiments.map((experiment) =>
    composeConfig(experiment, { preset: experiment.presets[preset] ? preset : 'quick' }),
  )
  const costs = estimateCosts(
    experiments.map((experiment, i) => ({ experiment, config: configs[i]! })),
    root,
  )
  const overall = overallOf(weights(costs), options.threads ?? availableParallelism())
  for (const [index, experiment] of experiments.entries()) {
    onBegin?.(experiment, index)
    onOverall?.(overall.at(index, 0), undefined)
    let isFirst = true
    // an experiment of several phases begins at 0 more than once; the tour does not go back
    let furthest = 0
    const stop = await visit(experiment, configs[index]!, {
      ...options,
      root,
      onProgress(step) {
        const share = step.total > 0 ? step.done / step.total : 0
        if (isFirst) overall.given(index, share)
        isFirst = false
        furthest = Math.max(furthest, share)
        onOverall?.(overall.at(index, furthest), step.detail)
        options.onProgress?.(step)
      },
    })
    if (isFirst) overall.given(index, 1)
    overall.end(index)
    stops.push(stop)
    onEnd?.(stop, index)
  }
  return stops
}

async function visit(experiment: AnyExperiment, config: BaseConfig, options: RunOptions): Promise<TourStop> {
  try {
    return { experiment, outcome: await executeRun(experiment, config, options) }
  } catch (error) {
    if (isInterruption(error) || !(error instanceof TreelineError)) throw error
    return { experiment, error: error.message }
  }
}
