/** All rows of a study at once, on this thread. */
import { type BaseConfig, composeConfig, type StudyExperiment } from '../../src/lab/index.ts'
import { keyOf } from '../../src/lab/study/measure.ts'

/** Rows of every replica of every cell of a preset, with some values changed, and the config. */
export async function measureAll(
  experiment: StudyExperiment,
  preset: string,
  set: string[] = [],
): Promise<{ config: BaseConfig; rows: Record<string, unknown>[] }> {
  const config = composeConfig(experiment, { preset, set })
  const { study } = experiment
  const rows: Record<string, unknown>[] = []
  for (const cell of study.cells(config, [], undefined) as object[])
    for (let replica = 0; replica < study.replicas(config, cell); replica++) {
      const key = keyOf(study, config.seed, cell, replica)
      const { signal } = new AbortController()
      const given = { key, config, replica, signal, progress: () => {}, threads: 1, folder: '', scratch: '' }
      const bench = { ...given, prepared: undefined, resource: undefined }
      const own = (await study.measure(cell, bench)) as object[]
      rows.push(...own.map((row) => ({ ...cell, ...row, seed: config.seed, replica })))
    }
  return { config, rows }
}
