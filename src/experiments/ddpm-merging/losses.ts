/** @file What is measured of a model: errors of the predicted noise on both test sets, and images that it draws. */
import { fail } from '../../base/index.ts'
import { addNoise, makeSchedule, sampleDdim, samplingTimes, stratifiedTimes } from '../../diffusion/index.ts'
import { mean as meanOfList } from '../../lab/index.ts'
import { type Compiled, compile, mean, random, square, sub, type Tensor, tensor } from '../../tensor/index.ts'
import type { Weights } from '../merging/tensors.ts'
import { network, treeOf } from './merge.ts'

export const tasks = ['mnist', 'fashion'] as const
export type TaskName = (typeof tasks)[number]

export const titleOf: Readonly<Record<TaskName, string>> = { mnist: 'MNIST', fashion: 'Fashion-MNIST' }

/** Images in each call of the compiled network, and their sides. */
const batch = 64
const side = 28
export const pixels = side * side
/** Groups of images for error bars, and ranges of time. */
export const groupCount = 16
export const binCount = 10

/** The noise of the checkpoints. */
const schedule = makeSchedule('ddpm', 1000)

/** Mean of ‖ε − ε̂‖²/pixels in each group of images, each over all times, and in each tenth of the times. */
export interface Losses {
  readonly groups: readonly number[]
  readonly bins: readonly number[]
}

/** Noisy images as the network takes them. */
export interface Noisy {
  readonly x: Float32Array
  readonly noise: Float32Array
  readonly t: Int32Array
}

type Predict = Compiled<[ReturnType<typeof treeOf>, Tensor, Tensor], Tensor>
type Measure = Compiled<[ReturnType<typeof treeOf>, Tensor, Tensor, Tensor], Tensor>

/** The network, compiled when it is first needed. */
export interface Programs {
  measure(): Measure
  predict(): Predict
  dispose(): void
}

export function openPrograms(): Programs {
  let [measure, predict]: [Measure?, Predict?] = []
  return {
    measure: () =>
      (measure ??= compile(
        (p: ReturnType<typeof treeOf>, image: Tensor, time: Tensor, target: Tensor) =>
          mean(square(sub(network.apply(p, image, time), target)), [1, 2, 3]),
        { threads: 1, name: 'noise prediction' },
      ) as Measure),
    predict: () =>
      (predict ??= compile(network.apply, { threads: 1, name: 'sampling' }) as unknown as Predict),
    dispose() {
      measure?.dispose()
      predict?.dispose()
    },
  }
}

/** Images, 0 … 255, in [−1, 1] with noise of their own times. */
export function noisyImages(images: Uint8Array, t: Int32Array, key: random.Key): Noisy {
  const noise = Float32Array.from(random.sampleNormal(key, images.length))
  const clean = Float64Array.from(images, (value) => value / 127.5 - 1)
  return { x: addNoise(schedule, clean, noise, t), noise, t }
}

/** Every image at one time, all times spread evenly over the range. */
export function spreadOverTimes(images: Uint8Array, key: random.Key): Noisy {
  const [forTimes, forNoise] = random.split(key)
  return noisyImages(images, stratifiedTimes(schedule, images.length / pixels, forTimes), forNoise)
}

const leave = (signal: AbortSignal): void => {
  if (signal.aborted) fail('TL_INTERRUPTED', 'interrupted')
}

/** ‖ε − ε̂‖²/pixels of each image. */
export async function errorsOf(
  programs: Programs,
  weights: Weights,
  { x, noise, t }: Noisy,
  signal: AbortSignal,
): Promise<number[]> {
  const parameters = treeOf(weights)
  const out = new Float64Array(t.length)
  for (let start = 0; start < t.length; start += batch) {
    leave(signal)
    const end = Math.min(start + batch, t.length)
    const part = (values: Float32Array): Tensor =>
      tensor(values.slice(start * pixels, end * pixels), { shape: [end - start, 1, side, side] })
    const times = tensor(t.slice(start, end), { shape: [end - start] })
    const errors = await programs.measure()(parameters, part(x), times, part(noise))
    out.set(errors.data as Float32Array, start)
  }
  return Array.from(out)
}

/** Means of each group: every 16th image, so that a group has times from the whole range. */
export const byGroup = (errors: readonly number[]): number[] =>
  Array.from({ length: groupCount }, (_, g) => meanOfList(errors.filter((_, i) => i % groupCount === g)))

/** Means of each tenth of the images, which is one of the times. */
export const byTenth = (errors: readonly number[]): number[] =>
  Array.from({ length: binCount }, (_, b) =>
    meanOfList(errors.filter((_, i) => Math.floor((i * binCount) / errors.length) === b)),
  )

/** Bytes of `count` images drawn by DDIM. All models begin with the noise of `key`. */
export async function drawImages(
  programs: Programs,
  weights: Weights,
  { count, steps, key }: { readonly count: number; readonly steps: number; readonly key: random.Key },
  signal: AbortSignal,
  progress: (share: number) => void,
): Promise<number[][]> {
  const parameters = treeOf(weights)
  const times = samplingTimes(schedule, steps)
  let done = 0
  const predict = async (x: Float32Array, t: number): Promise<Float32Array> => {
    leave(signal)
    const time = tensor(new Int32Array(count).fill(t), { shape: [count] })
    const noise = await programs.predict()(parameters, tensor(x, { shape: [count, 1, side, side] }), time)
    progress(++done / times.length)
    return noise.data as Float32Array
  }
  const drawn = await sampleDdim(schedule, predict, random.sampleNormal(key, count * pixels), { times })
  return Array.from({ length: count }, (_, n) =>
    Array.from(drawn.subarray(n * pixels, (n + 1) * pixels), (v) =>
      Math.round(127.5 * (1 + Math.max(-1, Math.min(1, v)))),
    ),
  )
}
