/**
 * @file Training of a network that undoes noise in images, on images in memory: each step draws times and noise anew.
 * (Ho et al. 2020)
 */
import {
  adam,
  type Key,
  type Optimizer,
  overTable,
  type Parameters,
  type Schedule,
  train,
} from '../../nn/index.ts'
import { compile, random, square, sub, type Tensor } from '../../tensor/index.ts'
import { denoiserBy, type ImageDenoiser } from './denoiser.ts'
import { type NoisyImages, renoise, withoutNoise } from './noisyImages.ts'
import type { ImageScheduler } from './scheduler.ts'

/** A network of images and times whose parameters are not fixed. */
export interface TrainableImageNetwork<P extends Parameters = Parameters> {
  /** One image: [channels, height, width]. */
  readonly shape: readonly [number, number, number]
  readonly init: (key: Key) => P
  /** x [B, C, H, W], t [B], or [1] of all (i32) ↦ [B, C, H, W]: what the scheduler's `prediction` names. */
  readonly apply: (parameters: P, x: Tensor, t: Tensor) => Tensor
}

/** Squared error, the mean over the numbers of each image: [B]. */
const errorsOf = <P extends Parameters>(
  network: TrainableImageNetwork<P>,
  parameters: P,
  { noisy, target, t }: NoisyImages,
): Tensor => square(sub(network.apply(parameters, noisy, t), target)).mean([1, 2, 3])

export interface ImageTraining<P extends Parameters> {
  /** Images in [−1, 1], [N, C, H, W]; each epoch takes them in another order. */
  readonly images: Float32Array
  readonly parameters: P
  readonly steps: number
  /** Images of each step; of fewer images, each several times with other noise. */
  readonly batchSize: number
  readonly learningRate: number | Schedule
  /** Default Adam. */
  readonly optimizer?: Optimizer
  /** Keep a moving average of the weights, which is what is looked at. */
  readonly averageDecay?: number | ((step: number) => number)
  readonly key: random.Key
  /** Looks at the parameters after these steps; training ends when one returns false. */
  readonly looks?: readonly number[]
  readonly onLook?: (parameters: P, step: number) => boolean | Promise<boolean>
  readonly threads?: number
  readonly signal?: AbortSignal
  readonly onProgress?: (share: number) => void
}

/** Train. Throws what `train` throws. */
export async function trainImageDenoiser<P extends Parameters>(
  network: TrainableImageNetwork<P>,
  scheduler: ImageScheduler,
  options: ImageTraining<P>,
): Promise<{ parameters: P; average?: P; step: number }> {
  const { steps, batchSize, learningRate, averageDecay, looks = [], onLook, onProgress } = options
  const { threads, signal } = options
  const data = withoutNoise(network.shape, options.images)
  return train<P, NoisyImages>({
    parameters: options.parameters,
    loss: (parameters, batch) => errorsOf(network, parameters, batch).mean(),
    data,
    augment: (batch, key) => renoise(scheduler, batch, key),
    optimizer: options.optimizer ?? adam(),
    learningRate,
    steps,
    batchSize,
    seed: random.sampleBits(options.key, 1)[0]!,
    ...(averageDecay !== undefined && { averageDecay }),
    ...(onLook && { snapshots: { at: looks, use: onLook } }),
    ...(onProgress && { onProgress: ({ step, total }) => onProgress(step / total) }),
    ...(threads !== undefined && { threads }),
    ...(signal && { signal }),
  })
}

/** Options of a network at work. */
interface Working {
  /** Images in one call of the runtime. Default 256. */
  readonly batchSize?: number
  readonly threads?: number
}

/** Squared errors of noisy images by a network, the mean over the numbers of each, [N]; for any of its parameters. */
export function imageLosses<P extends Parameters>(
  network: TrainableImageNetwork<P>,
  { batchSize = 256, threads = 1 }: Working = {},
): { of(parameters: P, images: NoisyImages): Promise<Float32Array>; dispose(): void } {
  const table = overTable<P, NoisyImages>(
    (parameters, images) => ({ loss: errorsOf(network, parameters, images) }),
    { batchSize, threads },
  )
  return {
    of: async (parameters, images) => (await table.all(parameters, images))['loss']!.data as Float32Array,
    dispose: () => table.dispose(),
  }
}

/** A network's program as a denoiser, for any of its parameters. */
export function trainedImageDenoiser<P extends Parameters>(
  network: TrainableImageNetwork<P>,
  scheduler: ImageScheduler,
  { batchSize = 256, threads = 1 }: Working = {},
): { with(parameters: P): ImageDenoiser; dispose(): void } {
  const program = compile(network.apply, { name: 'image denoiser', threads })
  const facts = { shape: network.shape, firstTime: 0 }
  return {
    with: (parameters) =>
      denoiserBy(facts, scheduler, batchSize, {
        answersFor: () => (x, t) => program(parameters, x, t) as Promise<Tensor>,
        // the program is that of all parameters
        dispose: () => undefined,
      }),
    dispose: () => program.dispose(),
  }
}
