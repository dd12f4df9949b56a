/** @file When a network memorizes and when it learns rules, from the looks at it. */
import { levelThreshold, validityOverChance } from '../../grammar/index.ts'
import {
  type Drawn,
  type Estimate,
  fallsBelow,
  geometricMean,
  geometricMeanOverReplicas,
  groupBy,
  jackknife,
  type Measured,
  peakOf,
  powerOf,
  replicasOf,
} from '../../lab/index.ts'
import { type Cell, fullShape } from './cells.ts'
import type { CurveRow, Row } from './measure.ts'

export type Found<R extends Row = Row> = Measured<Cell, R>
export type CurveFound = Found<CurveRow>

/** Looks of one network, in order. */
const ordered = (looks: readonly CurveFound[]): CurveFound[] => looks.toSorted((a, b) => a.step - b.step)

/** The step at which a value first passes a level, straight in ln step between looks; NaN where it does not. */
const passes = (looks: readonly CurveFound[], value: (look: CurveFound) => number, level: number): number =>
  fallsBelow(
    ordered(looks).map((look) => ({ x: look.step, y: -value(look) })),
    -level,
  )

/** The share of copies above chance that counts as the onset of memorization. */
export const onsets = [0.02, 0.05] as const

/** τ_mem of one network by its copies; NaN where they have not come. */
export const copyTime = (looks: readonly CurveFound[], share: number): number =>
  passes(looks, ({ copies }) => copies, share)

/** The step of the least validation loss, by a parabola in ln step; NaN where it is the last look, a bound. */
export function validationTime(looks: readonly CurveFound[]): number {
  const rows = ordered(looks)
  const losses = rows.map(({ validationLoss }) => validationLoss)
  if (losses.indexOf(Math.min(...losses)) === rows.length - 1) return Number.NaN
  return Math.exp(peakOf({ x: rows.map(({ step }) => Math.log(step)), y: losses.map((loss) => -loss) }).at)
}

/** The look with the least validation loss. */
export const bestLook = (looks: readonly CurveFound[]): CurveFound =>
  looks.reduce((best, look) => (look.validationLoss < best.validationLoss ? look : best))

/** How much of the rules up to a height is learned, by what is generated. */
export const learnedShare = (look: CurveFound, height: number): number =>
  validityOverChance(fullShape(look), height, look.validity[height - 1]!)

/**
 * P*_ℓ: strings from which level ℓ can be learned, v m^(ℓ+1)/(1 − f) for ℓ ≥ 2 (Favero et al. 2025). At ℓ = 1 there is no symbol to
 * know yet, and v m/(1 − f) is what every learner takes.
 */
export const affordable = (cell: Pick<Cell, 'm' | 'v' | 'L'>, height: number): number =>
  levelThreshold(fullShape(cell), height === 1 ? 'cnn' : 'diffusion', height)

/** The step at which half of a level is learned. */
export const ruleTime = (looks: readonly CurveFound[], height: number): number =>
  passes(looks, (look) => learnedShare(look, height), 0.5)

/** P of rows, rising. */
export const countsOf = (rows: readonly Drawn[]): { P: number; rows: CurveFound[] }[] =>
  groupBy(rows as readonly CurveFound[], 'P')
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
export function powerLaw(
  rows: readonly CurveFound[],
  time: (looks: readonly CurveFound[]) => number,
): PowerLaw | undefined {
  const usable = countsOf(rows).filter(({ rows: own }) =>
    replicasOf(own).every((looks) => Number.isFinite(time(looks))),
  )
  if (usable.length < 3) return undefined
  const within = usable.flatMap(({ rows: own }) => own)
  const pointsOf = (some: readonly CurveFound[]) =>
    countsOf(some).map(({ P, rows: own }) => [P, geometricMeanOverReplicas(own, time).value] as const)
  const exponent = jackknife(within, (some) => powerOf(pointsOf(some)).value)
  const factor = geometricMean(pointsOf(within).map(([P, at]) => at / P ** exponent.value)).value
  return { exponent, factor, counts: usable.map(({ P }) => P) }
}

/** The exponent of a time of kernel regression in P. */
export const kernelExponent = (
  rows: readonly Found<Extract<Row, { of: 'kernel' }>>[],
  which: 'random' | 'smooth',
): Estimate =>
  jackknife(
    rows,
    (some) =>
      powerOf(
        groupBy(some, 'P').map(({ key, rows: own }) => [
          key.P,
          geometricMean(own.map((row) => row[which])).value,
        ]),
      ).value,
  )
