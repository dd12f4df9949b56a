/** @file What round trips did to trees: which tokens changed together, and what is kept at each height. */
import { fail } from '../base/index.ts'
import { type Grammar, parse, type Trees, validity } from '../grammar/index.ts'
import { changesOf, covarianceSums } from './correlations.ts'
import { survivalFromSamples } from './uTurn.ts'

/** Round trips of some data, whoever made them. Heights are counted from the leaves. */
export interface TripStatistics {
  /** Covariances of which leaves change, summed over the data and over the ordered pairs at each height [L + 1]. */
  readonly covariances: number[]
  /** Share of nodes at each height [L + 1] whose symbol is that of the datum. A node that is not legal has no symbol. */
  readonly kept: number[]
  /** Share of legal nodes at each height [L + 1]. */
  readonly legal: number[]
}

/**
 * Statistics of round trips of some trees. `trips` are leaves [data · n, d], datum-major, the same number n ≥ 2 of each datum; they
 * are parsed, so it does not matter whether exact inference or a network made them. Throws TL_BAD_ARGUMENT for another number.
 */
export function tripStatistics(grammar: Grammar, truth: Trees, trips: Int32Array): TripStatistics {
  const { d, s, L } = grammar
  const n = trips.length / (truth.count * d)
  if (!(Number.isInteger(n) && n >= 2))
    fail(
      'TL_BAD_ARGUMENT',
      `trips: expected the same number, at least 2, of each of ${truth.count} data of ${d} symbols, got ${trips.length} symbols`,
    )
  const covariances = new Float64Array(L + 1)
  for (let b = 0; b < truth.count; b++) {
    const datum = truth.levels[L]!.subarray(b * d, (b + 1) * d)
    const values = changesOf(datum, trips.subarray(b * n * d, (b + 1) * n * d), d)
    for (const [height, sum] of covarianceSums({ values, n, d, s }).entries()) covariances[height]! += sum
  }
  const trees = parse(grammar, trips, truth.count * n)
  const meanOf = (values: Float64Array): number => values.reduce((sum, x) => sum + x, 0) / values.length
  return {
    covariances: Array.from(covariances),
    kept: survivalFromSamples(truth, trees).map(meanOf).toReversed(),
    legal: validity(trees),
  }
}
