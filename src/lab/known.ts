/** @file Experiments that somebody knows, by name: the lab itself knows none. */
import { fail, namedOf } from '../base/index.ts'
import type { AnyExperiment } from './experiment.ts'
import type { FinishedRun } from './runFolder.ts'

/** One of `known` by name. Throws TL_USAGE with the nearest name. */
export const experimentNamed = (name: string, known: readonly AnyExperiment[]): AnyExperiment =>
  namedOf('experiment', known, name, 'TL_USAGE')

/** The experiment that a finished run is of. Throws TL_BAD_FILE when it is none of `known`. */
export function experimentOf(run: FinishedRun, known: readonly AnyExperiment[]): AnyExperiment {
  const found = known.find(({ name }) => name === run.experiment)
  if (found) return found
  const names = known.map(({ name }) => name).join(', ')
  const from = run.module ? `--experiment ${run.module}` : '--experiment FILE'
  return fail(
    'TL_BAD_FILE',
    `${run.folder}: a run of "${run.experiment}", which is not among ${names}; add its module with ${from}`,
  )
}
