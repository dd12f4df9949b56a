/** @file Statistics of round trips against the share t/T at which they turn: curves, points with errors, rejections. */
import { type Curve, type Drawn, groupBy, jackknife, pointOf } from '../../lab/index.ts'

type Timed = { readonly time: number }

/** Said of every figure. */
export const bars = 'Bands: one standard error, leaving out one group of images at a time.'

export const timeAxis = { xLabel: 't/T', xDomain: [0, 1] } as const

/** A statistic of the rows at each time, as a curve over t/T; times at which it is no number are left out. */
export function curveOf<R extends Timed>(
  rows: readonly R[],
  statistic: (rows: readonly R[]) => number,
): Curve {
  const points = groupBy(rows, 'time')
    .map(({ key, rows: own }) => ({ x: key.time, y: statistic(own) }))
    .filter(({ y }) => Number.isFinite(y))
    .sort((a, b) => a.x - b.x)
  return { x: points.map(({ x }) => x), y: points.map(({ y }) => y) }
}

/** The same as points of a figure, with errors over groups of images. */
export const pointsOf = <R extends Timed & Drawn>(
  rows: readonly R[],
  statistic: (rows: readonly R[]) => number,
) =>
  groupBy(rows, 'time')
    .map(({ key, rows: own }) => pointOf(key.time, jackknife(own, statistic)))
    .sort((a, b) => a.x - b.x)

/** Share of round trips that are rejected. */
export const shareRejected = (rows: readonly { readonly trips: number; readonly good: number }[]): number =>
  1 - rows.reduce((sum, { good }) => sum + good, 0) / rows.reduce((sum, { trips }) => sum + trips, 0)
