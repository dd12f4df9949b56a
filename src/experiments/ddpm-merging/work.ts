/** @file The parts of a run: the loss of one candidate on both test sets, losses at single times, samples. */
import { fail } from '../../base/index.ts'
import type { Task } from '../../base/workers.ts'
import { readSafetensors } from '../../checkpoint/index.ts'
import { makeSchedule } from '../../diffusion/index.ts'
import { type Compiled, compile, mean, random, square, sub, type Tensor, tensor } from '../../tensor/index.ts'
import { fingerprintOf, mergeRecipe, network, readWeights, sourcesOf, treeOf, type Weights } from './merge.ts'
import type { Recipe } from './recipes.ts'

export const tasks = ['mnist', 'fashion'] as const
export type TaskName = (typeof tasks)[number]

/** Images in each call of the compiled network, steps of the noise, pixels. */
const batch = 64
const steps = 1000
const side = 28
const pixels = side * side
/** Groups of images for error bars, and ranges of time. */
export const groupCount = 16
export const binCount = 10

/** What all jobs share. */
export interface Inputs {
  /** Paths of the checkpoints, and what is in them. */
  readonly models: Readonly<Record<TaskName, string>>
  readonly fingerprints: Readonly<Record<TaskName, string>>
  /** The file with the images, `mnist` and `fashion`, U8 [n, 28, 28]; and what is in it. */
  readonly images: string
  readonly contents: string
  readonly seed: number
}

export type Job =
  | { readonly kind: 'loss'; readonly inputs: Inputs; readonly recipe: Recipe }
  | {
      readonly kind: 'times'
      readonly inputs: Inputs
      readonly task: TaskName
      readonly times: readonly number[]
    }
  | {
      readonly kind: 'samples'
      readonly inputs: Inputs
      readonly recipe: Recipe
      readonly count: number
      readonly steps: number
    }

/** Mean of ‖ε − ε̂‖²/pixels in each group of images, each over all times, and in each tenth of the times. */
export interface Losses {
  readonly groups: readonly number[]
  readonly bins: readonly number[]
}

export interface Found {
  readonly loss: Readonly<Record<TaskName, Losses>>
  /** At each time: mean over images and its standard error. */
  readonly times: readonly { readonly value: number; readonly error: number }[]
  /** Bytes of each sample. */
  readonly samples: readonly (readonly number[])[]
}

const schedule = makeSchedule('ddpm', steps)
/** ᾱ of the time that the network calls t = 0 … 999: after one step at 0. */
export const signalAt = (t: number): number => schedule.alphaBar(t + 1)

type Predict = Compiled<[ReturnType<typeof treeOf>, Tensor, Tensor], Tensor>
type Measure = Compiled<[ReturnType<typeof treeOf>, Tensor, Tensor, Tensor], Tensor>

/** Kept on each thread from one job to the next. */
const kept: { measure?: Measure; predict?: Predict; key?: string; sources?: ReturnType<typeof sourcesOf> } =
  {}

/** Forget what this thread has kept; for runs on the calling thread. */
export function forget(): void {
  kept.measure?.dispose()
  kept.predict?.dispose()
  for (const name of Object.keys(kept) as (keyof typeof kept)[]) delete kept[name]
}

function sourcesFor({ models, fingerprints }: Inputs): ReturnType<typeof sourcesOf> {
  const key = `${fingerprints.mnist} ${fingerprints.fashion}`
  if (kept.key === key && kept.sources) return kept.sources
  const read = (task: TaskName): Weights => {
    const weights = readWeights(models[task])
    if (fingerprintOf(weights) !== fingerprints[task])
      fail('TL_BAD_FILE', `${models[task]}: changed while the run was at work; run again with --fresh`)
    return weights
  }
  kept.sources = sourcesOf(read('mnist'), read('fashion'))
  kept.key = key
  return kept.sources
}

/** Noisy images as the network takes them. */
interface Noisy {
  readonly x: Float32Array
  readonly noise: Float32Array
  readonly t: Int32Array
}

/** √ᾱ x₀ + √(1 − ᾱ) ε for each image at its time; images scaled to [−1, 1]. */
function addNoise(images: Uint8Array, t: Int32Array, key: random.Key): Noisy {
  const noise = Float32Array.from(random.sampleNormal(key, images.length))
  const x = new Float32Array(images.length)
  for (let i = 0; i < t.length; i++) {
    const signal = signalAt(t[i]!)
    const [ofImage, ofNoise] = [Math.sqrt(signal), Math.sqrt(1 - signal)]
    for (let j = i * pixels; j < (i + 1) * pixels; j++)
      x[j] = ofImage * (images[j]! / 127.5 - 1) + ofNoise * noise[j]!
  }
  return { x, noise, t }
}

function imagesOf({ images }: Inputs, task: TaskName): Uint8Array {
  return readSafetensors(images).tensors.get(task)!.data as Uint8Array
}

/** One time for each image, uniform, one in each n-th part of the range: the mean over them has little noise. */
export function stratifiedTimes(count: number, key: random.Key): Int32Array {
  const within = random.sampleUniform(key, count)
  return Int32Array.from(within, (u, i) => Math.min(steps - 1, Math.floor(((i + u) / count) * steps)))
}

