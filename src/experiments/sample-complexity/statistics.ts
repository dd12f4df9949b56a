/** @file Where learning curves cross a threshold, how such thresholds scale, how well curves lie on each other. */

import { mean, slopeOf, spreadOf } from '../../lab/index.ts'
import { random } from '../../tensor/index.ts'

/** A value of a learning curve: error (or sensitivity) `y` with `x` training strings. */
export interface CurvePoint {
  readonly x: number
  readonly y: number
}

/**
 * The smallest x at which a curve (x ascending) falls below `threshold`: y linear in ln x between the points. Null when it
 * never does, or when it is below from the first point on.
 */
export function crossing(curve: readonly CurvePoint[], threshold: number): number | null {
  for (let i = 1; i < curve.length; i++) {
    const [before, after] = [curve[i - 1]!, curve[i]!]
    if (i === 1 && before.y < threshold) return null
    if (after.y >= threshold) continue
    const share = (before.y - threshold) / (before.y - after.y)
    return before.x * (after.x / before.x) ** share
  }
  return null
}

/** A threshold with one standard error of its logarithm. */
export interface Threshold {
  readonly value: number | null
  /** Standard deviation of ln(value) over bootstrap samples; null when there is one replica, or the value is null. */
  readonly logError: number | null
}

/** Curves of one setting: `values[replica][i]` belongs to `x[i]`. */
export interface Replicas {
  readonly x: readonly number[]
  readonly values: readonly (readonly number[])[]
}

const meanCurve = ({ x, values }: Replicas, chosen: readonly number[]): CurvePoint[] =>
  x.map((at, i) => ({ x: at, y: mean(chosen.map((replica) => values[replica]![i]!)) }))

const everyReplica = ({ values }: Replicas): number[] => values.map((_, replica) => replica)

const bootstrapSamples = 400

/** Replicas drawn with replacement, `bootstrapSamples` times. */
function* resampled(replicas: Replicas, key: random.Key): Generator<number[]> {
  const n = replicas.values.length
  const drawn = random.sampleIntegers(key, bootstrapSamples * n, n)
  for (let k = 0; k < bootstrapSamples; k++) yield Array.from(drawn.subarray(k * n, (k + 1) * n))
}

const finite = (value: number | null): value is number => value !== null

/** Where the mean curve crosses, with the bootstrap error over replicas. */
export function thresholdOf(replicas: Replicas, threshold: number, key: random.Key): Threshold {
  const value = crossing(meanCurve(replicas, everyReplica(replicas)), threshold)
  if (value === null || replicas.values.length < 2) return { value, logError: null }
  const found = [...resampled(replicas, key)]
    .map((chosen) => crossing(meanCurve(replicas, chosen), threshold))
    .filter(finite)
  return { value, logError: found.length < 2 ? null : spreadOf(found.map(Math.log)) }
}

/** A measured power law: threshold ≈ prefactor · scale^slope. */
export interface PowerLaw {
  readonly slope: number
  /** One standard error: the larger of the bootstrap's over replicas and that of the scatter around the line. */
  readonly error: number | null
  /** Geometric mean of threshold / scale: the prefactor when the slope is taken as 1. */
  readonly prefactor: number
  /** Settings in the fit. */
  readonly count: number
}

/** One setting of a power law. */
export interface Setting extends Replicas {
  /** What the threshold should be proportional to. */
  readonly scale: number
  readonly threshold: number
}

/**
 * Slope of ln(threshold) against ln(scale). Replicas of each setting are resampled together for its error; settings whose
 * curve does not cross are left out. Null when fewer than two settings cross.
 */
export function powerLaw(settings: readonly Setting[], key: random.Key): PowerLaw | null {
  const lawOf = (chosen: (setting: Setting, at: number) => readonly number[]) => {
    const found = settings.flatMap((setting, at) => {
      const value = crossing(meanCurve(setting, chosen(setting, at)), setting.threshold)
      return value === null ? [] : [{ x: Math.log(setting.scale), y: Math.log(value) }]
    })
    const line = slopeOf(found.map(({ x, y }) => [x, y] as const))
    if (!Number.isFinite(line.value)) return null
    return { line, prefactor: Math.exp(mean(found.map(({ x, y }) => y - x))), count: found.length }
  }
  const whole = lawOf(everyReplica)
  if (!whole) return null
  const samples = settings.map((setting, at) => [...resampled(setting, random.foldIn(key, at))])
  const slopes = Array.from(
    { length: bootstrapSamples },
    (_, k) => lawOf((_setting, at) => samples[at]![k]!)?.line.value,
  ).filter((slope) => slope !== undefined)
  const errors = [whole.line.error ?? 0, spreadOf(slopes)]
  const error = Math.max(...errors)
  return {
    slope: whole.line.value,
    error: error > 0 ? error : null,
    prefactor: whole.prefactor,
    count: whole.count,
  }
}

/** How far curves lie apart horizontally. */
export interface Spread {
  /** Factor e^σ with σ the standard deviation of ln P at equal height over the settings: 1 when all curves coincide. */
  readonly before: number
  /** The same of ln (P / scale). */
  readonly after: number
}

/**
 * Spread of the mean curves, before and after dividing x by each setting's scale: the root mean square over `levels` (in
 * units of each setting's `threshold`) of the standard deviation of ln x at that height. Levels that fewer than two curves
 * cross are left out; null when there is none.
 */
export function collapseOf(settings: readonly Setting[], levels: readonly number[]): Spread | null {
  const variances = levels.flatMap((level) => {
    const found = settings.flatMap((setting) => {
      const x = crossing(meanCurve(setting, everyReplica(setting)), level * setting.threshold)
      return x === null ? [] : [{ raw: Math.log(x), scaled: Math.log(x / setting.scale) }]
    })
    if (found.length < 2) return []
    return [
      {
        before: spreadOf(found.map(({ raw }) => raw)) ** 2,
        after: spreadOf(found.map(({ scaled }) => scaled)) ** 2,
      },
    ]
  })
  if (variances.length === 0) return null
  const factor = (pick: (v: { before: number; after: number }) => number): number =>
    Math.exp(Math.sqrt(mean(variances.map(pick))))
  return { before: factor((v) => v.before), after: factor((v) => v.after) }
}
