/** @file Standard errors over independent data, for estimators that are ratios of means. */
import { fail } from '../base/index.ts'

/** A number with one standard error. */
export interface Estimate {
  readonly value: number
  /** null when there is a single group and so no way to tell. */
  readonly error: number | null
}

/** Sums over the rows, entry by entry. */
function total(rows: readonly ArrayLike<number>[]): Float64Array {
  const out = new Float64Array(rows[0]!.length)
  for (const row of rows) for (let i = 0; i < out.length; i++) out[i]! += row[i]!
  return out
}

/**
 * Delete-one jackknife: `rows` are sums of independent groups (a datum, a grammar), the estimator a function of their total
 * that does not depend on its scale. Throws TL_BAD_ARGUMENT without rows.
 */
export function jackknife(
  rows: readonly ArrayLike<number>[],
  estimator: (total: Float64Array) => number,
): Estimate {
  if (rows.length === 0) fail('TL_BAD_ARGUMENT', 'jackknife: expected at least one row, got none')
  const whole = total(rows)
  const value = estimator(whole)
  const n = rows.length
  if (n === 1) return { value, error: null }
  const without = rows.map((row) => estimator(whole.map((sum, i) => sum - row[i]!)))
  const mean = without.reduce((a, b) => a + b, 0) / n
  const spread = without.reduce((sum, x) => sum + (x - mean) ** 2, 0)
  return { value, error: Math.sqrt(((n - 1) / n) * spread) }
}

/** Mean and its standard error. */
export function meanAndError(values: ArrayLike<number>): Estimate {
  const all = Array.from(values)
  if (all.length === 0) fail('TL_BAD_ARGUMENT', 'meanAndError: expected at least one value, got none')
  const mean = all.reduce((a, b) => a + b, 0) / all.length
  if (all.length === 1) return { value: mean, error: null }
  const squares = all.reduce((sum, x) => sum + (x - mean) ** 2, 0)
  return { value: mean, error: Math.sqrt(squares / (all.length - 1) / all.length) }
}