/** ‖ε − ε̂‖²/pixels of each image. */
async function errorsOf(
  weights: Weights,
  { x, noise, t }: Noisy,
  signal?: AbortSignal,
): Promise<Float64Array> {
  kept.measure ??= compile(
    (p: ReturnType<typeof treeOf>, image: Tensor, time: Tensor, target: Tensor) =>
      mean(square(sub(network.apply(p, image, time), target)), [1, 2, 3]),
    { threads: 1, name: 'noise prediction' },
  ) as Measure
  const parameters = treeOf(weights)
  const out = new Float64Array(t.length)
  for (let start = 0; start < t.length; start += batch) {
    if (signal?.aborted) fail('TL_INTERRUPTED', 'interrupted')
    const end = Math.min(start + batch, t.length)
    const part = (values: Float32Array): Tensor =>
      tensor(values.slice(start * pixels, end * pixels), { shape: [end - start, 1, side, side] })
    const times = tensor(t.slice(start, end), { shape: [end - start] })
    const errors = await kept.measure(parameters, part(x), times, part(noise))
    out.set(errors.data as Float32Array, start)
  }
  return out
}

/** The same images, times and noise for every candidate: differences between them have much smaller errors. */
function noisyFor(inputs: Inputs, task: TaskName): Noisy {
  const images = imagesOf(inputs, task)
  const key = random.foldIn(random.key(inputs.seed), tasks.indexOf(task))
  const [forTimes, forNoise] = random.split(key) as [random.Key, random.Key]
  return addNoise(images, stratifiedTimes(images.length / pixels, forTimes), forNoise)
}

const meanOfList = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length

/** Group g has every 16th image, so each has times from the whole range. */
function summarize(errors: Float64Array): Losses {
  const list = Array.from(errors)
  return {
    groups: Array.from({ length: groupCount }, (_, g) =>
      meanOfList(list.filter((_, i) => i % groupCount === g)),
    ),
    bins: Array.from({ length: binCount }, (_, b) =>
      meanOfList(list.filter((_, i) => Math.floor((i * binCount) / list.length) === b)),
    ),
  }
}

/** A rising list of `count` times, the last one 999. */
export const samplingTimes = (count: number): number[] =>
  Array.from({ length: count }, (_, i) => Math.round(((i + 1) * steps) / count) - 1)

/**
 * Images drawn by DDIM with η = 0 (Song et al. 2021, eq. 12), the estimate of the image held in [−1, 1]. All candidates begin
 * with the same noise.
 */
async function drawSamples(
  weights: Weights,
  count: number,
  times: readonly number[],
  seed: number,
  signal?: AbortSignal,
): Promise<number[][]> {
  kept.predict ??= compile(network.apply, { threads: 1, name: 'sampling' }) as unknown as Predict
  const parameters = treeOf(weights)
  const x = Float32Array.from(random.sampleNormal(random.foldIn(random.key(seed), 7), count * pixels))
  for (const [i, t] of [...times.entries()].reverse()) {
    if (signal?.aborted) fail('TL_INTERRUPTED', 'interrupted')
    const time = tensor(new Int32Array(count).fill(t), { shape: [count] })
    const image = tensor(x.slice(), { shape: [count, 1, side, side] })
    const noise = (await kept.predict(parameters, image, time)).data as Float32Array
    const now = signalAt(t)
    const next = i === 0 ? 1 : signalAt(times[i - 1]!)
    for (let j = 0; j < x.length; j++) {
      const clean = Math.max(-1, Math.min(1, (x[j]! - Math.sqrt(1 - now) * noise[j]!) / Math.sqrt(now)))
      const rest = (x[j]! - Math.sqrt(now) * clean) / Math.sqrt(1 - now)
      x[j] = Math.sqrt(next) * clean + Math.sqrt(1 - next) * rest
    }
  }
  return Array.from({ length: count }, (_, n) =>
    Array.from(x.subarray(n * pixels, (n + 1) * pixels), (v) =>
      Math.round(127.5 * (1 + Math.max(-1, Math.min(1, v)))),
    ),
  )
}

/** Carry out one job; what it does not measure is empty. */
export async function ddpmJob(job: Job, signal?: AbortSignal): Promise<Partial<Found>> {
  const sources = sourcesFor(job.inputs)
  if (job.kind === 'times') {
    const images = imagesOf(job.inputs, job.task)
    const count = images.length / pixels
    const key = random.foldIn(random.key(job.inputs.seed), 2 + tasks.indexOf(job.task))
    const times: { value: number; error: number }[] = []
    for (const t of job.times) {
      const noisy = addNoise(images, new Int32Array(count).fill(t), random.foldIn(key, t))
      const errors = Array.from(await errorsOf(sources[job.task], noisy, signal))
      const value = meanOfList(errors)
      const variance = errors.reduce((sum, e) => sum + (e - value) ** 2, 0) / (count - 1)
      times.push({ value, error: Math.sqrt(variance / count) })
    }
    return { times }
  }
  const weights = mergeRecipe(job.recipe, sources, job.inputs.seed)
  if (job.kind === 'samples')
    return {
      samples: await drawSamples(weights, job.count, samplingTimes(job.steps), job.inputs.seed, signal),
    }
  const losses: [TaskName, Losses][] = []
  for (const task of tasks)
    losses.push([task, summarize(await errorsOf(weights, noisyFor(job.inputs, task), signal))])
  return { loss: Object.fromEntries(losses) as Record<TaskName, Losses> }
}

export const ddpmTask: Task = { module: import.meta.url, name: 'ddpmJob' }
