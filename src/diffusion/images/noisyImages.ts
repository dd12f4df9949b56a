/** @file Images made noisy: for each step of training anew, and once and for all for losses that are compared. */
import { fail } from '../../base/index.ts'
import { random, type Tensor, tensor } from '../../tensor/index.ts'
import type { ImageScheduler } from './scheduler.ts'

/** Images with noise, and what a network should say of each. */
export type NoisyImages = {
  /** x_t = √ᾱ x₀ + √(1 − ᾱ) ε, [B, C, H, W]. */
  noisy: Tensor
  /** x₀, ε or v, [B, C, H, W]. */
  target: Tensor
  /** t, i32 [B]. */
  t: Tensor
}

const sizeOf = (shape: readonly number[]): number => shape.reduce((product, n) => product * n, 1)

/** Tables [N, C, H, W] without noise yet: targets are the clean images. */
export function withoutNoise(shape: readonly number[], images: Float32Array): NoisyImages {
  const size = sizeOf(shape)
  const count = images.length / size
  if (!(Number.isInteger(count) && count > 0))
    fail(
      'TL_BAD_ARGUMENT',
      `images: expected a whole number of images [${shape}] of ${size} numbers, got ${images.length} numbers`,
    )
  const table = (data: Float32Array): Tensor => tensor(data, { shape: [count, ...shape] })
  return {
    noisy: table(new Float32Array(images.length)),
    target: table(images),
    t: tensor(new Int32Array(count)),
  }
}

/** Makes clean images, which `target` holds, noisy at the times that `t` holds; then `target` is what a network should say. */
function addNoise(
  { noisy, target, t }: NoisyImages,
  { alphaBar, prediction }: ImageScheduler,
  noiseAt: (i: number) => number,
): void {
  const [x, y, times] = [noisy.data as Float32Array, target.data as Float32Array, t.data as Int32Array]
  const size = x.length / times.length
  for (let n = 0, i = 0; n < times.length; n++) {
    const level = alphaBar[times[n]!]!
    const [signal, spread] = [Math.sqrt(level), Math.sqrt(1 - level)]
    for (const end = i + size; i < end; i++) {
      const [clean, noise] = [y[i]!, noiseAt(i)]
      x[i] = signal * clean + spread * noise
      if (prediction === 'epsilon') y[i] = noise
      else if (prediction === 'v_prediction') y[i] = signal * noise - spread * clean
    }
  }
}

const shares = 2 ** 16

/**
 * The middles of 2^16 equal shares of the normal distribution, scaled to variance 1. Noise of training is drawn from them, two
 * numbers of each random word: a logarithm for each would be a sixth of the step of a small network.
 */
let quantiles: Float32Array | undefined

function quantilesOfNormal(): Float32Array {
  if (quantiles) return quantiles
  const drawn = Float64Array.from({ length: shares }, (_, i) => random.normalOfWord((i + 0.5) * 2 ** 16))
  const squares = drawn.reduce((sum, z) => sum + z * z, 0)
  quantiles = Float32Array.from(drawn, (z) => z * Math.sqrt(shares / squares))
  return quantiles
}

/** Times and noise of a step of training. */
export function renoise(scheduler: ImageScheduler, batch: NoisyImages, key: random.Key): undefined {
  const { noisy, t } = batch
  const pairs = Math.ceil(noisy.size / 2)
  const words = random.sampleBits(key, pairs + t.size)
  const halves = new Uint16Array(words.buffer, words.byteOffset, 2 * pairs)
  const times = t.data as Int32Array
  for (let i = 0; i < times.length; i++)
    times[i] = Math.floor(random.unitOfWord(words[pairs + i]!) * scheduler.steps)
  const table = quantilesOfNormal()
  addNoise(batch, scheduler, (i) => table[halves[i]!]!)
}

/**
 * Images made noisy once, for losses that can be compared from one step of training to another: `count` pairs of an image and a
 * time, images in turn, times in equal distances from 0 to `before` (default T) in a random order.
 */
export function fixedNoisyImages(
  shape: readonly [number, number, number],
  scheduler: ImageScheduler,
  images: Float32Array,
  {
    count,
    before = scheduler.steps,
    key,
  }: { readonly count: number; readonly before?: number; readonly key: random.Key },
): NoisyImages {
  const size = sizeOf(shape)
  const repeated = new Float32Array(count * size)
  for (let i = 0; i < count; i++) {
    const from = (i * size) % images.length
    repeated.set(images.subarray(from, from + size), i * size)
  }
  const [forOrder, forNoise] = random.split(key)
  const batch = withoutNoise(shape, repeated)
  const times = batch.t.data as Int32Array
  for (const [i, at] of random.samplePermutation(forOrder, count).entries())
    times[i] = Math.floor((at * before) / count)
  const noise = random.sampleNormal(forNoise, count * size)
  addNoise(batch, scheduler, (i) => noise[i]!)
  return batch
}
