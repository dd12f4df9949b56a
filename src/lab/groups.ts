/** @file Runs that differ only in their seed belong together: their mean and its standard error are what they say. */
import { canonicalJson } from './canonical.ts'
import { configRows } from './config.ts'
import type { AnyExperiment, RunGroup, RunView } from './experiment.ts'
import { meanOf } from './statistics.ts'

const shown = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value))

/** Config fields other than the seed in which some of the runs differ, by dotted path, in order of definition. */
export function varyingFields(
  experiment: AnyExperiment,
  configs: readonly unknown[],
): { path: string; values: readonly unknown[] }[] {
  const rows = configs.map((config) => configRows(experiment, config))
  return (rows[0] ?? []).flatMap(({ path }, field) => {
    const values = rows.map((row) => row[field]!.value)
    return path !== 'seed' && new Set(values.map(shown)).size > 1 ? [{ path, values }] : []
  })
}

/** Group runs of one experiment by their config without the seed; groups and runs keep the order of the runs. */
export function groupRuns<View extends RunView<{ seed: number }, object>>(
  experiment: AnyExperiment,
  runs: readonly View[],
): (RunGroup<View['config'], View['result']> & { readonly runs: readonly View[] })[] {
  const groups = new Map<string, View[]>()
  for (const run of runs) {
    const key = canonicalJson({ ...run.config, seed: null })
    groups.set(key, [...(groups.get(key) ?? []), run])
  }
  const members = [...groups.values()]
  const varying = varyingFields(
    experiment,
    members.map(([first]) => first!.config),
  )
  return members.map((group, index) => ({
    label: varying.map(({ path, values }) => `${path}=${shown(values[index])}`).join(' '),
    config: group[0]!.config,
    runs: group,
  }))
}

/** A mean over seeds. */
export interface OverSeeds {
  /** NaN of no values. */
  readonly mean: number
  /** Standard error of the mean, from the spread (divisor n − 1); null of fewer than two values. */
  readonly error: number | null
  readonly count: number
}

/** Mean and standard error of some values, those that are not finite left out. */
export function overSeeds(values: readonly (number | null | undefined)[]): OverSeeds {
  const finite = values.filter((value): value is number => Number.isFinite(value))
  const { value, error } = meanOf(finite)
  return { mean: value, error, count: finite.length }
}
