/** @file The law tau = a·P^b through memorization times and its bend, predictions for another P, and each P as the others predict it. */
import { studentQuantile } from '../study/estimate.ts'
import { distinct, groupBy } from '../study/rows.ts'
import { fitLine, type Line, lineAt, type Observation } from './censored.ts'
import { mixtureOf } from './drift.ts'
import type { Criterion, Memorization } from './memorization.ts'

/** The memorization time of one training on P examples. */
interface Located {
  readonly P: number
  readonly seed: string
  readonly time: Memorization
}

/** A number of steps with its 95 % interval. */
export interface Steps95 {
  readonly P: number
  readonly tau: number
  readonly low: number
  readonly high: number
}

/** The memorization time at one P, over its trainings. */
export interface StopPoint {
  readonly P: number
  readonly tau: number
  readonly low: number
  /** null where there is no end: of a bound. */
  readonly high: number | null
  /** `above`: in no training yet; `tau` is the last logged step of the one that got least far. */
  readonly bound: null | 'above'
  /** Trainings that count: found, and not yet. */
  readonly found: number
  readonly bounds: number
}

/** How much the exponent grows with each doubling of P, with its 95 % interval. */
export interface Bend {
  readonly value: number
  readonly low: number
  readonly high: number
}

/** The law of some memorization times: a straight one, how it bends, and what it says for other P if it may bend. */
export interface StopLaw {
  readonly a: number
  readonly b: number
  /** 95 % interval of b. */
  readonly bLow: number
  readonly bHigh: number
  /** Standard error of b, its scale included. */
  readonly bError: number
  /** Times by which the scatter about the straight law exceeds what the curves and seeds say; 1 where it does not. */
  readonly scale: number
  /** Standard deviation of ln(tau) from training to training at the same P. */
  readonly runToRun: number
  /** From the times alone; undefined for fewer than three P with a memorization time. */
  readonly bend: Bend | undefined
  /** Probability that the law is straight, given the times and that one law in four is. */
  readonly straight: number
  /** The exponent at P, d ln(tau)/d ln(P), over one doubling. */
  exponentAt(P: number): number
  /** tau of another training on P examples, with its 95 % interval. */
  predict(P: number): Steps95
  /** The law itself at P, with its 95 % interval. */
  at(P: number): Steps95
}

/** What some trainings say by one criterion. */
export interface MarkFindings {
  readonly by: Criterion
  readonly located: readonly Located[]
  readonly points: readonly StopPoint[]
  /** undefined for fewer than two P with a memorization time. */
  readonly law: StopLaw | undefined
}

/**
 * Before any P has several seeds: trainings at the same P differ by 15 % (measured in eight pairs of trainings on images and
 * grammars: 5 to 20 %). It counts as much as these pairs.
 */
export const assumedScatter = { runToRun: 0.15, freedom: 8 } as const
/** From so many degrees of freedom on seeds may show more scatter than is assumed. */
const fewestPairs = 3
/** Half the width of a 95 % interval of a normal distribution, in standard deviations. */
const normal95 = studentQuantile(Number.POSITIVE_INFINITY)

type Found = Extract<Memorization, { kind: 'found' }>
const errorOf = ({ low, high }: Found): number => Math.log(high / low) / (2 * normal95)

interface Scatter {
  /** Variance of ln(tau) from training to training. */
  readonly variance: number
  readonly freedom: number
  /** Usual variance of locating tau on a curve. */
  readonly location: number
}

const foundOnly = (all: readonly Located[]): { P: number; x: number; y: number; error: number }[] =>
  all.flatMap(({ P, time }) =>
    time.kind === 'found' ? [{ P, x: Math.log(P), y: Math.log(time.tau), error: errorOf(time) }] : [],
  )

/** How far trainings at the same P are apart beyond what locating tau explains, together with what is assumed. */
function scatterOf(all: readonly Located[]): Scatter {
  const found = foundOnly(all)
  const location = found.reduce((sum, { error }) => sum + error ** 2, 0) / found.length
  let squares = 0
  let freedom = 0
  for (const { rows } of groupBy(found, 'P')) {
    const centre = rows.reduce((sum, { y }) => sum + y, 0) / rows.length
    const own = rows.reduce((sum, { error }) => sum + error ** 2, 0) / rows.length
    squares += rows.reduce((sum, { y }) => sum + (y - centre) ** 2, 0) - (rows.length - 1) * own
    freedom += rows.length - 1
  }
  const prior = assumedScatter.freedom * assumedScatter.runToRun ** 2
  const together = Math.max(0, prior + squares) / (assumedScatter.freedom + freedom)
  return {
    // enough seeds that show more scatter than is assumed are believed
    variance: freedom >= fewestPairs ? Math.max(together, squares / freedom) : together,
    freedom: assumedScatter.freedom + freedom,
    location,
  }
}

type Errors = Pick<Scatter, 'variance' | 'location'>

function observationsOf(all: readonly Located[], { variance, location }: Errors): Observation[] {
  return all.flatMap(({ P, time }): Observation[] => {
    if (time.kind === 'unknown') return []
    const x = Math.log(P)
    if (time.kind === 'above')
      return [{ x, y: Math.log(time.low), error: Math.sqrt(location + variance), isBound: true }]
    return [
      { x, y: Math.log(time.tau), error: Math.hypot(errorOf(time), Math.sqrt(variance)), isBound: false },
    ]
  })
}

