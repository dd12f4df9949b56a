/** @file Forward–backward experiments on images: noise up to a time, then back to clean images. (Sclocchi et al. 2025) */
import { fail } from '../../base/index.ts'
import { random } from '../../tensor/index.ts'
import type { ImageDenoiser } from './denoiser.ts'
import { type ChainOptions, imageSize, reverseImages, stepsFrom, trajectoryNoise } from './sampling.ts'

export interface ImageRoundTripOptions extends ChainOptions {
  /** t at which the process turns. */
  readonly time: number
  /** Times from one step back to the next. Default 1. */
  readonly stride?: number
  /** Trajectories of each image. Default 1. */
  readonly samples?: number
  readonly key: random.Key
  /** The number of the first trajectory: a later call goes on where an earlier one ended. Default 0. */
  readonly first?: number
}

/** √ᾱ x₀ + √(1 − ᾱ) ε of images at time t; ε of as many numbers. */
export function noisyImages(
  { alphaBar }: Pick<ImageDenoiser, 'alphaBar'>,
  clean: Float32Array,
  noise: Float32Array,
  t: number,
): Float32Array {
  const [signal, spread] = [Math.sqrt(alphaBar[t]!), Math.sqrt(Math.fround(1 - alphaBar[t]!))]
  return clean.map((value, i) => signal * value + spread * noise[i]!)
}

/**
 * Round trips x₀ → x_t → x̂₀ of every image: [N, C, H, W] ↦ [N · samples, C, H, W], image by image. The network is given `labels`
 * [N], those of the images. Trajectory k has its own noise, that of no other, whatever is computed together.
 */
export async function imageRoundTrips(
  denoiser: ImageDenoiser,
  images: Float32Array,
  { time, stride = 1, samples = 1, key, first = 0, labels, ...chain }: ImageRoundTripOptions,
): Promise<Float32Array> {
  const size = imageSize(denoiser)
  const count = images.length / size
  if (!Number.isInteger(count))
    fail(
      'TL_BAD_ARGUMENT',
      `images: expected a whole number of images [${denoiser.shape}] of ${size} numbers, got ${images.length} numbers`,
    )
  if (!(Number.isSafeInteger(samples) && samples >= 1))
    fail('TL_BAD_ARGUMENT', `samples: expected a whole number of at least 1, got ${samples}`)
  const steps = stepsFrom(denoiser.scheduler, time, stride)
  const which = { first, count: count * samples, size }
  const clean = new Float32Array(which.count * size)
  for (let i = 0; i < which.count; i++) {
    const from = Math.floor(i / samples) * size
    clean.set(images.subarray(from, from + size), i * size)
  }
  const [forward, backward] = random.split(key) as [random.Key, random.Key]
  const start = noisyImages(denoiser, clean, trajectoryNoise(forward, -1, which), time)
  const repeated = labels && Array.from({ length: which.count }, (_, i) => labels[Math.floor(i / samples)]!)
  return reverseImages(denoiser, start, steps, (t) => trajectoryNoise(backward, t, which), {
    ...chain,
    ...(repeated && { labels: repeated }),
  })
}
