/** @file Which levels are learned, from how many strings on and after how many steps. */
import { legalShare, validityOverChance } from '../../grammar/index.ts'
import {
  collapse,
  type Estimate,
  fallsBelow,
  geometricMeanOverReplicas,
  groupBy,
  jackknife,
  type Measured,
  mean,
  powerOf,
} from '../../lab/index.ts'
import { type Cell, fullShape, type LookRow, type Row, type SensitivityRow } from './measure.ts'

export type Found<R extends Row = Row> = Measured<Cell, R>
export type LookFound = Found<LookRow>

/** How much of the rules up to a height is learned, by what is generated. */
export const learnedShare = (row: LookFound, height: number): number =>
  validityOverChance(fullShape(row), height, row.validity[height - 1]!)

/**
 * How much of the rules at a height is learned beyond those below: (A_ℓ − c)/(1 − c) with c = f A_{ℓ−1}^s, what legal nodes that
 * know nothing of each other give.
 */
export function learnedBeyondBelow(row: LookFound, height: number): number {
  const below = height > 1 ? row.validity[height - 2]! : 1
  const chance = legalShare(fullShape(row)) * below ** row.s
  return (row.validity[height - 1]! - chance) / (1 - chance)
}

/** The share at which a level counts as learned. */
export const enough = 0.4

/** m^(ℓ+1), what P*_ℓ is in proportion to at equal v (Favero et al. 2025). */
export const scaleOf = ({ m }: Pick<Cell, 'm'>, height: number): number => m ** (height + 1)

/** Mean share of a level against a column, rising. */
const meanShares = (
  rows: readonly LookFound[],
  height: number,
  x: 'P' | 'step',
): { x: number; y: number }[] =>
  groupBy(rows, x)
    .map(({ key, rows: own }) => ({ x: key[x], y: mean(own.map((row) => learnedShare(row, height))) }))
    .sort((a, b) => a.x - b.x)

/** Where a rising curve passes a level, straight in ln x; NaN where it does not. */
export const passes = (points: readonly { x: number; y: number }[], level: number): number =>
  fallsBelow(
    points.map(({ x, y }) => ({ x, y: -y })),
    -level,
  )

/** P*_ℓ of rows of one m: where the mean over grammars passes the share. */
export const stringsNeeded = (rows: readonly LookFound[], height: number): number =>
  passes(meanShares(rows, height, 'P'), enough)

/** Steps to a level in one long training. */
export const stepsNeeded = (rows: readonly LookFound[], height: number): number =>
  passes(meanShares(rows, height, 'step'), enough)

export const heightsOf = (rows: readonly LookFound[]): number[] =>
  Array.from({ length: rows[0]?.validity.length ?? 0 }, (_, i) => i + 1)

/** b of P*_ℓ ∝ m^b, over the m whose level is reached; NaN with fewer than two. */
export const powerOfRules = (rows: readonly LookFound[], height: number): Estimate =>
  jackknife(
    rows,
    (some) =>
      powerOf(
        groupBy(some, 'm')
          .map(({ key, rows: own }) => [key.m, stringsNeeded(own, height)] as const)
          .filter(([, P]) => Number.isFinite(P)),
      ).value,
  )

/** m whose level is reached by the mean over grammars. */
export const reaching = (rows: readonly LookFound[], height: number): number[] =>
  groupBy(rows, 'm')
    .filter(({ rows: own }) => Number.isFinite(stringsNeeded(own, height)))
    .map(({ key }) => key.m)

/** How far the curves of a level lie apart in P, as a factor: as they are, and on P/m^(ℓ+1). */
export function spreads(
  rows: readonly LookFound[],
  height: number,
): { readonly before: Estimate; readonly after: Estimate } {
  const of = (which: 'before' | 'after') =>
    jackknife(
      rows,
      (some) =>
        collapse(
          groupBy(some, 'm').map(({ key, rows: own }) => ({
            ...{ scale: scaleOf(key, height), unit: 1 },
            points: meanShares(own, height, 'P').map(({ x, y }) => ({ x, y: 1 - y })),
          })),
          [0.85, 0.7, 0.6],
        )[which],
    )
  return { before: of('before'), after: of('after') }
}

/** Ratio of what one level takes to what the level below takes. */
export const ratioOfLevels = (
  rows: readonly LookFound[],
  height: number,
  needed: (rows: readonly LookFound[], height: number) => number,
): Estimate => jackknife(rows, (some) => needed(some, height) / needed(some, height - 1))

/** Steps at which a layer's sensitivity to synonyms of a height has fallen to half of its first value. */
export function invariantAt(rows: readonly Found<SensitivityRow>[], layer: number, height: number): Estimate {
  const own = rows.filter((row) => row.layer === layer && row.height === height && row.value !== null)
  return geometricMeanOverReplicas(own, (looks) => {
    const points = looks.map(({ step, value }) => ({ x: step, y: value! })).sort((a, b) => a.x - b.x)
    return fallsBelow(points, (points[0]?.y ?? Number.NaN) / 2)
  })
}

/** What a training that was cut shows decides nothing. */
export const unlessCut = (
  isCut: boolean,
  text: string,
  measured: Estimate,
): [text: string, measured: Estimate] =>
  isCut
    ? [`${text}; training was cut before its loss turned`, { ...measured, error: null }]
    : [text, measured]
