/** @file From rows to numbers: means over tasks in each replica, areas of maps, widths of intervals, localization. */
import { type Estimate, groupBy, mean, overReplicas, where } from '../../lab/index.ts'
import { type Cell, type Found, partOf, type Regime } from './rows.ts'

type Rows = readonly Found[]
type Start = Cell['start']

/** A statistic of one regime, and its paired difference between two: replicas share tasks, splits and order of examples. */
interface Statistic {
  readonly of: (rows: Rows, regime: Regime, start?: Start) => Estimate
  readonly gain: (rows: Rows, over: Regime, regime: Regime, start?: Start) => Estimate
}

function statistic<P extends 'added' | 'single' | 'forgotten' | 'map' | 'addition'>(
  part: P,
  value: (rows: readonly Found<P>[]) => number,
): Statistic {
  const inOne = (rows: readonly Found<P>[], regime: Regime): number =>
    value(where(rows, { regime } as Partial<Found<P>>))
  return {
    of: (rows, regime, start) => overReplicas(partOf(rows, part, start), (own) => inOne(own, regime)),
    gain: (rows, over, regime, start) =>
      overReplicas(partOf(rows, part, start), (own) => inOne(own, regime) - inOne(own, over)),
  }
}

/** Points of a map count as disentangled up to here: a tenth of either task's answers changes. */
export const mostApart = 0.2
/** Coefficients that give at least this share of the best accuracy are as good. */
const asGood = 0.95

/** Accuracy of the sum of all vectors, mean over tasks, and the same over each task's own vector. */
export const added = statistic('added', (rows) => mean(rows.map(({ accuracy }) => accuracy)))
export const normalized = statistic('added', (rows) => mean(rows.map((row) => row.normalized)))
export const single = statistic('single', (rows) => mean(rows.map(({ accuracy }) => accuracy)))
/** Accuracy that is left on a task whose vector was taken away, and the share of the control that was kept. */
export const left = statistic('forgotten', (rows) => mean(rows.map(({ accuracy }) => accuracy)))
export const kept = statistic('forgotten', (rows) => mean(rows.map((row) => row.kept)))
/** Share of a map's points on which at most a tenth of either task's answers changes. */
export const area = statistic('map', (rows) => mean(rows.map(({ error }) => (error <= mostApart ? 1 : 0))))
/** ξ, mean over a map. */
export const meanError = statistic('map', (rows) => mean(rows.map(({ error }) => error)))
/** How much of the range from 0 to 1 gives 95 % of the best normalized validation accuracy. */
export const width = statistic('addition', (rows) => {
  const best = Math.max(...rows.map((row) => row.normalized))
  return mean(rows.map((row) => (row.normalized >= asGood * best ? 1 : 0)))
})
export const alpha = statistic('added', (rows) => rows[0]!.alpha)

/** Geometric mean over tasks of the local energy on a task's own held-out examples over the mean of that on other tasks'. */
const localized = (rows: readonly Found<'energy'>[]): number =>
  mean(
    groupBy(rows, 'task').map(({ key, rows: own }) => {
      const [inside, outside] = [true, false].map((isOwn) =>
        mean(own.filter(({ on }) => (on === key.task) === isOwn).map(({ energy }) => energy)),
      )
      return Math.log(inside! / outside!)
    }),
  )

/** ln of the localization of the kernel from a start: 0 where eigenfunctions are everywhere alike. */
export const localization = (rows: Rows, start: Start): Estimate =>
  overReplicas(partOf(rows, 'energy', start), localized)

/** The difference of a statistic between the starts, replica by replica. */
export function overStarts(rows: Rows, part: 'energy'): Estimate {
  return overReplicas(where(rows as readonly Found<'energy'>[], { part }), (own) => {
    const [pretrained, random] = (['pretrained', 'random'] as const).map((start) =>
      localized(where(own, { start })),
    )
    return pretrained! - random!
  })
}

/** Normalized addition of a regime from θ₀ minus that from parameters that have seen nothing. */
export const pretrainingGain = (rows: Rows, regime: Regime): Estimate =>
  overReplicas(where(rows as readonly Found<'added'>[], { part: 'added', regime }), (own) => {
    const [pretrained, random] = (['pretrained', 'random'] as const).map((start) =>
      mean(where(own, { start }).map((row) => row.normalized)),
    )
    return pretrained! - random!
  })
