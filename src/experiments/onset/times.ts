/** @file When a network begins to memorize, from the looks at it, and how that grows with the number of its data. */
import {
  type Drawn,
  type Estimate,
  fallsBelow,
  geometricMean,
  geometricMeanOverReplicas,
  groupBy,
  jackknife,
  peakOf,
  powerOf,
  replicasOf,
} from '../../lab/index.ts'

/** One look at a network that was trained on P data. */
export interface Looked extends Drawn {
  readonly P: number
  readonly step: number
  readonly validationLoss: number
  /** Share of what is generated that is a copy of what is trained on, less what is so by chance. */
  readonly copies: number
}

/** Looks of one network, in order. */
const ordered = <R extends Looked>(looks: readonly R[]): R[] => looks.toSorted((a, b) => a.step - b.step)

/** The step at which a value first passes a level, straight in ln step between looks; NaN where it does not. */
export const passes = <R extends Looked>(
  looks: readonly R[],
  value: (look: R) => number,
  level: number,
): number =>
  fallsBelow(
    ordered(looks).map((look) => ({ x: look.step, y: -value(look) })),
    -level,
  )

/** τ_mem of one network by its copies; NaN where they have not come. */
export const copyTime = (looks: readonly Looked[], share: number): number =>
  passes(looks, ({ copies }) => copies, share)

/** The step of the least validation loss, by a parabola in ln step; NaN where it is the last look, a bound. */
export function validationTime(looks: readonly Looked[]): number {
  const rows = ordered(looks)
  const losses = rows.map(({ validationLoss }) => validationLoss)
  if (losses.indexOf(Math.min(...losses)) === rows.length - 1) return Number.NaN
  return Math.exp(peakOf({ x: rows.map(({ step }) => Math.log(step)), y: losses.map((loss) => -loss) }).at)
}

/** Enough is seen once more than this share is copied and the validation loss has turned. */
export function isOver(looks: readonly Pick<Looked, 'copies' | 'validationLoss'>[], share: number): boolean {
  const least = Math.min(...looks.map(({ validationLoss }) => validationLoss))
  const { copies, validationLoss } = looks.at(-1)!
  return copies > share && validationLoss > 1.02 * least
}

/** A time of a network, by name. */
export type Kind<R extends Looked> = readonly [name: string, time: (looks: readonly R[]) => number]

/** The times that are held against P: of copies of each share, rising, and of the least validation loss. */
export const onsetKinds = <R extends Looked>(shares: readonly number[]): readonly Kind<R>[] => [
  ...shares.map((share): Kind<R> => [`copies of ${share * 100} %`, (looks) => copyTime(looks, share)]),
  ['least validation loss', validationTime],
]

/** The look with the least validation loss. */
export const bestLook = <R extends Pick<Looked, 'validationLoss'>>(looks: readonly R[]): R =>
  looks.reduce((best, look) => (look.validationLoss < best.validationLoss ? look : best))

/** P of rows, rising. */
export const countsOf = <R extends Looked>(rows: readonly R[]): { P: number; rows: R[] }[] =>
  groupBy(rows, 'P')
    .map(({ key, rows: own }) => ({ P: key.P, rows: own }))
    .sort((a, b) => a.P - b.P)

/** A power law τ = a P^b. */
export interface PowerLaw {
  readonly exponent: Estimate
  /** a, for the drawn line. */
  readonly factor: number
  /** P with a time in every replica; the others are bounds and are left out. */
  readonly counts: readonly number[]
}

/** The power law of a time over the P at which every replica has it; undefined with fewer than three. */
export function powerLaw<R extends Looked>(
  rows: readonly R[],
  time: (looks: readonly R[]) => number,
): PowerLaw | undefined {
  const usable = countsOf(rows).filter(({ rows: own }) =>
    replicasOf(own).every((looks) => Number.isFinite(time(looks))),
  )
  if (usable.length < 3) return undefined
  const within = usable.flatMap(({ rows: own }) => own)
  const pointsOf = (some: readonly R[]) =>
    countsOf(some).map(({ P, rows: own }) => [P, geometricMeanOverReplicas(own, time).value] as const)
  const exponent = jackknife(within, (some) => powerOf(pointsOf(some)).value)
  const factor = geometricMean(pointsOf(within).map(([P, at]) => at / P ** exponent.value)).value
  return { exponent, factor, counts: usable.map(({ P }) => P) }
}
