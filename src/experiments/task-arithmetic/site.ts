/** @file What the parts of a measurement share: a family, a start, programs, and the vectors of the replica. */
import { fail } from '../../base/index.ts'
import type { Parameters } from '../../nn/index.ts'
import type { random } from '../../tensor/index.ts'
import type { Measures } from '../tasks/measure.ts'
import type { Config, Opened } from './config.ts'
import { type Regime, regimes } from './rows.ts'
import type { VectorFiles } from './vectorFiles.ts'

/** What the parts of a measurement share. */
export interface Site extends Opened {
  readonly config: Config
  readonly start: Parameters
  readonly measures: Measures
  readonly vectors: VectorFiles
  readonly key: random.Key
}

/** Regimes that a config asks for. */
export const regimesOf = ({ tak }: Config): Regime[] =>
  regimes.filter((regime) => regime !== 'tak' || tak > 0)

/** Every regime has vectors of its own, but for the nonlinear ones in the tangent model. */
type Training = Exclude<Regime, 'posthoc'>
export const trainingOf = (regime: Regime): Training => (regime === 'posthoc' ? 'nonlinear' : regime)
export const vectorName = (training: Training, task: string): string => `${training}-${task}`

/** The vector of a task in a regime; it is there. */
export const vectorOf = ({ vectors }: Site, regime: Regime, task: string): Promise<Parameters> =>
  vectors.get(vectorName(trainingOf(regime), task), () =>
    fail('TL_BAD_FILE', `vector of ${task}: it was removed`),
  )
