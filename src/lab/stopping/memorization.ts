/** @file When a training begins to memorize: the minimum of its validation loss, or the onset of copies. */
import { crossing } from '../statistics.ts'
import type { TrainingCurve } from './curves.ts'
import { errorBetween, fewest, type Logged, type Smooth, type SmoothPoint, smooth } from './smooth.ts'

/** What is called memorization. */
export type Criterion = 'validation' | 'copies'

/** The memorization time of one training, in steps. */
export type Memorization =
  /** `low` and `high`: about 95 %, from the noise of the curve and the distance of logged steps. */
  | { readonly kind: 'found'; readonly tau: number; readonly low: number; readonly high: number }
  /** Not yet at the last logged step `tau`; it may lie anywhere above `low`. */
  | { readonly kind: 'above'; readonly tau: number; readonly low: number }
  /** The curve says nothing about it. */
  | { readonly kind: 'unknown'; readonly reason: string }

/** A rise or fall counts from so many standard errors on. */
const clear = 3
/**
 * Steps within so many standard errors of the minimum may be the minimum. About a parabola one would be enough for 95 % (its place
 * has an error of noise over curvature); on flat and noisy curves it takes half an error more.
 */
const near = 1.5
/** Logged steps that must follow the steps that may be the minimum. */
const fewestAfter = 2

/** The steps about `x` with the distance of logged steps added: what lies between two of them was not seen. */
function widened(logged: readonly Logged[], x: number, low: number, high: number): [number, number, number] {
  const after = logged.findIndex((one) => one.x > x)
  const next = after < 0 ? logged.length - 1 : Math.max(1, after)
  const half = (logged[next]!.x - logged[next - 1]!.x) / 2
  return [x, x - Math.hypot(x - low, half), x + Math.hypot(high - x, half)]
}

const found = ([x, low, high]: readonly [number, number, number]): Memorization => ({
  kind: 'found',
  ...{ tau: Math.exp(x), low: Math.exp(low), high: Math.exp(high) },
})

/**
 * The step of the validation loss's minimum, where a clear rise follows: the smooth curve ends more than three standard errors
 * above it. Steps at which the curve is within one and a half standard errors of the minimum may be the minimum.
 */
function minimumOf(logged: readonly Logged[], curve: Smooth): Memorization {
  const best = curve.grid.reduce((least, point) => (point.value < least.value ? point : least))
  const noise = curve.noiseAt(best.x)
  // sums of rounded numbers are not exact: what is equal may differ by this
  const rounding = 1e-9 * Math.max(...curve.logged.map(({ y }) => Math.abs(y)))
  const above = (point: SmoothPoint, errors: number): boolean =>
    point.value - best.value > errors * errorBetween(point, best, noise) + rounding
  const basin = curve.grid.filter((point) => !above(point, near))
  const [low, high] = [basin[0]!.x, basin.at(-1)!.x]
  const last = curve.grid.at(-1)!
  const after = curve.logged.filter(({ x }) => x > high).length
  if (!above(last, clear) || after < fewestAfter)
    return { kind: 'above', tau: Math.exp(logged.at(-1)!.x), low: Math.exp(low) }
  if (!above(curve.grid[0]!, clear))
    return {
      kind: 'unknown',
      reason: `the validation loss does not clearly fall after the first logged step ${Math.round(Math.exp(logged[0]!.x))}: log earlier steps`,
    }
  return found(widened(curve.logged, best.x, low, high))
}

/**
 * The step at which copies first reach `share`, straight in ln(step) between logged steps, where the next logged step agrees.
 * From the first touch to the last time below it, and what the noise of the copies makes of their slope, is its interval.
 */
function onsetOf(logged: readonly Logged[], around: Smooth, share: number): Memorization {
  const reaches = logged.findIndex(
    ({ y }, i) => y >= share && (i + 1 === logged.length || logged[i + 1]!.y >= share),
  )
  if (reaches < 0) {
    const touch = logged.findIndex(({ y }) => y >= share)
    const last = Math.exp(logged.at(-1)!.x)
    return { kind: 'above', tau: last, low: touch > 0 ? Math.exp(logged[touch - 1]!.x) : last }
  }
  if (reaches === 0)
    return {
      kind: 'unknown',
      reason: `copies reach the share at the first logged step ${Math.round(Math.exp(logged[0]!.x))}: log earlier steps`,
    }
  const curve = logged.map(({ x, y }) => ({ x: Math.exp(x), y }))
  // `crossing` asks for the last time below: cut the curve where the share is first reached for two steps
  const x = Math.log(crossing(curve.slice(0, reaches + 1), share)!)
  const touch = logged.findIndex(({ y }) => y >= share)
  const final = crossing(curve, share)
  const [low, high] = [
    touch < reaches ? (logged[touch - 1]?.x ?? logged[0]!.x) : x,
    Math.max(x, final === null ? logged.at(-1)!.x : Math.log(final)),
  ]
  const { slope, weights } = around.at(x)
  const error = around.noiseAt(x) * Math.hypot(...weights)
  // where copies do not rise the distance of logged steps is all that is known
  const half = slope > 0 ? (2 * error) / slope : 0
  return found(widened(logged, x, Math.min(low, x - half), Math.max(high, x + half)))
}

/** The logged values that a criterion looks at. */
export const loggedOf = ({ steps }: TrainingCurve, by: Criterion): Logged[] =>
  steps.flatMap(({ step, validationLoss, copies }) => {
    const y = by === 'copies' ? copies : validationLoss
    return y === null ? [] : [{ x: Math.log(step), y }]
  })

const nameOf = (by: Criterion): string => (by === 'copies' ? 'share of copies' : 'validation loss')

/** When a training begins to memorize. `share` is the share of copies above chance that counts as onset. */
export function memorizationOf(curve: TrainingCurve, by: Criterion, share: number): Memorization {
  const logged = loggedOf(curve, by)
  const around = smooth(logged)
  if (logged.length === 0) return { kind: 'unknown', reason: `no ${nameOf(by)} is logged` }
  if (!around)
    return {
      kind: 'unknown',
      reason: `${logged.length} logged steps with ${nameOf(by)}; at least ${fewest} are needed that are not close together`,
    }
  const time = by === 'copies' ? onsetOf(logged, around, share) : minimumOf(logged, around)
  if (time.kind !== 'above') return time
  // the step itself: e^ln(step) is not exact
  const { step } = curve.steps.findLast(
    (one) => (by === 'copies' ? one.copies : one.validationLoss) !== null,
  )!
  return { ...time, tau: step, low: Math.min(time.low, step) }
}
