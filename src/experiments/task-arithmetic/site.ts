/** @file What the parts of a measurement share: a family, a start, programs, and the vectors of the replica. */
import { fail } from '../../base/index.ts'
import type { Parameters } from '../../nn/index.ts'
import type { random } from '../../tensor/index.ts'
import type { Training } from '../tasks/fineTune.ts'
import type { Measures } from '../tasks/measure.ts'
import type { Config, Opened } from './config.ts'
import type { Regime } from './rows.ts'
import type { VectorFiles } from './vectorFiles.ts'

/** What the parts of a measurement share. */
export interface Site extends Opened {
  readonly config: Config
  readonly start: Parameters
  readonly measures: Measures
  readonly vectors: VectorFiles
  readonly key: random.Key
}

export const trainings = ['nonlinear', 'linear'] as const
export const trainingOf = (regime: Regime): Training => (regime === 'linear' ? 'linear' : 'nonlinear')
export const vectorName = (training: Training, task: string): string => `${training}-${task}`

/** The vector of a task in a regime; it is there. */
export const vectorOf = ({ vectors }: Site, regime: Regime, task: string): Promise<Parameters> =>
  vectors.get(vectorName(trainingOf(regime), task), () =>
    fail('TL_BAD_FILE', `vector of ${task}: it was removed`),
  )
