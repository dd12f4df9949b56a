/** @file When a network memorizes and when it learns rules, from the looks at it. */
import {
  type Drawn,
  type Estimate,
  groupBy,
  jackknife,
  type Measured,
  overReplicas,
  peakOf,
  replicasOf,
} from '../../lab/index.ts'
import type { Cell, CurveRow, Row } from './measure.ts'

export type Found<R extends Row = Row> = Measured<Cell, R>
export type CurveFound = Found<CurveRow>

/** Looks of one network, in order. */
const ordered = (looks: readonly CurveFound[]): CurveFound[] => looks.toSorted((a, b) => a.step - b.step)

/** The step at which a value first reaches a level, linear in ln step between looks; NaN where it does not. */
function reaches(looks: readonly CurveFound[], value: (look: CurveFound) => number, level: number): number {
  const rows = ordered(looks)
  const after = rows.findIndex((row) => value(row) >= level)
  if (after <= 0) return Number.NaN
  const [a, b] = [rows[after - 1]!, rows[after]!]
  const share = (level - value(a)) / (value(b) - value(a))
  return Math.exp(Math.log(a.step) + share * Math.log(b.step / a.step))
}

/** The share of copies above chance that counts as the onset of memorization. */
export const onsets = [0.02, 0.05] as const

/** τ_mem of one network by its copies; NaN where they have not come. */
export const copyTime = (looks: readonly CurveFound[], share: number): number =>
  reaches(looks, ({ copies }) => copies, share)

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

/** Share f = m/v of the pairs of symbols that are legal. */
const legal = ({ m, v }: Pick<Cell, 'm' | 'v'>): number => m / v

/** A_ℓ on the scale on which random strings have 0 and those of the grammar 1: (A − A_0)/(1 − A_0), A_0 = f^(2^ℓ − 1). */
export function learnedShare(look: CurveFound, height: number): number {
  const chance = legal(look) ** (2 ** height - 1)
  return (look.validity[height - 1]! - chance) / (1 - chance)
}

/** P*_ℓ = v m^(ℓ+1)/(1 − f): strings from which level ℓ can be learned (Favero et al. 2025). */
export const affordable = (cell: Pick<Cell, 'm' | 'v'>, height: number): number =>
  (cell.v * cell.m ** (height + 1)) / (1 - legal(cell))

/** The step at which half of a level is learned. */
export const ruleTime = (looks: readonly CurveFound[], height: number): number =>
  reaches(looks, (look) => learnedShare(look, height), 0.5)

/** A time of the networks of one P: the geometric mean over replicas that have it; those without are counted as missing. */
export function timeAt(
  rows: readonly CurveFound[],
  time: (looks: readonly CurveFound[]) => number,
): Estimate {
  const logs = overReplicas(rows, (own) => Math.log(time(own)))
  const value = Math.exp(logs.value)
  return { ...logs, value, error: logs.error === null ? null : value * logs.error }
}

/** P of rows, rising. */
export const countsOf = (rows: readonly Drawn[]): { P: number; rows: CurveFound[] }[] =>
  groupBy(rows as readonly CurveFound[], 'P')
    .map(({ key, rows: own }) => ({ P: key.P, rows: own }))
    .sort((a, b) => a.P - b.P)

const slopeOf = (points: readonly (readonly [number, number])[]): number => {
  const n = points.length
  if (n < 2) return Number.NaN
  const [mx, my] = [0, 1].map((k) => points.reduce((sum, point) => sum + point[k]!, 0) / n) as [
    number,
    number,
  ]
  const across = points.reduce((sum, [x, y]) => sum + (x - mx) * (y - my), 0)
  return across / points.reduce((sum, [x]) => sum + (x - mx) ** 2, 0)
}

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
    countsOf(some).map(({ P, rows: own }) => [Math.log(P), Math.log(timeAt(own, time).value)] as const)
  const exponent = jackknife(within, (some) => slopeOf(pointsOf(some)))
  const points = pointsOf(within)
  const offset = points.reduce((sum, [x, y]) => sum + y - exponent.value * x, 0) / points.length
  return { exponent, factor: Math.exp(offset), counts: usable.map(({ P }) => P) }
}

/** The exponent of a time of kernel regression in P. */
export const kernelExponent = (
  rows: readonly Found<Extract<Row, { of: 'kernel' }>>[],
  which: 'random' | 'smooth',
): Estimate =>
  jackknife(rows, (some) =>
    slopeOf(
      groupBy(some, 'P').map(({ key, rows: own }) => [
        Math.log(key.P),
        own.reduce((sum, row) => sum + Math.log(row[which]), 0) / own.length,
      ]),
    ),
  )
