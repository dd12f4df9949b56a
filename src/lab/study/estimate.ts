/** @file Estimates and how far they can be trusted: the one rule for errors that every study uses. */
import { wilson } from '../../base/index.ts'
import { type Estimate, mean, meanOf } from '../statistics.ts'
import { type Drawn, groupBy, replicasOf } from './rows.ts'

export type { Estimate }

/** t of two-sided 95 % for 1 … 30 degrees of freedom. */
const students = [
  12.706205, 4.302653, 3.182446, 2.776445, 2.570582, 2.446912, 2.364624, 2.306004, 2.262157, 2.228139,
  2.200985, 2.178813, 2.160369, 2.144787, 2.13145, 2.119905, 2.109816, 2.100922, 2.093024, 2.085963, 2.079614,
  2.073873, 2.068658, 2.063899, 2.059539, 2.055529, 2.051831, 2.048407, 2.04523, 2.042272,
]
const normal = 1.959964

/** Half the width of a 95 % interval in standard errors, for so many degrees of freedom. (Abramowitz & Stegun 26.7.5) */
export function studentQuantile(freedom: number): number {
  if (freedom < 1) return Number.POSITIVE_INFINITY
  const known = students[Math.floor(freedom) - 1]
  if (known !== undefined) return known
  if (!Number.isFinite(freedom)) return normal
  const [z, z3, z5] = [normal, normal ** 3, normal ** 5]
  return z + (z3 + z) / (4 * freedom) + (5 * z5 + 16 * z3 + 3 * z) / (96 * freedom ** 2)
}

/** The 95 % interval of an estimate; all numbers where its error is unknown, NaN where it has no value. */
export function intervalOf({ value, error, n, interval }: Estimate): readonly [low: number, high: number] {
  if (Number.isNaN(value)) return [Number.NaN, Number.NaN]
  if (interval) return interval
  if (error === null) return [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY]
  if (error === 0) return [value, value]
  const half = error * (n === undefined ? normal : studentQuantile(n - 1))
  return [value - half, value + half]
}

/** A number that follows from rules, without an error. */
export const exact = (value: number): Estimate => ({ value, error: 0 })

/** Nothing to say where nothing is missing. */
const missingOf = (missing: number): { missing?: number } => (missing > 0 ? { missing } : {})

/** A statistic of each replica's rows, and its mean over replicas; those in which it is no number are left out and counted. */
export function overReplicas<R extends Drawn>(
  rows: readonly R[],
  statistic: (rows: readonly R[]) => number,
): Estimate {
  const values = replicasOf(rows).map(statistic)
  const found = values.filter(Number.isFinite)
  return { ...meanOf(found), ...missingOf(values.length - found.length) }
}

/** The same for positive statistics: their geometric mean. */
export function geometricMeanOverReplicas<R extends Drawn>(
  rows: readonly R[],
  statistic: (rows: readonly R[]) => number,
): Estimate {
  const logs = overReplicas(rows, (own) => Math.log(statistic(own)))
  const value = Math.exp(logs.value)
  return { ...logs, value, error: logs.error === null ? null : value * logs.error }
}

/** Parts that are left out at most: with more replicas, equal numbers of them go together. */
const mostParts = 256

/** Replicas in at most `mostParts` parts of equal size (the last may be smaller). */
function partsOf<R>(replicas: readonly (readonly R[])[]): R[][] {
  const size = Math.ceil(replicas.length / mostParts)
  return Array.from({ length: Math.ceil(replicas.length / size) }, (_, i) =>
    replicas.slice(i * size, (i + 1) * size).flat(),
  )
}

/**
 * A statistic of all rows together, whose error comes from leaving one replica out at a time: for slopes, crossings and ratios,
 * whose value in one replica says little. Beyond 256 replicas groups of them are left out, or the time would grow with the
 * square of their number. (Efron, The jackknife, 1982, eq. 3.1; Wolter, Introduction to variance estimation, 2007, section 4.2)
 */
export function jackknife<R extends Drawn>(
  rows: readonly R[],
  statistic: (rows: readonly R[]) => number,
): Estimate {
  const parts = partsOf(replicasOf(rows))
  const n = parts.length
  const value = statistic(rows)
  if (n < 2) return { value, error: null, n }
  const without = parts.map((_, left) => statistic(parts.filter((_, i) => i !== left).flat()))
  const centre = mean(without)
  const squares = without.reduce((sum, x) => sum + (x - centre) ** 2, 0)
  const error = Math.sqrt((squares * (n - 1)) / n)
  // a part of the replicas that gives no value says nothing about the error
  return { value, error: Number.isFinite(error) ? error : null, n }
}

