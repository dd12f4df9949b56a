/** @file Which jobs a config asks for, and about how long they take. */
import type { Shape } from '../../grammar/index.ts'
import { internalNodes } from '../../grammar/index.ts'
import type { Config } from './config.ts'
import type { CnnJob, CorrelationsJob, Descent, Job, LazyJob, ShallowJob } from './jobs.ts'

/** n_c·m^L, what thresholds are measured in. */
export const scaleOf = ({ classes, m, L }: Shape): number => classes * m ** L

/** P_max = n_c·m^((s^L − 1)/(s − 1)), as a number. (Cagnetta et al. 2024, eq. 6) */
export const stringsOf = (shape: Shape): number => shape.classes * shape.m ** internalNodes(shape)

/** Training sets take at most this share of all strings, so that some are left to test on. */
const largestShare = 0.9

/** Sizes of training sets, ascending, each once. */
function sizesOf(shape: Shape, multiples: readonly number[]): number[] {
  const most = Math.floor(largestShare * stringsOf(shape))
  const sizes = multiples.map((multiple) =>
    Math.min(most, Math.max(2, Math.round(multiple * scaleOf(shape)))),
  )
  return [...new Set(sizes)].sort((a, b) => a - b)
}

/** Grammars of the CNN and the lazy network. */
export const shapesOf = ({ v, s, settings }: Config): Shape[] =>
  settings.map(({ m, L }) => ({ v, classes: v, m, s, L }))

export const correlationShapes = ({ s, correlations: { v, settings } }: Config): Shape[] =>
  settings.map(({ m, L }) => ({ v, classes: v, m, s, L }))

export const shallowShapes = ({ s, shallow }: Config): Shape[] =>
  shallow.sizes.map((v) => ({ v, classes: v, m: v, s, L: 2 }))

export const controlShapes = ({ s, control }: Config): Shape[] =>
  control.shapes.map(({ v, L }) => ({ v, classes: v, m: v, s, L }))

const descentOf = ({ width, learningRate, momentum, batchSize, steps, stopLoss }: Config): Descent => ({
  width,
  learningRate,
  momentum,
  batchSize,
  steps,
  stopLoss,
})

/** How many strings are left to test on, the same for all sizes of a setting. */
const testCountOf = ({ testStrings }: Config, shape: Shape, sizes: readonly number[]): number =>
  Math.min(testStrings, stringsOf(shape) - Math.max(...sizes))

const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i)

export function cnnJobs(config: Config): CnnJob[] {
  return shapesOf(config).flatMap((shape) => {
    const sizes = sizesOf(shape, config.multiples)
    const testCount = testCountOf(config, shape, sizes)
    return sizes.flatMap((trainCount) =>
      range(config.grammars).map(
        (replica): CnnJob => ({
          kind: 'cnn',
          seed: config.seed,
          replica,
          shape,
          rules: 'random',
          trainCount,
          testCount,
          descent: descentOf(config),
          probes: config.probes,
        }),
      ),
    )
  })
}

export const correlationsJobs = (config: Config): CorrelationsJob[] =>
  correlationShapes(config).flatMap((shape) =>
    range(config.correlations.grammars).map(
      (replica): CorrelationsJob => ({
        kind: 'correlations',
        seed: config.seed,
        replica,
        shape,
        rules: 'random',
        counts: sizesOf(shape, config.correlations.multiples),
      }),
    ),
  )

/** A size of the test set of its own for each grammar; shares of all strings in place of multiples of the scale. */
export const shallowJobs = (config: Config): ShallowJob[] =>
  shallowShapes(config).flatMap((shape) => {
    const { shares, grammars, width, learningRate, steps } = config.shallow
    const sizes = sizesOf(
      shape,
      shares.map((share) => (share * stringsOf(shape)) / scaleOf(shape)),
    )
    return sizes.flatMap((trainCount) =>
      range(grammars).map(
        (replica): ShallowJob => ({
          kind: 'shallow',
          seed: config.seed,
          replica,
          shape,
          rules: 'random',
          trainCount,
          testCount: testCountOf(config, shape, sizes),
          descent: { ...descentOf(config), width, learningRate, steps },
        }),
      ),
    )
  })

/** The same training and test sets as those of the CNN, where the kernel matrix is not too large. */
export const lazyJobs = (config: Config): LazyJob[] =>
  cnnJobs(config)
    .filter(
      ({ trainCount, replica, shape }) =>
        trainCount <= config.lazy.maxStrings &&
        replica < config.lazy.grammars &&
        shape.s ** shape.L <= largestKernelLeaves,
    )
    .map(({ descent: _d, probes: _p, ...job }): LazyJob => ({ ...job, kind: 'lazy' }))

/** Beyond, the kernel's table of agreement patterns is too large. */
const largestKernelLeaves = 20

/** Random and uncorrelated grammars of the same shapes, in turn. */
export const controlJobs = (config: Config): CnnJob[] =>
  controlShapes(config).flatMap((shape) => {
    const sizes = sizesOf(shape, config.control.multiples)
    return (['random', 'uncorrelated'] as const).flatMap((rules) =>
      sizes.flatMap((trainCount) =>
        range(config.control.grammars).map(
          (replica): CnnJob => ({
            kind: 'cnn',
            seed: config.seed,
            replica,
            shape,
            rules,
            trainCount,
            testCount: testCountOf(config, shape, sizes),
            descent: descentOf(config),
            probes: 0,
          }),
        ),
      ),
    )
  })

/** All jobs, those that take longest first, so that no thread is left alone with one at the end. */
export function planOf(config: Config): Job[] {
  const makers: Record<Config['parts'][number], (config: Config) => Job[]> = {
    cnn: cnnJobs,
    correlations: correlationsJobs,
    shallow: shallowJobs,
    lazy: lazyJobs,
    control: controlJobs,
  }
  const jobs = [...new Set(config.parts)].flatMap((part) => makers[part](config))
  return jobs.sort((a, b) => secondsOf(b) - secondsOf(a))
}

/** Multiply-adds of a forward pass for one string. */
function forwardOf(job: CnnJob | ShallowJob): number {
  const { v, classes, s, L } = job.shape
  const { width } = job.descent
  if (job.kind === 'shallow') return width * (s ** L * v + classes)
  const windows = (internalNodes(job.shape) - s ** (L - 1)) * s * width * width
  return v * width * s ** L + windows + width * classes
}

/** Steps that training usually takes before the loss is small, of those allowed. */
const usualSteps = 2500

/** Seconds of a job on one thread of a laptop, roughly. */
export function secondsOf(job: Job): number {
  if (job.kind === 'correlations')
    return 2e-7 * job.counts.reduce((a, b) => a + b, 0) * job.shape.s ** job.shape.L
  if (job.kind === 'lazy') return 0.1 + 4e-10 * job.trainCount ** 3 + 2e-8 * job.trainCount * job.testCount
  const { steps, batchSize } = job.descent
  const perStep = 1e-4 + 2e-11 * 6 * forwardOf(job) * Math.min(batchSize, job.trainCount)
  return 0.2 + Math.min(steps, usualSteps) * perStep
}
