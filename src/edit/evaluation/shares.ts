/** @file Means of shares with intervals that are right at 0 and 1, where a bootstrap of equal values has no width at all. */

import { wilson } from '../../base/index.ts'

/** A mean over items with its 95 % interval, and how many items there are. */
export interface Interval {
  readonly mean: number
  readonly low: number
  readonly high: number
  readonly count: number
}

/**
 * The mean of shares in [0, 1], one of each item. Of outcomes 0 and 1 the interval is Wilson's. Shares of several tokens vary less
 * than single outcomes of the same mean: n items then count as n p (1 − p) / s² (the effective sample size of survey statistics:
 * Korn and Graubard 1998, Dean and Pagano 2015), with p and s² of the items and one more 0 and 1 – which changes nothing where all
 * are 0 or 1, and keeps items that happen to be equal from being taken for certain. Null of an empty list.
 */
export function meanShare(values: readonly number[]): Interval | null {
  const n = values.length
  if (n === 0) return null
  const sum = values.reduce((a, b) => a + b, 0)
  const mean = sum / n
  const p = (sum + 1) / (n + 2)
  const variance = (values.reduce((a, b) => a + b * b, 0) + 1) / (n + 2) - p ** 2
  const isCounted = values.every((value) => value === 0 || value === 1)
  return { mean, ...wilson(mean, isCounted ? n : (n * p * (1 - p)) / variance), count: n }
}

/** NaN of an empty list. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const half = sorted.length >> 1
  return sorted.length % 2 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2
}
