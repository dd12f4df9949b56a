/** @file Means with bootstrap intervals, from a seed. */
import { type Key, random } from '../../tensor/index.ts'

/** A mean over items with its 95 % bootstrap interval (percentiles of 1000 resamples), and how many items there are. */
export interface Interval {
  readonly mean: number
  readonly low: number
  readonly high: number
  readonly count: number
}

const draws = 1000

/** Null of an empty list. */
export function bootstrap(values: readonly number[], key: Key): Interval | null {
  const n = values.length
  if (n === 0) return null
  const places = random.sampleIntegers(key, draws * n, n)
  const means = Float64Array.from({ length: draws }, (_, d) => {
    let total = 0
    for (let i = 0; i < n; i++) total += values[places[d * n + i]!]!
    return total / n
  }).sort()
  return {
    mean: values.reduce((a, b) => a + b, 0) / n,
    low: means[Math.round(0.025 * draws) - 1]!,
    high: means[Math.round(0.975 * draws) - 1]!,
    count: n,
  }
}

/** NaN of an empty list. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const half = sorted.length >> 1
  return sorted.length % 2 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2
}
