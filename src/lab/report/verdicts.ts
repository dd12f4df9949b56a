/** @file The verdicts of several runs: the same claim of runs that differ only in their seed is one line, with its spread. */
import type { AnyExperiment, BaseConfig, RunGroup, Verdict } from '../experiment.ts'
import { overSeeds } from '../groups.ts'
import type { ShownVerdict } from './html.ts'

function merge(verdicts: readonly Verdict[], of: string): ShownVerdict {
  const [first] = verdicts
  if (verdicts.length === 1) return { ...first!, of }
  const measured = overSeeds(verdicts.map((verdict) => verdict.measured))
  const predicted = overSeeds(verdicts.map((verdict) => verdict.predicted))
  const passed = verdicts.filter(({ pass }) => pass).length
  const some = measured.count > 0 && measured.count < verdicts.length
  return {
    // a mean over those that have a number says so
    claim: `${first!.claim}${some ? ` (a finite number in ${measured.count} of ${verdicts.length} runs)` : ''}`,
    control: first!.control,
    measured: measured.count > 0 ? measured.mean : null,
    error: measured.error,
    predicted: predicted.count > 0 ? predicted.mean : null,
    pass: passed === verdicts.length,
    held: { passed, of: verdicts.length },
    of,
  }
}

/** All verdicts of an experiment's runs, group by group, in the order in which the claims are made. */
export function groupVerdicts(
  experiment: AnyExperiment,
  groups: readonly RunGroup<BaseConfig>[],
): ShownVerdict[] {
  return groups.flatMap(({ label, runs }) => {
    const claims = new Map<string, Verdict[]>()
    for (const run of runs)
      for (const verdict of experiment.summary(run).verdicts ?? [])
        claims.set(verdict.claim, [...(claims.get(verdict.claim) ?? []), verdict])
    return [...claims.values()].map((verdicts) => merge(verdicts, groups.length > 1 ? label : ''))
  })
}
