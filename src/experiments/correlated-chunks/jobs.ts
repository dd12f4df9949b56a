/** @file The parts of a run, each for one grammar or control: plain data in, sums over its data out. A worker thread runs them. */
import {
  changesOf,
  channels,
  covarianceByDistance,
  covarianceSums,
  exactCovarianceSums,
  leafEvidence,
  uTurn,
} from '../../diffusion/index.ts'
import { inferUp, makeGrammar, type Shape, sampleTrees } from '../../grammar/index.ts'
import { random } from '../../tensor/index.ts'

/** One grammar and some data of it. */
interface OfGrammar {
  readonly shape: Shape
  readonly seed: number
  /** Number of the grammar: its rules and data follow from it and the seed. */
  readonly grammar: number
  readonly data: number
  /** Noise levels, all on the same data. */
  readonly noises: readonly number[]
}

/** The ε-process without sampling. */
export interface ExactJob extends OfGrammar {
  readonly part: 'exact'
}

/** Round trips. */
export interface SampledJob extends OfGrammar {
  readonly part: 'epsilon' | 'masking'
  readonly trajectories: number
}

/** Sums over the data of a grammar. */
export interface GrammarSums {
  /** At each noise level: covariances summed over ordered pairs at each height [L + 1]. */
  readonly heights: readonly (readonly number[])[]
  /** At each noise level: covariances by distance r, means over pairs summed over data, [d]; only of sampled parts. */
  readonly distances?: readonly (readonly number[])[]
}

/** The grammar and data of a job; the same whatever is measured on them. */
function drawn({ shape, seed, grammar: number, data }: OfGrammar) {
  const [forRules, forData, forNoise] = random.split(
    random.foldIn(random.foldIn(random.key(seed), 1 + number), shape.L),
    3,
  ) as [random.Key, random.Key, random.Key]
  const grammar = makeGrammar(shape, forRules)
  const leaves = sampleTrees(grammar, forData, data).levels[shape.L]!
  return { grammar, leaves, forNoise }
}

/** Six digits are more than any error bar leaves, and keep the files small. */
const short = (values: Iterable<number>): number[] => Array.from(values, (x) => Number(x.toPrecision(6)))

const addTo = (into: Float64Array, values: ArrayLike<number>): void => {
  for (let i = 0; i < into.length; i++) into[i]! += values[i]!
}

/** Covariances of the ε-process, exact for each datum. */
export function exactPart(job: ExactJob): GrammarSums {
  const { grammar, leaves } = drawn(job)
  const { v, L } = grammar
  return {
    heights: job.noises.map((noise) => {
      const evidence = leafEvidence(channels.epsilon, leaves, { v, noise, key: random.key(0) })
      const sums = new Float64Array(L + 1)
      for (const datum of exactCovarianceSums(grammar, inferUp(grammar, evidence, job.data), leaves))
        addTo(sums, datum)
      return short(sums)
    }),
  }
}

/** Covariances from round trips, datum by datum. */
export function sampledPart(job: SampledJob): GrammarSums {
  const { grammar, leaves, forNoise } = drawn(job)
  const { d, s, L } = grammar
  const heights: number[][] = []
  const distances: number[][] = []
  for (const [i, noise] of job.noises.entries()) {
    const byHeight = new Float64Array(L + 1)
    const byDistance = new Float64Array(d)
    const key = random.foldIn(forNoise, i)
    for (let b = 0; b < job.data; b++) {
      const datum = leaves.subarray(b * d, (b + 1) * d)
      const trips = uTurn(grammar, channels[job.part], datum, {
        noise,
        samples: job.trajectories,
        key: random.foldIn(key, b),
      })
      const changes = { values: changesOf(datum, trips.levels[L]!, d), n: job.trajectories, d, s }
      addTo(byHeight, covarianceSums(changes))
      if (Number.isInteger(Math.log2(d))) addTo(byDistance, covarianceByDistance(changes))
    }
    heights.push(short(byHeight))
    distances.push(short(byDistance))
  }
  return { heights, distances }
}