/** The memorization time at each P: the most likely one over its trainings. */
export function pointsOf(all: readonly Located[]): StopPoint[] {
  const scatter = foundOnly(all).length > 0 ? scatterOf(all) : undefined
  return groupBy(all, 'P').flatMap(({ key: { P }, rows }): StopPoint[] => {
    const bounds = rows.flatMap(({ time }) => (time.kind === 'above' ? [time] : []))
    const found = rows.filter(({ time }) => time.kind === 'found').length
    const counts = { found, bounds: bounds.length }
    if (found > 0) {
      const line = fitLine(observationsOf(rows, scatter!), 0)
      const half = studentQuantile(scatter!.freedom) * Math.sqrt(line.varIntercept)
      const [tau, low, high] = [0, -half, half].map((shift) => Math.exp(line.intercept + shift))
      return [{ ...{ P, bound: null }, tau: tau!, low: low!, high: high!, ...counts }]
    }
    if (bounds.length === 0) return []
    const least = bounds.reduce((first, one) => (one.low < first.low ? one : first))
    return [{ ...{ P, bound: 'above', high: null }, tau: least.tau, low: least.low, ...counts }]
  })
}

/** Misfit of the law: squares of P's mean distances in their errors, and of bounds that it should have reached. */
function misfitOf(observations: readonly Observation[], line: Line): number {
  return groupBy(observations, 'x').reduce((sum, { key: { x }, rows }) => {
    const values = rows.filter(({ isBound }) => !isBound)
    if (values.length === 0)
      return sum + Math.max(...rows.map(({ y, error }) => Math.max(0, (y - lineAt(line, x)) / error))) ** 2
    const mean = fitLine(values, 0)
    return sum + (mean.intercept - lineAt(line, x)) ** 2 / mean.varIntercept
  }, 0)
}

/** Errors grow by this factor (squared) where points scatter more about a curve than they say, over degrees of freedom. */
const scaleOf = (misfit: number, freedom: number): number => (freedom > 0 ? Math.max(1, misfit / freedom) : 1)

/** The bend of the parabola through the times of `count` P. Bounds count as what they are. */
function bendOf(observations: readonly Observation[], count: number, freedom: number): Bend | undefined {
  if (count < 3) return undefined
  const parabola = fitLine(observations, 2)
  const rest = count - 3
  const scale = scaleOf(misfitOf(observations, parabola), rest)
  // the slope of c·x² in ln(P) grows by 2·c·ln(2) in a doubling
  const unit = 2 * Math.LN2
  const value = unit * parabola.bend
  const half = unit * studentQuantile(freedom + rest) * Math.sqrt(scale * parabola.varBend)
  return { value, low: value - half, high: value + half }
}

/**
 * The law through at least two P with a memorization time; undefined for fewer. Bounds count as what they are. Where the scatter
 * about the straight law is larger than the errors of the points, the error of b grows with it. (Particle Data Group 2024,
 * section 5.2.2) Predictions are of laws that may bend.
 */
export function lawOf(all: readonly Located[]): StopLaw | undefined {
  const count = distinct(foundOnly(all), 'P').length
  if (count < 2) return undefined
  const scatter = scatterOf(all)
  const observations = observationsOf(all, scatter)
  const line = fitLine(observations)
  const rest = count - 2
  const scale = scaleOf(misfitOf(observations, line), rest)
  const quantile = studentQuantile(scatter.freedom + rest)
  const bError = Math.sqrt(scale * line.varSlope)
  // the scatter is known from few trainings: a normal distribution as wide as Student's t
  const variance = scatter.variance * (studentQuantile(scatter.freedom) / normal95) ** 2
  const bending = mixtureOf(observationsOf(all, { variance, location: scatter.location }))
  const within = (P: number, extra: number): Steps95 => {
    const { mean, low, high } = bending.at(Math.log(P), extra)
    return { P, tau: Math.exp(mean), low: Math.exp(low), high: Math.exp(high) }
  }
  return {
    a: Math.exp(lineAt(line, 0)),
    ...{ b: line.slope, bLow: line.slope - quantile * bError, bHigh: line.slope + quantile * bError, bError },
    ...{ scale: Math.sqrt(scale), runToRun: Math.sqrt(scatter.variance) },
    ...{ bend: bendOf(observations, count, scatter.freedom), straight: bending.straight },
    exponentAt: (P) => Math.log2(within(P * Math.SQRT2, 0).tau / within(P / Math.SQRT2, 0).tau),
    predict: (P) => within(P, variance + scatter.location),
    at: (P) => within(P, 0),
  }
}

/** A P, and what the others predict for it. */
export interface LeftOut extends StopPoint {
  readonly predicted: number
  readonly predictedLow: number
  readonly predictedHigh: number
}

/** Each P with a memorization time, as the law of the others predicts it; empty where the others have no law. */
export function leaveOneOut(all: readonly Located[]): LeftOut[] {
  return pointsOf(all).flatMap((point): LeftOut[] => {
    const law = point.bound === null ? lawOf(all.filter(({ P }) => P !== point.P)) : undefined
    if (!law) return []
    const { tau, low, high } = law.predict(point.P)
    return [{ ...point, predicted: tau, predictedLow: low, predictedHigh: high }]
  })
}
