/** @file When a network memorizes and when it learns rules, from the looks at it. */
import { levelThreshold, validityOverChance } from '../../grammar/index.ts'
import { type Estimate, geometricMean, groupBy, jackknife, type Measured, powerOf } from '../../lab/index.ts'
import { passes } from '../onset/times.ts'
import { type Cell, fullShape } from './cells.ts'
import type { CurveRow, Row } from './measure.ts'

export type Found<R extends Row = Row> = Measured<Cell, R>
export type CurveFound = Found<CurveRow>

/** The shares of copies above chance that count as the onset of memorization. */
export const onsets = [0.02, 0.05] as const

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
