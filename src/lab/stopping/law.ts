/** @file The law tau = a·P^b through memorization times, its prediction for another P, and each P as the others predict it. */
import { distinct, groupBy, studentQuantile } from '../study/index.ts'
import { fitLine, type Line, lineAt, type Observation, varianceAt } from './censored.ts'
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

/** The law of some memorization times. */
export interface StopLaw {
  readonly a: number
  readonly b: number
  /** 95 % interval of b. */
  readonly bLow: number
  readonly bHigh: number
  /** Standard error of b, its scale included. */
  readonly bError: number
  /** Times by which the scatter about the law exceeds what the curves and seeds say; 1 where it does not. */
  readonly scale: number
  /** Standard deviation of ln(tau) from training to training at the same P. */
  readonly runToRun: number
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

function observationsOf(all: readonly Located[], { variance, location }: Scatter): Observation[] {
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
      const line = fitLine(observationsOf(rows, scatter!), { flat: true })
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
    const mean = fitLine(values, { flat: true })
    return sum + (mean.intercept - lineAt(line, x)) ** 2 / mean.varIntercept
  }, 0)
}

/**
 * The law through at least two P with a memorization time; undefined for fewer. Bounds count as what they are. Where the scatter
 * about the line is larger than the errors of the points, all errors grow with it. (Particle Data Group 2024, section 5.2.2)
 */
export function lawOf(all: readonly Located[]): StopLaw | undefined {
  const count = distinct(foundOnly(all), 'P').length
  if (count < 2) return undefined
  const scatter = scatterOf(all)
  const observations = observationsOf(all, scatter)
  const line = fitLine(observations)
  const rest = count - 2
  const scale = rest > 0 ? Math.max(1, misfitOf(observations, line) / rest) : 1
  const quantile = studentQuantile(scatter.freedom + rest)
  const bError = Math.sqrt(scale * line.varSlope)
  const within = (P: number, extra: number): Steps95 => {
    const x = Math.log(P)
    const centre = lineAt(line, x)
    const half = quantile * Math.sqrt(scale * (varianceAt(line, x) + extra))
    return { P, tau: Math.exp(centre), low: Math.exp(centre - half), high: Math.exp(centre + half) }
  }
  return {
    a: Math.exp(lineAt(line, 0)),
    ...{ b: line.slope, bLow: line.slope - quantile * bError, bHigh: line.slope + quantile * bError, bError },
    ...{ scale: Math.sqrt(scale), runToRun: Math.sqrt(scatter.variance) },
    predict: (P) => within(P, scatter.variance + scatter.location),
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