/**
 * The same where groups of rows – those with equal values in `by` – have draws of their own, independent of the others': one
 * replica of one group is left out at a time, and the squares of all groups add up. The error is null when a group has a single
 * replica. (Wolter, Introduction to variance estimation, 2007, section 4.5)
 */
export function jackknifeByGroup<R extends Drawn, K extends keyof R>(
  rows: readonly R[],
  by: readonly K[],
  statistic: (rows: readonly R[]) => number,
): Estimate {
  const groups = groupBy(rows, ...by).map((group) => replicasOf(group.rows))
  const n = 1 + groups.reduce((sum, replicas) => sum + replicas.length - 1, 0)
  const value = statistic(rows)
  if (groups.some(({ length }) => length < 2)) return { value, error: null, n }
  const squares = groups.map((replicas) => {
    const without = replicas.map((left) => {
      const leftOut = new Set(left)
      return statistic(rows.filter((row) => !leftOut.has(row)))
    })
    const centre = mean(without)
    const sum = without.reduce((total, x) => total + (x - centre) ** 2, 0)
    return (sum * (replicas.length - 1)) / replicas.length
  })
  const error = Math.sqrt(squares.reduce((sum, square) => sum + square, 0))
  return { value, error: Number.isFinite(error) ? error : null, n }
}

/** A statistic of rows together with its error: `overReplicas`, `jackknife`. */
export type Estimator = <R extends Drawn>(
  rows: readonly R[],
  statistic: (rows: readonly R[]) => number,
) => Estimate

/**
 * A statistic beside what theory says of the very same replicas (their grammars, not random ones). Both move together from
 * replica to replica, so the error of the measured value is that of its difference from theory.
 */
export function besideTheory<R extends Drawn>(
  estimator: Estimator,
  rows: readonly R[],
  statistic: (rows: readonly R[]) => number,
  theory: (rows: readonly R[]) => number,
): { readonly measured: Estimate; readonly predicted: number } {
  const { error, missing = 0 } = estimator(rows, (own) => statistic(own) - theory(own))
  return {
    measured: { ...estimator(rows, statistic), error, ...missingOf(missing) },
    predicted: estimator(rows, theory).value,
  }
}

/** A share of independent trials, with Wilson's interval. */
export function shareOf(successes: number, trials: number): Estimate {
  const value = successes / trials
  const { low, high } = wilson(value, trials)
  return { value, error: Math.sqrt((value * (1 - value)) / trials), n: trials, interval: [low, high] }
}

/** What two estimates share: the fewer replicas, and what either misses. */
const shared = (a: Estimate, b: Estimate): { n?: number; missing?: number } => {
  const known = [a.n, b.n].filter((n) => n !== undefined)
  return {
    ...(known.length > 0 && { n: Math.min(...known) }),
    ...missingOf(Math.max(a.missing ?? 0, b.missing ?? 0)),
  }
}

const combined = (a: number | null, b: number | null): number | null =>
  a === null || b === null ? null : Math.hypot(a, b)

/** a − b of independent estimates; of shares with the interval made of both of theirs. (Newcombe 1998, method 10) */
export function difference(a: Estimate, b: Estimate): Estimate {
  const value = a.value - b.value
  const apart: Estimate = { value, error: combined(a.error, b.error), ...shared(a, b) }
  if (!a.interval && !b.interval) return apart
  const [[lowA, highA], [lowB, highB]] = [intervalOf(a), intervalOf(b)]
  const below = Math.hypot(a.value - lowA, highB - b.value)
  const above = Math.hypot(highA - a.value, b.value - lowB)
  return { ...apart, interval: [value - below, value + above] }
}

/** a / b of independent estimates, to first order in their errors. */
export function ratio(a: Estimate, b: Estimate): Estimate {
  const value = a.value / b.value
  const relative = combined(
    a.error === null ? null : a.error / a.value,
    b.error === null ? null : b.error / b.value,
  )
  return { value, error: relative === null ? null : Math.abs(value * relative), ...shared(a, b) }
}
