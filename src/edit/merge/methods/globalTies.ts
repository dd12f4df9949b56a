/**
 * @file TIES as in the paper: what is trimmed is decided over the whole flat task vector, not tensor by tensor. The
 * threshold is found by counting bits of magnitudes in two passes, 16 bits each, so no pass holds more than one tensor.
 */
import { define, numberOf } from './define.ts'
import { density, lambda, weight } from './parameters.ts'
import type { MergeMethod, Parameters, Preparation } from './types.ts'
import { f32, scaleInPlace } from './vectors.ts'
import { votedSum } from './vote.ts'

const half = 2 ** 16

/** Counts of the magnitudes of one model's task vector, over all tensors. */
interface Counts {
  readonly high: Float64Array
  readonly low: Float64Array
  total: number
  /** The bucket of 16 high bits that holds the threshold, after the first pass. */
  bucket: number
  /** How many of that bucket's elements are to be kept. */
  wanted: number
  cut: number
}

/** Counting from the largest down, the bucket in which the `wanted`-th element lies. */
function descend(counts: Float64Array, wanted: number): { bucket: number; left: number } {
  let left = wanted
  let bucket = counts.length - 1
  while (bucket > 0 && counts[bucket]! < left) left -= counts[bucket--]!
  return { bucket, left }
}

function count(counts: Counts, base: Float32Array, values: Float32Array, second: boolean): void {
  const delta = new Float32Array(1)
  const bits = new Uint32Array(delta.buffer)
  for (let i = 0; i < values.length; i++) {
    delta[0] = values[i]! - base[i]!
    const key = bits[0]! & 0x7fffffff
    if (!second) counts.high[key >>> 16]!++
    else if (key >>> 16 === counts.bucket) counts.low[key & 0xffff]!++
  }
  if (!second) counts.total += values.length
}

const floatOf = (bits: number): number => new Float32Array(Uint32Array.of(bits).buffer)[0]!

/**
 * The preparation of `ties_global`: for each model the magnitude of the ⌊density · n⌋-th largest element of its task
 * vector (at least the first), n the number of parameters.
 */
export function globalCuts(densities: readonly number[]): Preparation {
  const all = densities.map(
    (): Counts => ({
      high: new Float64Array(half),
      low: new Float64Array(half),
      total: 0,
      bucket: 0,
      wanted: 0,
      cut: 0,
    }),
  )
  let second = false
  return {
    see: (base, models) => {
      for (const [i, values] of models.entries()) count(all[i]!, base, values, second)
    },
    endPass() {
      for (const [i, counts] of all.entries()) {
        if (second) counts.cut = floatOf(counts.bucket * half + descend(counts.low, counts.wanted).bucket)
        else {
          const wanted = Math.max(1, Math.trunc(densities[i]! * counts.total))
          const { bucket, left } = descend(counts.high, wanted)
          counts.bucket = bucket
          counts.wanted = left
        }
      }
      second = !second
      return second
    },
    perModel: () => all.map(({ cut }): Parameters => ({ cut })),
  }
}

const tiesGlobal = define({
  name: 'ties_global',
  title: 'TIES over the whole model',
  source: 'Yadav et al. 2023, arXiv 2306.01708',
  needsBase: true,
  reach: 'element',
  global: [lambda],
  perModel: [
    { ...weight, default: 1 },
    { ...density, default: 0.2 },
    {
      name: 'cut',
      type: 'number',
      min: 0,
      doc: 'the smallest magnitude of the task vector that is kept, from a first pass over the model',
      computed: true,
    },
  ],
  prepare: (_, perModel) =>
    globalCuts(perModel.map((parameters) => (parameters['density'] as number | undefined) ?? 0.2)),
  run({ base, models, parameters }) {
    const weights = models.map((model) => f32(numberOf(model.parameters, 'weight')))
    const deltas = models.map(({ values, parameters: own }, m) => {
      const cut = numberOf(own, 'cut')
      return values.map((x, i) => {
        const delta = f32(x - base![i]!)
        return Math.abs(delta) >= cut ? delta * weights[m]! : 0
      })
    })
    const mixed = votedSum(deltas, weights, true)
    scaleInPlace(mixed, numberOf(parameters, 'lambda'))
    for (let i = 0; i < mixed.length; i++) mixed[i] = base![i]! + mixed[i]!
    return mixed
  },
})

export const globalTiesMethods: readonly MergeMethod[] = [tiesGlobal]
