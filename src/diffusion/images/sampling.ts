/**
 * @file Ways from noise back to images: single steps as the `diffusers` library takes them (0.35, `DDPMScheduler.step` and
 * `DDIMScheduler.step`), and whole chains of them with a key for each trajectory.
 */
import { fail } from '../../base/index.ts'
import { random } from '../../tensor/index.ts'
import type { ImageDenoiser } from './denoiser.ts'
import { type ImageScheduler, spacedTimes } from './scheduler.ts'

/** Ancestral (Ho et al. 2020, eq. 7), or DDIM with η between 0, no new noise, and 1 (Song et al. 2021, eq. 12 and 16). */
export type ImageSampler = { readonly kind: 'ddpm' } | { readonly kind: 'ddim'; readonly eta?: number }

/** One step back: from time t to `next`, which is negative where the chain ends. */
export interface ImageStep {
  readonly t: number
  readonly next: number
}

/** Values at a fraction of a sorted list, between neighbours where it lies between. */
function quantileOf(sorted: Float32Array, quantile: number): number {
  const place = quantile * (sorted.length - 1)
  const below = Math.floor(place)
  const [low, high] = [sorted[below]!, sorted[Math.min(below + 1, sorted.length - 1)]!]
  return low + (place - below) * (high - low)
}

/** Estimates of clean images, of `size` numbers each, held in their bounds. In place. */
function bound({ clip, threshold }: ImageScheduler, clean: Float32Array, size: number): void {
  if (!threshold) {
    if (Number.isFinite(clip))
      for (let i = 0; i < clean.length; i++) clean[i] = Math.max(-clip, Math.min(clip, clean[i]!))
    return
  }
  for (let from = 0; from < clean.length; from += size) {
    const image = clean.subarray(from, from + size)
    const reach = quantileOf(image.map(Math.abs).sort(), threshold.quantile)
    const s = Math.min(Math.max(1, reach), threshold.most)
    for (let i = 0; i < size; i++) image[i] = Math.max(-s, Math.min(s, image[i]!)) / s
  }
}

/** The clean image, bounded, and the noise that a network's output tells of x at time t. */
function estimates(
  scheduler: ImageScheduler,
  output: Float32Array,
  x: Float32Array,
  t: number,
  size: number,
) {
  const { prediction, alphaBar } = scheduler
  const signal = Math.sqrt(alphaBar[t]!)
  const spread = Math.sqrt(Math.fround(1 - alphaBar[t]!))
  const clean = new Float32Array(x.length)
  const noise = new Float32Array(x.length)
  for (let i = 0; i < x.length; i++) {
    const [y, own] = [output[i]!, x[i]!]
    if (prediction === 'epsilon') {
      clean[i] = (own - spread * y) / signal
      noise[i] = y
    } else if (prediction === 'sample') {
      clean[i] = y
      noise[i] = (own - signal * y) / spread
    } else {
      clean[i] = signal * own - spread * y
      noise[i] = signal * y + spread * own
    }
  }
  bound(scheduler, clean, size)
  return { clean, noise }
}

/** Mean and deviation of one step as factors of the clean estimate, of x, and of the noise estimate. */
function factors(scheduler: ImageScheduler, { t, next }: ImageStep, sampler: ImageSampler) {
  const { alphaBar, finalAlphaBar, variance } = scheduler
  const now = alphaBar[t]!
  const after = next >= 0 ? alphaBar[next]! : sampler.kind === 'ddpm' ? 1 : finalAlphaBar
  const [noiseNow, noiseAfter] = [Math.fround(1 - now), Math.fround(1 - after)]
  const kept = Math.fround(now / after)
  const beta = Math.fround(1 - kept)
  const small = (noiseAfter / noiseNow) * beta
  if (sampler.kind === 'ddpm') {
    const deviation = Math.sqrt(variance === 'fixed_large' ? beta : Math.max(small, 1e-20))
    return {
      clean: (Math.sqrt(after) * beta) / noiseNow,
      x: (Math.sqrt(kept) * noiseAfter) / noiseNow,
      noise: 0,
      deviation: t > 0 ? deviation : 0,
    }
  }
  const deviation = (sampler.eta ?? 0) * Math.sqrt(small)
  return {
    clean: Math.sqrt(after),
    x: 0,
    noise: Math.sqrt(Math.max(0, noiseAfter - deviation ** 2)),
    deviation,
  }
}

/** Whether a step needs new noise. */
const isRandom = (scheduler: ImageScheduler, step: ImageStep, sampler: ImageSampler): boolean =>
  factors(scheduler, step, sampler).deviation > 0

/**
 * One step back for images x [N, C, H, W] of `size` numbers each, from what a network says of them (`output`) and new standard
 * normal noise, which steps without any do not read.
 */
export function stepBack(
  scheduler: ImageScheduler,
  step: ImageStep,
  sampler: ImageSampler,
  {
    x,
    output,
    noise,
    size,
  }: {
    readonly x: Float32Array
    readonly output: Float32Array
    readonly noise?: Float32Array | undefined
    readonly size: number
  },
): Float32Array {
  const told = estimates(scheduler, output, x, step.t, size)
  const by = factors(scheduler, step, sampler)
  const result = new Float32Array(x.length)
  for (let i = 0; i < x.length; i++) {
    const mean = by.clean * told.clean[i]! + by.x * x[i]! + by.noise * told.noise[i]!
    result[i] = by.deviation > 0 ? mean + by.deviation * noise![i]! : mean
  }
  return result
}

