/** @file How sure a mean over items is: bootstrap intervals, the same draws each time. */
import { foldIn, key, threefryWords } from '../../base/index.ts'

/** Resamples of an interval, and the share that it covers. */
const resamples = 2000
const covered = 0.95

/** A mean with its 95 % interval. */
export interface Estimate {
  readonly mean: number
  readonly low: number
  readonly high: number
}

const meanOf = (items: readonly number[]): number =>
  items.reduce((sum, x) => sum + x, 0) / Math.max(1, items.length)

/** The mean of items and its percentile interval over items drawn with replacement; the same draws for equally many items. */
export function bootstrapMean(items: readonly number[]): Estimate {
  const { length } = items
  const words = new Uint32Array(length)
  const means = Array.from({ length: resamples }, (_, i) => {
    threefryWords(foldIn(key(0), i), 0, words)
    let sum = 0
    for (const word of words) sum += items[Math.floor((word / 2 ** 32) * length)]!
    return sum / Math.max(1, length)
  }).sort((a, b) => a - b)
  const at = (share: number): number => means[Math.round(share * (resamples - 1))]!
  const tail = (1 - covered) / 2
  return { mean: meanOf(items), low: at(tail), high: at(1 - tail) }
}

/** The mean of a − b over the same items. */
export const pairedDifference = (a: readonly number[], b: readonly number[]): Estimate =>
  bootstrapMean(a.map((x, i) => x - b[i]!))
