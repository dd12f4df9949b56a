/**
 * @file TIES as in the paper: what is trimmed is decided over the whole flat task vector, not tensor by tensor. The
 * threshold is found by counting bits of magnitudes in two passes, 16 bits each, so no pass holds more than one tensor.
 */
import { abs, atLeast, keep, type Measure } from '../vector/index.ts'
import { define, lookInMemory, numberOf } from './define.ts'
import { density, lambda, weight } from './parameters.ts'
import type { Looked, MergeMethod, Parameters, Preparation } from './types.ts'
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

/** What a pass asks of every tensor: nothing in the first, the buckets of 16 high bits in the second. */
interface Question {
  readonly buckets?: readonly number[]
}

/** Counts of 16 bits of the magnitudes of every task vector of one tensor. */
const answer = ({ buckets }: Question, { base, models, session, arithmetic }: Looked): Uint32Array[] =>
  session.counts(
    ...models.map(
      (values, i): Measure => ({
        kind: 'digits',
        of: arithmetic.subtract(values, base),
        order: 'magnitude',
        ...(buckets ? { upper: buckets[i]! } : {}),
      }),
    ),
  )

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
  const question = (): Question => (second ? { buckets: all.map(({ bucket }) => bucket) } : {})
  const add = (found: readonly Uint32Array[]): void => {
    for (const [i, counts] of all.entries()) {
      const into = second ? counts.low : counts.high
      for (const [k, n] of found[i]!.entries())
        if (n > 0) {
          into[k] = into[k]! + n
          if (!second) counts.total += n
        }
    }
  }
  return {
    question,
    look: (asked, looked) => answer(asked as Question, looked),
    add,
    see: (base, models) => add(lookInMemory(base, models, (looked) => answer(question(), looked))),
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
  run({ base, models, parameters, arithmetic }) {
    const { add, subtract, multiply, number } = arithmetic
    const weights = models.map((model) => number(numberOf(model.parameters, 'weight')))
    const deltas = models.map(({ values, parameters: own }, m) => {
      const delta = subtract(values, base!)
      const kept = keep(delta, atLeast(abs(delta), numberOf(own, 'cut')))
      return multiply(kept, weights[m]!)
    })
    const mixed = votedSum(arithmetic, deltas, weights, true)
    return add(base!, multiply(mixed, numberOf(parameters, 'lambda')))
  },
})

export const globalTiesMethods: readonly MergeMethod[] = [tiesGlobal]
