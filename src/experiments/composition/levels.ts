/** @file Which levels are learned, from how many strings on and after how many steps. */
import { collapse, type Estimate, groupBy, jackknife, type Measured, overReplicas } from '../../lab/index.ts'
import type { Cell, LookRow, Row, SensitivityRow } from './measure.ts'

export type Found<R extends Row = Row> = Measured<Cell, R>
export type LookFound = Found<LookRow>

/** Share f = m/v^(s−1) of the tuples that are legal. */
const legal = ({ m, v, s }: Pick<Cell, 'm' | 'v' | 's'>): number => m / v ** (s - 1)

/** A_ℓ with random strings at 0 and the grammar at 1: (A − A_0)/(1 − A_0), A_0 = f^((s^ℓ − 1)/(s − 1)). */
export function learnedShare(row: LookFound, height: number): number {
  const chance = legal(row) ** ((row.s ** height - 1) / (row.s - 1))
  return (row.validity[height - 1]! - chance) / (1 - chance)
}

/** The share at which a level counts as learned. */
export const enough = 0.4

/** m^(ℓ+1), what P*_ℓ is in proportion to at equal v (Favero et al. 2025). */
export const scaleOf = ({ m }: Pick<Cell, 'm'>, height: number): number => m ** (height + 1)

/** Where a value first reaches a level, linear in ln x between rows of rising x; NaN where it does not. */
function risesTo(points: readonly (readonly [x: number, y: number])[], level: number): number {
  const sorted = points.toSorted((a, b) => a[0] - b[0])
  const after = sorted.findIndex(([, y]) => y >= level)
  if (after <= 0) return Number.NaN
  const [[x0, y0], [x1, y1]] = [sorted[after - 1]!, sorted[after]!]
  return Math.exp(Math.log(x0) + ((level - y0) / (y1 - y0)) * Math.log(x1 / x0))
}

/** P*_ℓ of rows of one m: where the mean over grammars reaches the share. */
export function stringsNeeded(rows: readonly LookFound[], height: number): number {
  const points = groupBy(rows, 'P').map(
    ({ key, rows: own }) =>
      [key.P, own.reduce((sum, row) => sum + learnedShare(row, height), 0) / own.length] as const,
  )
  return risesTo(points, enough)
}

/** Steps to a level in one long training. */
export const stepsNeeded = (rows: readonly LookFound[], height: number): number =>
  risesTo(
    groupBy(rows, 'step').map(({ key, rows: own }) => [
      key.step,
      own.reduce((sum, row) => sum + learnedShare(row, height), 0) / own.length,
    ]),
    enough,
  )

export const heightsOf = (rows: readonly LookFound[]): number[] =>
  Array.from({ length: rows[0]?.validity.length ?? 0 }, (_, i) => i + 1)

/** b of P*_ℓ ∝ m^b, over the m whose level is reached. */
export function powerOfRules(rows: readonly LookFound[], height: number): Estimate {
  return jackknife(rows, (some) => {
    const points = groupBy(some, 'm').map(({ key, rows: own }) => [
      Math.log(key.m),
      Math.log(stringsNeeded(own, height)),
    ])
    const found = points.filter(([, y]) => Number.isFinite(y)) as [number, number][]
    if (found.length < 2) return Number.NaN
    const [mx, my] = [0, 1].map((k) => found.reduce((sum, point) => sum + point[k]!, 0) / found.length) as [
      number,
      number,
    ]
    return (
      found.reduce((sum, [x, y]) => sum + (x - mx) * (y - my), 0) /
      found.reduce((sum, [x]) => sum + (x - mx) ** 2, 0)
    )
  })
}

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
            points: groupBy(own, 'P')
              .map(({ key: { P }, rows: at }) => ({
                x: P,
                y: 1 - at.reduce((sum, row) => sum + learnedShare(row, height), 0) / at.length,
              }))
              .sort((a, b) => a.x - b.x),
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
  const logs = overReplicas(own, (looks) => {
    const sorted = looks.toSorted((a, b) => a.step - b.step)
    const first = sorted[0]?.value ?? Number.NaN
    return Math.log(
      risesTo(
        sorted.map(({ step, value }) => [step, -value!]),
        -first / 2,
      ),
    )
  })
  const value = Math.exp(logs.value)
  return { ...logs, value, error: logs.error === null ? null : value * logs.error }
}
