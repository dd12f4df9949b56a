/** @file Intervals and lengths of a training run in steps, checked before anything is compiled. */
import { fail } from '../../base/index.ts'
import type { Parameters } from '../layer.ts'
import type { Feed } from './batches.ts'
import type { Batch, Evaluation, TrainOptions } from './options.ts'

/** When what happens. */
export interface Plan<P extends Parameters, B extends Batch> {
  /** All steps. */
  readonly total: number
  /** Steps in one call of the runtime. */
  readonly slots: number
  /** Steps of an epoch (a fraction), undefined for endless data. */
  readonly perEpoch: number | undefined
  readonly evaluations: readonly Evaluation<P, B>[]
  readonly logEvery: number
  readonly checkpointEvery: number
  readonly evaluateEvery: readonly number[]
  /** Steps after which the parameters are looked at. */
  readonly snapshots: ReadonlySet<number>
  /** The evaluation that `best` watches. */
  readonly watched: number | undefined
}

/** The evaluation whose metrics `best.metric` is of. */
function watchedEvaluation<P extends Parameters, B extends Batch>(
  { best }: TrainOptions<P, B>,
  evaluations: readonly Evaluation<P, B>[],
): number | undefined {
  if (!best) return undefined
  const names = evaluations.map(({ name = 'validation' }) => name)
  const found = names.findIndex((name) => best.metric.startsWith(name))
  if (found === -1)
    fail(
      'TL_BAD_ARGUMENT',
      `best.metric: "${best.metric}" belongs to no evaluation (their names: ${names.join(', ') || 'none'})`,
    )
  return found
}

/** The plan of a run. Throws TL_BAD_ARGUMENT for lengths and intervals that cannot be. */
export function planOf<P extends Parameters, B extends Batch>(
  options: TrainOptions<P, B>,
  feed: Feed<B>,
): Plan<P, B> {
  const { steps, epochs, stepsPerCall: slots = 1 } = options
  if ((steps === undefined) === (epochs === undefined))
    fail('TL_BAD_ARGUMENT', `train: expected either steps or epochs, got steps ${steps}, epochs ${epochs}`)
  if (epochs !== undefined && feed.size === undefined)
    fail('TL_BAD_ARGUMENT', 'epochs: endless data have none (give steps)')
  const upToSlots = (n: number): number => Math.ceil(Math.max(1, n) / slots) * slots
  const perEpoch = feed.size === undefined ? undefined : feed.size / feed.batchSize
  const total = steps ?? upToSlots(epochs! * perEpoch!)
  if (!Number.isSafeInteger(total) || total < 0)
    fail(
      'TL_BAD_ARGUMENT',
      `${steps === undefined ? 'epochs' : 'steps'}: expected a number >= 0, got ${steps ?? epochs}`,
    )
  const evaluations = [options.evaluate ?? []].flat() as Evaluation<P, B>[]
  const intervals = {
    logEvery: options.logEvery ?? upToSlots(Math.round(total / 100)),
    checkpointEvery: options.checkpoint?.every ?? upToSlots(total),
    evaluateEvery: evaluations.map(({ every }) => every ?? upToSlots(Math.round(perEpoch ?? total / 10))),
  }
  for (const [name, n] of Object.entries({ ...intervals, steps: total }).flatMap(([key, v]) =>
    [v].flat().map((w) => [key, w] as const),
  ))
    if (name !== 'steps' && (!Number.isSafeInteger(n) || n < 1))
      fail('TL_BAD_ARGUMENT', `${name}: expected a whole number of steps >= 1, got ${n}`)
    else if (n % slots !== 0)
      fail('TL_BAD_ARGUMENT', `${name}: ${n} is not a multiple of stepsPerCall ${slots}`)
  const snapshots = options.snapshots?.at ?? []
  for (const [i, n] of snapshots.entries())
    if (!(Number.isSafeInteger(n) && n > (snapshots[i - 1] ?? 0) && n % slots === 0))
      fail(
        'TL_BAD_ARGUMENT',
        `snapshots.at[${i}]: expected a whole number of steps above ${snapshots[i - 1] ?? 0}, a multiple of stepsPerCall ${slots}, got ${n}`,
      )
  const watched = watchedEvaluation(options, evaluations)
  return { total, slots, perEpoch, evaluations, ...intervals, snapshots: new Set(snapshots), watched }
}
