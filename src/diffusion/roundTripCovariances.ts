/** @file Which leaves of some data of a grammar change together in a round trip: covariances summed over the data. */
import { type Grammar, inferUp } from '../grammar/index.ts'
import { random } from '../tensor/index.ts'
import { type Channel, channels, leafEvidence } from './channels.ts'
import { changesOf, covarianceByDistance, covarianceSums } from './correlations.ts'
import type { Denoiser } from './denoiser.ts'
import { exactCovarianceSums } from './exactCovariance.ts'
import { roundTrips } from './reverse.ts'
import { uTurn } from './uTurn.ts'

const addTo = (into: Float64Array, values: ArrayLike<number>): void => {
  for (let i = 0; i < into.length; i++) into[i]! += values[i]!
}

/** The ε-process without sampling: covariances over ordered pairs at each height [L + 1]; `leaves` [B, d]. */
export function epsilonCovariances(grammar: Grammar, leaves: Int32Array, noise: number): Float64Array {
  const evidence = leafEvidence(channels.epsilon, leaves, { v: grammar.v, noise, key: random.key(0) })
  const sums = new Float64Array(grammar.L + 1)
  const up = inferUp(grammar, evidence, leaves.length / grammar.d)
  for (const datum of exactCovarianceSums(grammar, up, leaves)) addTo(sums, datum)
  return sums
}

/** The same from round trips, datum by datum, and by distance: means over pairs |i − j| = r [d] where d is a power of two. */
export function roundTripCovariances(
  grammar: Grammar,
  channel: Channel,
  leaves: Int32Array,
  { noise, trajectories, key }: { noise: number; trajectories: number; key: random.Key },
): { heights: Float64Array; distances: Float64Array } {
  const { d, s, L } = grammar
  const heights = new Float64Array(L + 1)
  const distances = new Float64Array(d)
  for (let b = 0; b < leaves.length / d; b++) {
    const datum = leaves.subarray(b * d, (b + 1) * d)
    const options = { noise, samples: trajectories, key: random.foldIn(key, b) }
    const trips = uTurn(grammar, channel, datum, options)
    const changes = { values: changesOf(datum, trips.levels[L]!, d), n: trajectories, d, s }
    addTo(heights, covarianceSums(changes))
    if (Number.isInteger(Math.log2(d))) addTo(distances, covarianceByDistance(changes))
  }
  return { heights, distances }
}

/** The same by height from round trips of any denoiser, step by step; `levels` begin with the noise at which they turn. */
export async function chainCovariances(
  denoiser: Denoiser,
  leaves: Int32Array,
  {
    s,
    levels,
    trajectories,
    key,
  }: {
    readonly s: number
    readonly levels: readonly number[]
    readonly trajectories: number
    readonly key: random.Key
  },
): Promise<Float64Array> {
  const { d } = denoiser
  const trips = await roundTrips(denoiser, leaves, { levels, samples: trajectories, key })
  const heights = new Float64Array(Math.round(Math.log(d) / Math.log(s)) + 1)
  for (let b = 0; b < leaves.length / d; b++) {
    const own = trips.subarray(b * trajectories * d, (b + 1) * trajectories * d)
    const values = changesOf(leaves.subarray(b * d, (b + 1) * d), own, d)
    addTo(heights, covarianceSums({ values, n: trajectories, d, s }))
  }
  return heights
}
