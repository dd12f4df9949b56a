/** @file What must be said beside the numbers of a plan: what was left out, what is assumed, what disagrees, what to train. */
import { fixed, formatNumber, percent } from '../../base/index.ts'
import { distinct } from '../study/rows.ts'
import {
  assumedScatter,
  type Bend,
  type LeftOut,
  lawOf,
  type MarkFindings,
  type Steps95,
  type StopLaw,
  type StopPoint,
} from './law.ts'
import type { Criterion } from './memorization.ts'

/** A number of steps for people: three significant digits. */
export const shownSteps = (steps: number): string => {
  const short = Number(steps.toPrecision(3))
  return formatNumber(steps < 10 ? short : Math.round(short))
}

/** Steps to plan for: two significant digits. */
const about = (steps: number): string => formatNumber(Number(steps.toPrecision(2)))

/** The factor by which an interval goes below and above its middle. */
export const widthOf = ({ low, high }: Steps95): number => Math.sqrt(high / low)

/** What marks the memorization time, in words. */
export const markOf = (by: Criterion): string =>
  by === 'copies' ? 'onset of copies' : 'minimum of the validation loss'

/** `0.56 (95 % 0.39 to 0.73)` */
export const shownExponent = ({ b, bLow, bHigh }: StopLaw): string =>
  `${fixed(b, 2)} (95 % ${fixed(bLow, 2)} to ${fixed(bHigh, 2)})`

/** `0.38 (95 % 0.20 to 0.56)`: change of the exponent with each doubling of P. */
export const shownBend = ({ value, low, high }: Bend): string =>
  `${fixed(value, 2)} (95 % ${fixed(low, 2)} to ${fixed(high, 2)})`

/** How the exponent lies to 1, at which tau grows as P. */
export function besideOne({ bLow, bHigh }: StopLaw): string {
  if (bLow > 1) return 'above 1: tau grows faster than P'
  return bHigh < 1 ? 'below 1: tau grows more slowly than P' : '1 is within: tau may be proportional to P'
}

/** A rise is clear at about three times the memorization time. */
const untilClear = 3
/** Where nothing says when memorization begins, trainings go on to this multiple of their steps. */
const blindly = 4
/** Predictions beyond this factor of the largest P are named. */
const farOut = 8
/** An interval that goes so many times below and above its prediction is too wide to plan with. */
const tooWide = 5
/** Two exponents differ from so many standard errors on. */
const differ = 1.96
/** An exponent on the safe side where none was measured: images reach 1.6. */
const safeExponent = 1.5

const foundPoints = ({ points }: Pick<MarkFindings, 'points'>): StopPoint[] =>
  points.filter(({ bound }) => bound === null)

/** Trainings that say nothing, and those that have not come so far. */
function onCurves({ by, located, points, law }: MarkFindings): string[] {
  const unknown = located.flatMap(({ P, seed, time }) => {
    if (time.kind !== 'unknown') return []
    const several = located.filter((one) => one.P === P).length > 1
    return [`P=${formatNumber(P)}${several ? ` (${seed})` : ''}: left out: ${time.reason}`]
  })
  const bounds = points.flatMap(({ P, tau, low, bound, found, bounds: count }) => {
    if (count === 0) return []
    const which = bound ? '' : `${count} of ${count + found} trainings: `
    const least = located.reduce(
      (least, one) => (one.P === P && one.time.kind === 'above' ? Math.min(least, one.time.tau) : least),
      Number.POSITIVE_INFINITY,
    )
    const far = law ? Math.max(untilClear * law.predict(P).tau, 2 * least) : blindly * least
    const since = bound && low < 0.9 * tau ? ` (it may lie anywhere above ${shownSteps(low)})` : ''
    return [
      `P=${formatNumber(P)}: ${which}no ${by === 'copies' ? 'onset of copies' : 'minimum followed by a clear rise'} by step ${shownSteps(least)}${since}; it counts as a bound: train on to about ${about(far)} steps to see it`,
    ]
  })
  return [...unknown, ...bounds]
}

/** What the intervals stand on. */
function onErrors(found: MarkFindings, checks: readonly LeftOut[]): string[] {
  const { law, points } = found
  if (!law) return []
  const known = foundPoints(found)
  const notes: string[] = []
  if (known.length === 2)
    notes.push(
      `two P with a memorization time: nothing checks that the law is straight; train a third, such as P=${formatNumber(2 * known[1]!.P)} to about ${about(untilClear * law.predict(2 * known[1]!.P).tau)} steps`,
    )
  if (points.every((point) => point.found < 2))
    notes.push(
      `no P has two seeds: trainings at the same P are taken to differ by ${percent(assumedScatter.runToRun, 0)}; log a second seed to measure it`,
    )
  if (law.scale > 1.2)
    notes.push(
      `the points lie ${fixed(law.scale, 1)} times as far from a straight law as their errors say; the interval of b is wider by this factor`,
    )
  const { bend } = law
  if (bend && (bend.low > 0 || bend.high < 0)) {
    const [first, last] = [known[0]!.P, known.at(-1)!.P]
    const [from, to] = [first, last].map((P) => fixed(law.exponentAt(P), 2))
    notes.push(
      `the law bends: its exponent changes by ${shownBend(bend)} with each doubling of P, from about ${from} at P=${formatNumber(first)} to ${to} at P=${formatNumber(last)}; b is a mean over these P; predictions begin with the last exponent and drift towards 1`,
    )
  }
  const outside = checks.filter(
    ({ tau, predictedLow, predictedHigh }) => tau < predictedLow || tau > predictedHigh,
  )
  for (const { P, tau, predictedLow, predictedHigh } of outside)
    notes.push(
      `P=${formatNumber(P)}: tau ${shownSteps(tau)} lies outside what the other P predict (${shownSteps(predictedLow)} to ${shownSteps(predictedHigh)}): the exponent changes more than the other P show, do not trust the law far from the measured P`,
    )
  for (const { P, low, bound } of points) {
    const high = law.predict(P).high
    if (bound && low > high)
      notes.push(
        `P=${formatNumber(P)}: memorization begins above step ${shownSteps(low)}, the law expects at most ${shownSteps(high)}: the law bends, do not extrapolate it`,
      )
  }
  return notes
}

