/** @file The table of experiments. A new one is a file in `experiments/` and a row here. */
import { didYouMean, fail } from '../base/index.ts'
import type { AnyExperiment } from './experiment.ts'
import { clustering } from './experiments/clustering.ts'
import { correlatedChunks } from './experiments/correlated-chunks.ts'
import { ddpmMerging } from './experiments/ddpm-merging.ts'
import { digits } from './experiments/digits.ts'
import { lifelongEditing } from './experiments/lifelong-editing.ts'
import { phaseTransition } from './experiments/phase-transition.ts'
import { sampleComplexity } from './experiments/sample-complexity.ts'
import { tokenCorrelations } from './experiments/token-correlations.ts'
import type { FinishedRun } from './runFolder.ts'

/** All experiments, in the order in which they are listed. */
export const experiments: readonly AnyExperiment[] = [
  phaseTransition,
  correlatedChunks,
  tokenCorrelations,
  clustering,
  sampleComplexity,
  digits,
  ddpmMerging,
  lifelongEditing,
]

/** An experiment by name. Throws TL_USAGE with the nearest name. */
export function findExperiment(name: string, table: readonly AnyExperiment[] = experiments): AnyExperiment {
  const found = table.find((experiment) => experiment.name === name)
  if (found) return found
  const names = table.map((experiment) => experiment.name)
  return fail('TL_USAGE', `experiment "${name}": there is no such experiment: ${didYouMean(name, names)}`)
}

/** The experiment that a finished run is of. Throws TL_BAD_FILE when it is none of `known`. */
export function experimentOf(run: FinishedRun, known: readonly AnyExperiment[] = experiments): AnyExperiment {
  const found = known.find(({ name }) => name === run.experiment)
  if (found) return found
  const names = known.map(({ name }) => name).join(', ')
  const from = run.module ? `--experiment ${run.module}` : '--experiment FILE'
  return fail(
    'TL_BAD_FILE',
    `${run.folder}: a run of "${run.experiment}", which is not among ${names}; add its module with ${from}`,
  )
}
