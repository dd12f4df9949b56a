/** @file Curves over noise, one for each grammar: means with errors, crossings, slopes, and the jackknife over grammars. */
import { mean, meanOf } from '../../lab/index.ts'

/** A measured curve: one mean and one standard error (over grammars; null for a single one) at each noise level. */
export interface Curve {
  readonly mean: readonly number[]
  readonly error: readonly (number | null)[]
}

/** A number with its standard error; null where there is nothing to measure or only one grammar. */
export interface Estimate {
  readonly value: number | null
  readonly error: number | null
}

/** Mean over grammars at each noise level of `perGrammar` [grammars][noise]. */
export const meanOver = (perGrammar: readonly (readonly number[])[]): number[] =>
  perGrammar[0]!.map((_, i) => mean(perGrammar.map((curve) => curve[i]!)))

/** Mean and standard error over grammars at each noise level. */
export const curveOf = (perGrammar: readonly (readonly number[])[]): Curve => ({
  mean: meanOver(perGrammar),
  error: perGrammar[0]!.map((_, i) => meanOf(perGrammar.map((curve) => curve[i]!)).error),
})

/** Value of the broken line through (x, y) at `at`; beyond the ends, the value there. `x` rises. */
export function interpolate(x: readonly number[], y: readonly number[], at: number): number {
  const after = x.findIndex((value) => value >= at)
  if (after < 0) return y.at(-1)!
  if (after === 0) return y[0]!
  const [x0, x1] = [x[after - 1]!, x[after]!]
  return y[after - 1]! + ((at - x0) / (x1 - x0)) * (y[after]! - y[after - 1]!)
}

/**
 * Where curve `a` falls from above to below curve `b`. Curves that agree at both ends (all 1 without noise, all chance in
 * pure noise) cross there by accident too; of all places the one that best parts "above" from "below" is taken: it has the
 * largest ∫(a − b) on its left minus that on its right. Null when a is nowhere above and then below.
 */
export function crossing(x: readonly number[], a: readonly number[], b: readonly number[]): number | null {
  const gap = a.map((value, i) => value - b[i]!)
  const area = [0]
  for (let i = 1; i < x.length; i++)
    area.push(area[i - 1]! + ((x[i]! - x[i - 1]!) * (gap[i]! + gap[i - 1]!)) / 2)
  let best: { at: number; contrast: number } | null = null
  for (let i = 1; i < x.length; i++) {
    const [before, after] = [gap[i - 1]!, gap[i]!]
    if (!(before > 0 && after <= 0)) continue
    const share = before / (before - after)
    const step = x[i]! - x[i - 1]!
    const left = area[i - 1]! + (before * share * step) / 2
    const contrast = 2 * left - area.at(-1)!
    if (left > 0 && (best === null || contrast > best.contrast))
      best = { at: x[i - 1]! + share * step, contrast }
  }
  return best?.at ?? null
}

/** First place where a falling curve passes `level`; null when it does not. */
export function passes(x: readonly number[], y: readonly number[], level: number): number | null {
  for (let i = 1; i < x.length; i++)
    if (y[i - 1]! > level && y[i]! <= level)
      return x[i - 1]! + ((y[i - 1]! - level) / (y[i - 1]! - y[i]!)) * (x[i]! - x[i - 1]!)
  return null
}

/** How steeply the curve falls at `at`: the secant over `at` ± `half`, positive when falling. */
export const fall = (x: readonly number[], y: readonly number[], at: number, half: number): number =>
  (interpolate(x, y, at - half) - interpolate(x, y, at + half)) / (2 * half)

/**
 * An estimate from all groups and its jackknife error: sqrt((n − 1)/n · Σ (θ₍ᵢ₎ − mean)²), each θ₍ᵢ₎ from all groups but
 * one (Quenouille 1956, Tukey 1958). The error is null for a single group or when a part of them gives no estimate.
 */
export function jackknife<T>(
  groups: readonly T[],
  estimate: (groups: readonly T[]) => number | null,
): Estimate {
  const value = estimate(groups)
  if (value === null || groups.length < 2) return { value, error: null }
  const without = groups.map((_, left) => estimate(groups.filter((_, i) => i !== left)))
  if (without.some((part) => part === null)) return { value, error: null }
  const parts = without as number[]
  const centre = mean(parts)
  const squares = parts.reduce((sum, part) => sum + (part - centre) ** 2, 0)
  return { value, error: Math.sqrt(((parts.length - 1) / parts.length) * squares) }
}

/** One curve from several independent runs, on the first one's noise levels; errors add in squares. */
export function averageCurves(runs: readonly { noise: readonly number[]; curve: Curve }[]): Curve {
  const noise = runs[0]!.noise
  const at = (x: readonly number[], y: readonly (number | null)[], place: number): number | null =>
    y.includes(null) ? null : interpolate(x, y as readonly number[], place)
  return {
    mean: noise.map((place) => mean(runs.map((run) => interpolate(run.noise, run.curve.mean, place)))),
    error: noise.map((place) => {
      const errors = runs.map((run) => at(run.noise, run.curve.error, place))
      return errors.includes(null) ? null : Math.hypot(...(errors as number[])) / runs.length
    }),
  }
}

/** One estimate from several independent runs: the mean of those that gave one; errors add in squares. */
export function averageEstimates(runs: readonly Estimate[]): Estimate {
  const known = runs.filter(({ value }) => value !== null)
  if (known.length === 0) return { value: null, error: null }
  const errors = known.map(({ error }) => error)
  return {
    value: mean(known.map(({ value }) => value!)),
    error: errors.includes(null) ? null : Math.hypot(...(errors as number[])) / known.length,
  }
}

/** `count` evenly spaced numbers from `from` to `to`, rounded to 1e-6: the same wherever they are computed. */
export const evenly = (from: number, to: number, count: number): number[] =>
  Array.from({ length: count }, (_, i) =>
    rounded(count === 1 ? from : from + ((to - from) * i) / (count - 1)),
  )

const rounded = (value: number): number => Math.round(value * 1e6) / 1e6

/** All noise levels of both lists once, rising. */
export const merged = (a: readonly number[], b: readonly number[]): number[] =>
  [...new Set([...a, ...b].map(rounded))].sort((x, y) => x - y)

/**
 * The part of a coarse curve in which it falls from above `high` to below `low`: from the last point before it leaves `high`
 * to the first below `low`; the ends of the axis where it does not.
 */
export function fallingPart(
  x: readonly number[],
  y: readonly number[],
  { high, low }: { high: number; low: number },
): [number, number] {
  const leaves = y.findIndex((value) => value < high)
  const ends = y.findIndex((value) => value < low)
  return [leaves <= 0 ? x[0]! : x[leaves - 1]!, ends < 0 ? x.at(-1)! : x[ends]!]
}
