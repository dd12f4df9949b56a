/** @file Round trips by the network of the long training, look by look, beside those by exact inference. */
import {
  type DenoisingNetwork,
  type NoiseProcess,
  networkDenoiser,
  noiseLevels,
  roundTrips,
  type TripStatistics,
  tripStatistics,
  uTurn,
} from '../../diffusion/index.ts'
import { type Grammar, sampleTrees } from '../../grammar/index.ts'
import type { TreeUnetParameters } from '../../nn/index.ts'
import { random } from '../../tensor/index.ts'
import type { Config } from './config.ts'

/** Round trips at one noise level. Every look has the same data and the same noise. */
export interface TripRow extends TripStatistics {
  readonly of: 'trip'
  readonly by: 'network' | 'exact'
  /** Of the network; 0 for exact inference. */
  readonly step: number
  readonly noise: number
}

/** `count` of the looks, the first and the last among them, evenly spread. */
export function tripLooks(looks: readonly number[], count: number): number[] {
  if (count >= looks.length) return [...looks]
  if (count === 1) return looks.slice(-1)
  const at = Array.from({ length: count }, (_, i) => Math.round((i * (looks.length - 1)) / (count - 1)))
  return at.map((i) => looks[i]!)
}

/** Round trips of some data of a grammar: by exact inference, and by the parameters of a network, which `dispose` gives back. */
export function tripsOf(
  grammar: Grammar,
  network: DenoisingNetwork<TreeUnetParameters>,
  noising: NoiseProcess,
  { turns, data, trajectories: samples }: Config['time'],
  key: random.Key,
): {
  readonly exact: () => TripRow[]
  readonly byNetwork: (parameters: TreeUnetParameters, step: number) => Promise<TripRow[]>
  readonly dispose: () => void
} {
  const { L } = grammar
  const [forData, forNetwork, forExact] = random.split(key, 3) as [random.Key, random.Key, random.Key]
  const truth = sampleTrees(grammar, forData, data)
  const leaves = truth.levels[L]!
  const denoisers = networkDenoiser(network, noising, { batchSize: Math.min(512, data * samples) })
  return {
    exact: () =>
      turns.map((noise, i): TripRow => {
        const own = { noise, samples, key: random.foldIn(forExact, i) }
        const trips = uTurn(grammar, noising.channel, leaves, own)
        return {
          of: 'trip',
          by: 'exact',
          step: 0,
          noise,
          ...tripStatistics(grammar, truth, trips.levels[L]!),
        }
      }),
    async byNetwork(parameters, step) {
      const rows: TripRow[] = []
      for (const [i, noise] of turns.entries()) {
        const own = {
          levels: noiseLevels(noising.schedule, noise),
          samples,
          key: random.foldIn(forNetwork, i),
        }
        const trips = await roundTrips(denoisers.with(parameters), leaves, own)
        rows.push({ of: 'trip', by: 'network', step, noise, ...tripStatistics(grammar, truth, trips) })
      }
      return rows
    },
    dispose: () => denoisers.dispose(),
  }
}
