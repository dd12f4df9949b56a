/** @file Claims: an estimate held against theory, with one of three outcomes. The tolerance and its words are one thing. */
import { fixed } from '../../base/index.ts'
import { difference, type Estimate, exact, intervalOf } from './estimate.ts'

/** *holds*: the 95 % interval lies inside the tolerance; *fails*: outside; *undecided*: the error is too large to say. */
export type Outcome = 'holds' | 'fails' | 'undecided'

/** A claim put to the test. */
export interface Claim {
  /** What is claimed, with its tolerance in words. */
  readonly claim: string
  readonly measured: number | null
  /** One standard error; null where it is unknown. */
  readonly error: number | null
  readonly predicted: number | null
  /** Where the measured value may lie; null: no bound on this side. */
  readonly tolerance: readonly [low: number | null, high: number | null]
  /** The 95 % interval of the measured value; null: unbounded. */
  readonly interval: readonly [low: number | null, high: number | null]
  readonly outcome: Outcome
  /** True for a control: a case made to come out the other way, as it is claimed to. */
  readonly control: boolean
}

/** How far from theory a value may lie: by an amount, by a share of the theory, or by a factor. */
export type Tolerance = { readonly by: number } | { readonly share: number } | { readonly factor: number }

const plain = (value: number): string => String(Number(value.toPrecision(4)))

const inWords = (tolerance: Tolerance): string => {
  if ('by' in tolerance) return `within ${plain(tolerance.by)}`
  if ('share' in tolerance) return `within ${plain(100 * tolerance.share)} %`
  return `within a factor of ${plain(tolerance.factor)}`
}

function around(theory: number, tolerance: Tolerance): [low: number, high: number] {
  if ('by' in tolerance) return [theory - tolerance.by, theory + tolerance.by]
  const ends =
    'share' in tolerance
      ? [theory * (1 - tolerance.share), theory * (1 + tolerance.share)]
      : [theory / tolerance.factor, theory * tolerance.factor]
  return [Math.min(...ends), Math.max(...ends)]
}

const finite = (value: number): number | null => (Number.isFinite(value) ? value : null)
const bounds = ([low, high]: readonly [number, number]): [number | null, number | null] => [
  finite(low),
  finite(high),
]

/** Inside, outside, or neither. A value that is missing decides nothing. */
export function outcomeOf(
  [low, high]: readonly [number, number],
  [least, most]: readonly [number, number],
): Outcome {
  if (least <= low && high <= most) return 'holds'
  if (high < least || low > most) return 'fails'
  return 'undecided'
}

/** The ways to hold an estimate against theory. */
export interface Claiming {
  /** The value is that of theory, itself a number or an estimate whose error counts. */
  readonly equals: (theory: number | Estimate, tolerance: Tolerance) => Claim
  readonly atMost: (bound: number) => Claim
  readonly atLeast: (bound: number) => Claim
  readonly between: (low: number, high: number) => Claim
  /** The value is 0 for all that matters. */
  readonly vanishes: (tolerance: { readonly below: number }) => Claim
  /** The value differs from another estimate's by more than `by`. */
  readonly differsFrom: (other: Estimate, tolerance: { readonly by: number }) => Claim
}

function claiming(text: string, measured: Estimate, control: boolean): Claiming {
  const judged = (
    words: string,
    predicted: number | null,
    tolerance: readonly [number, number],
    held: Estimate = measured,
  ): Claim => {
    const interval = intervalOf(held)
    const { missing = 0, n = 0 } = held
    // a mean over those that have a number says so, and decides nothing: the others may have none for a reason
    const left = missing > 0 ? `; a number in ${n} of ${n + missing} draws` : ''
    return {
      claim: `${text} (${words}${left})`,
      measured: finite(measured.value),
      error: measured.error,
      predicted,
      tolerance: bounds(tolerance),
      interval: bounds(interval),
      outcome: missing > 0 ? 'undecided' : outcomeOf(interval, tolerance),
      control,
    }
  }
  const infinite = Number.POSITIVE_INFINITY
  return {
    equals(theory, tolerance) {
      const target = typeof theory === 'number' ? exact(theory) : theory
      // the error of the theory's own estimate widens the interval, not the tolerance
      const apart = difference(measured, target)
      const held: Estimate =
        target.error === 0
          ? measured
          : {
              ...apart,
              value: measured.value,
              ...(apart.interval && {
                interval: [apart.interval[0] + target.value, apart.interval[1] + target.value],
              }),
            }
      return judged(inWords(tolerance), finite(target.value), around(target.value, tolerance), held)
    },
    atMost: (bound) => judged(`at most ${plain(bound)}`, null, [-infinite, bound]),
    atLeast: (bound) => judged(`at least ${plain(bound)}`, null, [bound, infinite]),
    between: (low, high) => judged(`between ${plain(low)} and ${plain(high)}`, null, [low, high]),
    vanishes: ({ below }) => judged(`below ${plain(below)}`, 0, [-below, below]),
    differsFrom(other, { by }) {
      const apart = difference(measured, other)
      const [low, high] = intervalOf(apart)
      const outcome: Outcome =
        low > by || high < -by ? 'holds' : -by <= low && high <= by ? 'fails' : 'undecided'
      const words = `differs from ${fixed(other.value, 3)} by more than ${plain(by)}`
      const found = judged(words, null, [-infinite, infinite], apart)
      return { ...found, outcome: apart.missing ? 'undecided' : outcome }
    },
  }
}

/** `claim('what is measured', estimate).equals(theory, { share: 0.05 })`: text, tolerance and outcome at once. */
export const claim = (text: string, measured: Estimate): Claiming => claiming(text, measured, false)

/** The same for a control: a case made to come out the other way. It holds when it does. */
export const control = (text: string, measured: Estimate): Claiming => claiming(text, measured, true)
