/** @file The quick preset of everything there is, one after another; what fails does not stop the rest. */
import { TreelineError } from '../base/index.ts'
import { composeConfig } from './config.ts'
import { executeRun, isInterruption, type RunOptions, type RunOutcome } from './execute.ts'
import type { AnyExperiment } from './experiment.ts'

/** What became of one experiment. */
export interface TourStop {
  readonly experiment: AnyExperiment
  /** Absent when it failed. */
  readonly outcome?: RunOutcome
  /** Why it failed, in one line. */
  readonly error?: string
}

/** Who listens to a tour, besides to each run. */
export interface TourOptions extends RunOptions {
  /** Called before an experiment begins. */
  readonly onBegin?: (experiment: AnyExperiment, index: number) => void
  /** Called when it has ended. */
  readonly onEnd?: (stop: TourStop, index: number) => void
}

/**
 * Run the quick preset of each experiment. Finished ones are skipped, interrupted ones go on. Throws TL_INTERRUPTED when
 * the signal is aborted; any other failure is noted, and the tour goes on.
 */
export async function tour(
  experiments: readonly AnyExperiment[],
  { onBegin, onEnd, ...options }: TourOptions = {},
): Promise<TourStop[]> {
  const stops: TourStop[] = []
  for (const [index, experiment] of experiments.entries()) {
    onBegin?.(experiment, index)
    const stop = await visit(experiment, options)
    stops.push(stop)
    onEnd?.(stop, index)
  }
  return stops
}

async function visit(experiment: AnyExperiment, options: RunOptions): Promise<TourStop> {
  try {
    const config = composeConfig(experiment, { preset: 'quick' })
    return { experiment, outcome: await executeRun(experiment, config, options) }
  } catch (error) {
    if (isInterruption(error) || !(error instanceof TreelineError)) throw error
    return { experiment, error: error.message }
  }
}
