/** @file Claims of any experiment, whether it is a study or older; and how outcomes are counted and shown. */
import type { Conclusion, Verdict } from '../experiment.ts'
import type { Claim, Outcome } from './claim.ts'

const claimOf = ({ claim, measured, error, predicted, pass, control }: Verdict): Claim => ({
  ...{ claim, measured, error, predicted, control },
  tolerance: [null, null],
  interval: [null, null],
  outcome: pass ? 'holds' : 'fails',
})

/** The claims of a conclusion; verdicts of experiments that are no studies yet hold or fail. */
export const claimsOf = ({ claims, verdicts = [] }: Conclusion): readonly Claim[] =>
  claims ?? verdicts.map(claimOf)

/** A claim as files held it before 0.2. */
export const verdictOf = ({ claim, measured, error, predicted, control, outcome }: Claim): Verdict => ({
  ...{ claim, measured, error, predicted, control },
  pass: outcome === 'holds',
})

/** The claims of a summary; those of an older Treeline have verdicts alone. */
export const claimsOfSummary = (summary: {
  readonly claims?: readonly Claim[]
  readonly verdicts?: readonly Verdict[]
}): readonly Claim[] => summary.claims ?? (summary.verdicts ?? []).map(claimOf)

/** How many claims came out in each way. */
export const countOutcomes = (claims: readonly Pick<Claim, 'outcome'>[]): Record<Outcome, number> => {
  const counts: Record<Outcome, number> = { holds: 0, fails: 0, undecided: 0 }
  for (const { outcome } of claims) counts[outcome]++
  return counts
}

/** `✓`, `✗`, `?`. */
export const outcomeMark: Readonly<Record<Outcome, string>> = { holds: '✓', fails: '✗', undecided: '?' }

/** `12 of 14 claims hold, 1 fails, 1 is undecided`. */
export function outcomesInWords(claims: readonly Pick<Claim, 'outcome'>[]): string {
  const { holds, fails, undecided } = countOutcomes(claims)
  const parts = [
    `${holds} of ${claims.length} claim${claims.length === 1 ? '' : 's'} hold${holds === 1 ? 's' : ''}`,
  ]
  if (fails > 0) parts.push(`${fails} fail${fails === 1 ? 's' : ''}`)
  if (undecided > 0) parts.push(`${undecided} ${undecided === 1 ? 'is' : 'are'} undecided`)
  return parts.join(', ')
}