/** Where the two criteria do not tell the same story. */
function onDisagreement(own: MarkFindings, beside: MarkFindings | undefined): string[] {
  if (!own.law || !beside?.law) return []
  const [first, second] = own.by === 'validation' ? [own, beside] : [beside, own]
  const [minimum, copies] = [first.law!, second.law!]
  const gap = minimum.b - copies.b
  if (Math.abs(gap) < differ * Math.hypot(minimum.bError, copies.bError)) return []
  const ratios = foundPoints(first).flatMap(({ P, tau }) => {
    const other = foundPoints(second).find((point) => point.P === P)
    return other ? [other.tau / tau] : []
  })
  const range =
    ratios.length > 0
      ? ` (${[Math.min(...ratios), Math.max(...ratios)].map((x) => fixed(x, 1)).join(' to ')} times tau of the minimum)`
      : ''
  return [
    `the two marks disagree: the minimum of the validation loss grows as P^${fixed(minimum.b, 2)}, the onset of copies as P^${fixed(copies.b, 2)}${range}. ${
      gap < 0
        ? 'The minimum may belong to an early regime in which the network generalizes only in part; copies mark memorization itself'
        : 'Copies begin before the validation loss says so at small P; stop by the earlier of both'
    }`,
  ]
}

/** What to train so that the interval for P narrows enough to plan with: the first P, by doublings from the largest measured one. */
function nearerTo(P: number, { located, law, points }: MarkFindings): string {
  const largest = foundPoints({ points }).at(-1)!.P
  for (let next = 2 * largest; next < P; next *= 2) {
    const { tau } = law!.predict(next)
    const time = { kind: 'found', tau, low: tau, high: tau } as const
    const trained = lawOf([...located, ...['a', 'b'].map((seed) => ({ P: next, seed, time }))])!.predict(P)
    if (widthOf(trained) <= tooWide)
      return `train two seeds of P=${formatNumber(next)} to about ${about(untilClear * tau)} steps; should they agree with the law, the factor is ${shownFactor(trained)}`
  }
  return 'train more seeds of the largest P'
}

const shownFactor = (one: Steps95): string => formatNumber(Number(widthOf(one).toPrecision(2)))

/** Everything to say about a plan. */
export function notesOn(
  own: MarkFindings,
  beside: MarkFindings | undefined,
  checks: readonly LeftOut[],
  at: readonly number[],
): string[] {
  const largest = foundPoints(own).at(-1)?.P
  const { law } = own
  const far = law && largest ? at.filter((P) => P > farOut * largest) : []
  const wide = law ? at.map(law.predict).filter((one) => widthOf(one) > tooWide) : []
  return [
    ...onCurves(own),
    ...onErrors(own, checks),
    ...onDisagreement(own, beside),
    ...far.map(
      (P) =>
        `P=${formatNumber(P)} is ${formatNumber(Number((P / largest!).toPrecision(2)))} times the largest P with a memorization time: nothing here checks the law so far out`,
    ),
    ...wide.map(
      (one) =>
        `P=${formatNumber(one.P)}: the interval goes a factor ${shownFactor(one)} each way: too wide to plan with; ${nearerTo(one.P, own)}`,
    ),
  ]
}

/** Why there is no law, and what to train instead; the other mark where that has a law. */
export function adviceFor(found: MarkFindings, beside?: MarkFindings): string {
  const other = beside?.law ? `; by the ${markOf(beside.by)} there is a law (--by ${beside.by})` : ''
  return `${missingIn(found)}${other}`
}

function missingIn(found: MarkFindings): string {
  const { by, located, points } = found
  const known = foundPoints(found)
  const what =
    by === 'copies' ? 'an onset of copies' : 'a minimum of the validation loss that a clear rise follows'
  const none = 'so there is no law to extrapolate'
  if (known.length === 0) {
    const first = points[0]
    if (!first) {
      const { time } = located[0]!
      return `no training shows ${what}, ${none}: P=${formatNumber(located[0]!.P)}: ${time.kind === 'unknown' ? time.reason : ''}`
    }
    const more = distinct(located, 'P').length > 1 ? '' : `, and P=${formatNumber(2 * first.P)} as well`
    return `no training shows ${what}, ${none}: train P=${formatNumber(first.P)}, which ends at step ${shownSteps(first.tau)}, on to about ${about(blindly * first.tau)} steps${more}`
  }
  const { P, tau } = known[0]!
  const until = (other: number): number => untilClear * tau * Math.max(1, other / P) ** safeExponent
  const bounded = points.find(({ bound }) => bound !== null)
  const [next, steps] = bounded
    ? [bounded.P, Math.max(until(bounded.P), 2 * bounded.tau)]
    : [2 * P, until(2 * P)]
  return `only P=${formatNumber(P)} shows ${what} (at step ${shownSteps(tau)}), and a law needs two P, better three: train P=${formatNumber(next)} ${bounded ? 'on ' : ''}to about ${about(steps)} steps${bounded ? '' : `, and P=${formatNumber(4 * P)} to about ${about(until(4 * P))}`}`
}
