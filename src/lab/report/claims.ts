/** @file The claims of several runs: the same claim of runs that differ only in their seed is one line, with its spread. */
import type { AnyExperiment, BaseConfig, RunGroup } from '../experiment.ts'
import { overSeeds } from '../groups.ts'
import type { Claim, Outcome } from '../study/claim.ts'
import { claimsOf, countOutcomes } from '../study/outcomes.ts'
import type { ShownClaim } from './html.ts'

/** What several runs say of one claim: it fails where one fails, and holds where all hold. */
function together(claims: readonly Claim[]): Outcome {
  const { holds, fails } = countOutcomes(claims)
  if (fails > 0) return 'fails'
  return holds === claims.length ? 'holds' : 'undecided'
}

function merge(claims: readonly Claim[], of: string): ShownClaim {
  const [first] = claims
  if (claims.length === 1) return { ...first!, of }
  const measured = overSeeds(claims.map((claim) => claim.measured))
  const predicted = overSeeds(claims.map((claim) => claim.predicted))
  const some = measured.count > 0 && measured.count < claims.length
  return {
    ...first!,
    // a mean over those that have a number says so
    claim: `${first!.claim}${some ? ` (a finite number in ${measured.count} of ${claims.length} runs)` : ''}`,
    measured: measured.count > 0 ? measured.mean : null,
    error: measured.error,
    predicted: predicted.count > 0 ? predicted.mean : null,
    interval: [null, null],
    outcome: together(claims),
    held: { holds: countOutcomes(claims).holds, of: claims.length },
    of,
  }
}

/** All claims of an experiment's runs, group by group, in the order in which they are made. */
export function groupClaims(
  experiment: AnyExperiment,
  groups: readonly RunGroup<BaseConfig>[],
): ShownClaim[] {
  return groups.flatMap(({ label, runs }) => {
    const of = groups.length > 1 ? label : ''
    // a study takes the rows of all seeds together
    if (experiment.together) return claimsOf(experiment.together(runs)).map((claim) => ({ ...claim, of }))
    const claims = new Map<string, Claim[]>()
    for (const run of runs)
      for (const claim of claimsOf(experiment.summary(run)))
        claims.set(claim.claim, [...(claims.get(claim.claim) ?? []), claim])
    return [...claims.values()].map((same) => merge(same, of))
  })
}
