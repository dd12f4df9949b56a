/** @file The parts of the experiment that do not depend on each other: one job is one training run or one measurement. */
import { type Grammar, makeGrammar, type Shape, sampleDistinct, trainTest } from '../../grammar/index.ts'
import { random } from '../../tensor/index.ts'
import { noiseOf, signalOf } from './correlations.ts'
import { agreementKernel, kernelError } from './kernel.ts'
import { type Fitted, trainCnn, trainShallow } from './training.ts'

/** What every job has: the grammar, by its shape, kind of rules, and number among those of the seed. */
interface OnGrammar {
  readonly seed: number
  readonly replica: number
  readonly shape: Shape
  readonly rules: 'random' | 'uncorrelated'
}

/** Distinct strings to train on, and others to test on. */
interface Sampled {
  readonly trainCount: number
  readonly testCount: number
}

/** Stochastic gradient descent. */
export interface Descent {
  readonly width: number
  readonly learningRate: number
  readonly momentum: number
  readonly batchSize: number
  readonly steps: number
  readonly stopLoss: number
}

/** Train the hierarchical CNN; `probes` > 0: and measure its sensitivity to synonyms on so many strings. */
export interface CnnJob extends OnGrammar, Sampled {
  readonly kind: 'cnn'
  readonly descent: Descent
  readonly probes: number
}

/** Train a network with one hidden dense layer. */
export interface ShallowJob extends OnGrammar, Sampled {
  readonly kind: 'shallow'
  readonly descent: Descent
}

/** Regression with the tangent kernel of the CNN. */
export interface LazyJob extends OnGrammar, Sampled {
  readonly kind: 'lazy'
}

/** Tuple–class correlations: their size, and the sampling noise for each count of strings. */
export interface CorrelationsJob extends OnGrammar {
  readonly kind: 'correlations'
  readonly counts: readonly number[]
}

export type Job = CnnJob | ShallowJob | LazyJob | CorrelationsJob

/** What a job found. `error` is a share of the test strings; `noise` belongs to the job's counts. */
export type Found<J extends Job = Job> = J extends CorrelationsJob
  ? { signal: number; noise: number[] }
  : J extends LazyJob
    ? { error: number }
    : Fitted

/** Keys of a grammar and of all that is random beside it: the same whatever is done with them. */
export function keysOf({ seed, replica, shape, rules }: OnGrammar) {
  const { v, classes, m, s, L } = shape
  const numbers = [v, classes, m, s, L, rules === 'random' ? 0 : 1, replica]
  const [forGrammar, forData, forTraining, forProbes] = random.split(
    numbers.reduce(random.foldIn, random.key(seed)),
    4,
  ) as [random.Key, random.Key, random.Key, random.Key]
  return { forGrammar, forData, forTraining, forProbes }
}

const grammarOf = (job: OnGrammar): Grammar =>
  makeGrammar(job.shape, keysOf(job).forGrammar, { rules: job.rules })

/** Where workers find `runJob`. */
export const task = { module: import.meta.url, name: 'runJob' }

/** Do one job. Training sets of one grammar are nested, its test set is the same for equal `testCount`. */
export async function runJob(job: Job, signal?: AbortSignal): Promise<Found> {
  const grammar = grammarOf(job)
  const { forData, forTraining, forProbes } = keysOf(job)
  if (job.kind === 'correlations') {
    const trees = sampleDistinct(grammar, forData, Math.max(...job.counts))
    return { signal: signalOf(grammar), noise: job.counts.map((count) => noiseOf(grammar, trees, count)) }
  }
  const { train, test } = trainTest(grammar, forData, job.trainCount, job.testCount)
  if (job.kind === 'lazy') {
    const labelled = ({ levels }: typeof train) => ({ leaves: levels[grammar.L]!, classes: levels[0]! })
    return { error: kernelError(agreementKernel(grammar), labelled(train), labelled(test), grammar) }
  }
  if (job.kind === 'shallow')
    return await trainShallow(grammar, train, test, { ...job.descent, signal }, forTraining)
  return await trainCnn(grammar, train, test, { ...job.descent, signal }, forTraining, {
    count: job.probes,
    key: forProbes,
  })
}