/** The steps of a whole chain at `count` times, as the library takes them: DDIM steps from t to t − ⌊T / count⌋. */
export function chainSteps(scheduler: ImageScheduler, count: number, { kind }: ImageSampler): ImageStep[] {
  const times = spacedTimes(scheduler, count)
  const stride = Math.floor(scheduler.steps / count)
  return times.map((t, i) => ({ t, next: kind === 'ddim' ? t - stride : (times[i + 1] ?? -1) }))
}

/** The steps back from a time: t, t − stride, …, and from the last of these that is not negative to the clean image. */
export function stepsFrom({ steps }: ImageScheduler, t: number, stride = 1): ImageStep[] {
  if (!(Number.isInteger(t) && t >= 0 && t < steps))
    fail('TL_BAD_ARGUMENT', `time: expected a whole number from 0 to ${steps - 1}, got ${t}`)
  if (!(Number.isSafeInteger(stride) && stride >= 1))
    fail('TL_BAD_ARGUMENT', `stride: expected a whole number of at least 1, got ${stride}`)
  return Array.from({ length: Math.floor(t / stride) + 1 }, (_, i) => {
    const own = t - i * stride
    return { t: own, next: own >= stride ? own - stride : -1 }
  })
}

/** What every chain may be told. */
export interface ChainOptions {
  /** Default: the one of the model's scheduler; DDIM with η = 0. */
  readonly sampler?: ImageSampler
  /** Labels [N], where the network has classes. */
  readonly labels?: ArrayLike<number>
  readonly signal?: AbortSignal
  /** Told after each step, of all steps. */
  readonly onStep?: (done: number, total: number) => void
}

const samplerOf = (denoiser: ImageDenoiser, sampler?: ImageSampler): ImageSampler => {
  const chosen: ImageSampler = sampler ?? { kind: denoiser.scheduler.sampler }
  const eta = chosen.kind === 'ddim' ? (chosen.eta ?? 0) : 0
  if (!(eta >= 0 && eta <= 1)) fail('TL_BAD_ARGUMENT', `eta: expected a number from 0 to 1, got ${eta}`)
  return chosen
}

/** Numbers of one image. */
export const imageSize = ({ shape }: Pick<ImageDenoiser, 'shape'>): number =>
  shape.reduce((product, n) => product * n, 1)

/**
 * Noise of trajectories `first` … `first + count − 1`, [count, size], for the step at time t: each has its own stream of a key, so
 * that it does not depend on what is computed together. A time of −1 stands for the noise that a chain begins with.
 */
export function trajectoryNoise(
  key: random.Key,
  t: number,
  { first, count, size }: { readonly first: number; readonly count: number; readonly size: number },
): Float32Array {
  const noise = new Float32Array(count * size)
  for (let i = 0; i < count; i++) {
    const own = random.foldIn(random.foldIn(key, first + i), t + 1)
    noise.set(random.sampleNormal(own, size), i * size)
  }
  return noise
}

/**
 * Images x [N, C, H, W] at the time of the first step taken back along all steps. `noiseOf` gives the new noise of a step, [N, C, H,
 * W]; it is asked only by steps that need any.
 */
export async function reverseImages(
  denoiser: ImageDenoiser,
  x: Float32Array,
  steps: readonly ImageStep[],
  noiseOf: (t: number) => Float32Array,
  { sampler, labels, signal, onStep }: ChainOptions = {},
): Promise<Float32Array> {
  const { scheduler } = denoiser
  const size = imageSize(denoiser)
  const chosen = samplerOf(denoiser, sampler)
  let images = x
  for (const [i, step] of steps.entries()) {
    if (signal?.aborted) fail('TL_INTERRUPTED', 'interrupted')
    const output = await denoiser.output(images, step.t, labels)
    const noise = isRandom(scheduler, step, chosen) ? noiseOf(step.t) : undefined
    images = stepBack(scheduler, step, chosen, { x: images, output, noise, size })
    onStep?.(i + 1, steps.length)
  }
  return images
}

export interface SampleImagesOptions extends ChainOptions {
  readonly key: random.Key
  /** Number of images. */
  readonly count: number
  /** The trajectory of the first image: a later call goes on where an earlier one ended. Default 0. */
  readonly first?: number
  /** Steps of the chain. Default: T. */
  readonly steps?: number
}

/** Images drawn from a model: [count, C, H, W], in [−1, 1] as the model was trained. */
export async function sampleImages(
  denoiser: ImageDenoiser,
  { key, count, first = 0, steps = denoiser.steps, ...chain }: SampleImagesOptions,
): Promise<Float32Array> {
  if (!(Number.isSafeInteger(count) && count >= 1 && count <= 1e6))
    fail('TL_BAD_ARGUMENT', `count: expected a whole number from 1 to 10^6, got ${count}`)
  const which = { first, count, size: imageSize(denoiser) }
  const plan = chainSteps(denoiser.scheduler, steps, samplerOf(denoiser, chain.sampler))
  return reverseImages(
    denoiser,
    trajectoryNoise(key, -1, which),
    plan,
    (t) => trajectoryNoise(key, t, which),
    chain,
  )
}
