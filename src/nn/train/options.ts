/** @file What the training loop is given, and what it tells. */
import type { CompileOptions, Tensor, Tree } from '../../tensor/index.ts'
import type { Key, Parameters } from '../layer.ts'
import type { Optimizer } from '../optimizers/optimizer.ts'
import type { Schedule } from '../optimizers/schedules.ts'

/** A tree of tensors whose first axis counts examples: `{ x: [N, 1, 28, 28], label: [N] }`. */
export type Batch = Tree<Tensor>

/**
 * Where batches come from: a table (a concrete batch of all N examples, drawn in a new random order each epoch), or a
 * function of the step that makes a batch, for endless data. The function must depend on its arguments alone; the key is
 * different for each step.
 */
export type DataSource<B extends Batch> = B | ((step: number, key: Key) => B | Promise<B>)

export interface LossContext {
  /** u32[2], different in each step: for dropout and noise. */
  readonly key: Tensor
}

/** The scalar to minimize, alone or with further scalars to report. */
export type LossResult =
  | Tensor
  | { readonly loss: Tensor; readonly metrics?: Readonly<Record<string, Tensor>> }

/** Measurements on data that are not trained on. */
export interface Evaluation<P extends Parameters, B extends Batch> {
  /** Prefix of the metrics: 'validation' gives `validationLoss` from a measure `loss`. Default 'validation'. */
  readonly name?: string
  readonly data: B
  /** Values for each example, [batch] each; they are averaged over all examples. */
  readonly measure: (parameters: P, batch: B) => Readonly<Record<string, Tensor>>
  /** Steps between evaluations. Default: an epoch, or a tenth of the run where there are no epochs. */
  readonly every?: number
  /** Default that of training. */
  readonly batchSize?: number
}

/** One line of metrics: the step it follows (steps done), and numbers by name. */
export type MetricsLine = { readonly step: number; readonly [name: string]: number }

export interface TrainProgress {
  /** Steps done, and all. */
  readonly step: number
  readonly total: number
  /** Epochs done (a fraction), undefined for endless data. */
  readonly epoch: number | undefined
  /** Mean over the last moments. */
  readonly loss: number
  /** Other values the loss function reports, and the latest evaluations. */
  readonly metrics: Readonly<Record<string, number>>
  readonly examplesPerSecond: number
  readonly secondsLeft: number
}

/** Watch a metric of the evaluations; keep the parameters at its best, stop when it no longer improves. */
export interface BestOptions {
  /** `validationLoss`, `testAccuracy`, … */
  readonly metric: string
  /** Default 'min'. */
  readonly goal?: 'min' | 'max'
  /** Stop after so many evaluations without improvement. Default never. */
  readonly patience?: number
  /** What counts as improvement. Default 0: any. */
  readonly minDelta?: number
}

export interface Snapshots<P extends Parameters> {
  /** Steps done, rising; those after the end of the run are left out. */
  readonly at: readonly number[]
  /** The parameters are a copy. Training ends when it returns false. */
  readonly use: (parameters: P, step: number) => boolean | Promise<boolean>
}

export interface TrainOptions<P extends Parameters, B extends Batch> {
  readonly parameters: P
  /** Loss of a batch; a mean over its examples. */
  readonly loss: (parameters: P, batch: B, context: LossContext) => LossResult
  readonly data: DataSource<B>
  readonly optimizer: Optimizer
  readonly learningRate: number | Schedule
  /** Either. Epochs of a table may end within a batch: the next epoch fills it up. */
  readonly steps?: number
  readonly epochs?: number
  /** Examples for each step. For a function as data: as many as it returns. */
  readonly batchSize?: number
  /** Data order, dropout and augmentation follow from it. Default 0. */
  readonly seed?: number
  /** Keep the order of a table. Default true. */
  readonly shuffle?: boolean
  /** Change a batch on the host (in place, or return another of the same shapes). */
  readonly augment?: (batch: B, key: Key, step: number) => B | undefined
  /** Clip the gradient to this global norm; the norm is reported as `gradientNorm`. */
  readonly clipNorm?: number
  /**
   * Keep a moving average of the parameters, used in evaluations: its decay, such as 0.999, or that of a step (counted from 1):
   * `(step) => 1 - Math.min(1, 10 / step)` averages about the last tenth of the steps.
   */
  readonly averageDecay?: number | ((step: number) => number)
  /** Parameters that stay as they are, by dotted name. */
  readonly isFrozen?: (name: string) => boolean
  readonly evaluate?: Evaluation<P, B> | readonly Evaluation<P, B>[]
  readonly best?: BestOptions
  /** Stop after a metrics line that satisfies it, such as `({ loss }) => loss < 1e-3`. */
  readonly stopWhen?: (line: MetricsLine) => boolean
  /** A file for the state of training, written every so many steps, at the end, and when interrupted. */
  readonly checkpoint?: { readonly path: string; readonly every?: number }
  /** Go on from the checkpoint if it is there. Default false. */
  readonly resume?: boolean
  /** Whatever the run is a function of, as JSON: a checkpoint with another value is refused. */
  readonly config?: unknown
  /** Steps between metrics lines. Default a hundredth of the run. */
  readonly logEvery?: number
  readonly onMetrics?: (line: MetricsLine) => void
  /** Look at the parameters, or their average, after some of the steps. */
  readonly snapshots?: Snapshots<P>
  readonly onProgress?: (progress: TrainProgress) => void
  /** Called before the first step of a run that goes on from a checkpoint. */
  readonly onResume?: (step: number) => void
  readonly signal?: AbortSignal
  readonly threads?: number
  /** For this run. By default that of every program (`setDefaultBackend`). */
  readonly backend?: CompileOptions['backend']
  /** Steps in one call of the runtime: fewer, larger calls for small networks. All intervals must be multiples. */
  readonly stepsPerCall?: number
}

export interface TrainResult<P extends Parameters> {
  readonly parameters: P
  /** The moving average, where one was kept. */
  readonly average?: P
  readonly best?: { readonly step: number; readonly value: number; readonly parameters: P }
  readonly step: number
  readonly reason: 'steps' | 'patience' | 'stopWhen'
  /** The last value of every metric. */
  readonly metrics: Readonly<Record<string, number>>
}
