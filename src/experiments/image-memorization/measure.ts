/** @file Networks trained on a few images, looked at until they copy them, and two on disjoint images. */
import {
  copiedShare,
  fixedNoisyImages,
  imageLosses,
  lookSteps,
  nearestOf,
  parseScheduler,
  sampleImages,
  trainedImageDenoiser,
  trainImageDenoiser,
} from '../../diffusion/index.ts'
import type { Bench } from '../../lab/index.ts'
import { denoisingMlp } from '../../nn/index.ts'
import { random } from '../../tensor/index.ts'
import { type HalvesRow, halvesOf } from '../onset/halves.ts'
import { bestLook, isOver } from '../onset/times.ts'
import type { Config } from './config.ts'
import type { Images } from './images.ts'
import { trainingOf, type VariantName } from './variants.ts'

/** What is measured: how many images are trained on, and how. */
export interface Cell {
  readonly part: 'curve' | 'halves'
  readonly variant: VariantName
  readonly P: number
}

/** One look at one network. */
export interface CurveRow {
  readonly of: 'curve'
  readonly step: number
  /** Squared error of a pixel, of images that are trained on, at times below `before`. */
  readonly trainingLoss: number
  /** The same of test images: what τ_mem is read off. */
  readonly validationLoss: number
  /** Of test images at all times. */
  readonly wholeLoss: number
  /** Share of generated images that are copies, less the share of test images that pass as such. */
  readonly copies: number
  /** The share of test images. */
  readonly passing: number
}

/** A generated image beside its nearest training image, as bytes. */
export interface PairRow {
  readonly of: 'pair'
  readonly step: number
  /** When it was generated: at the least validation loss, or at the end. */
  readonly when: 'best' | 'end'
  /** Distance of the nearest training image over that of the next. */
  readonly ratio: number
  readonly width: number
  readonly height: number
  readonly channels: number
  readonly generated: readonly number[]
  readonly nearest: readonly number[]
}

export type Row = CurveRow | PairRow | HalvesRow

type ImageBench = Bench<Config, Images>

/** Pairs that are kept of a look: those most like copies. */
const pairsKept = 4

const mean = (values: Float32Array): number => values.reduce((a, b) => a + b, 0) / values.length

/** Bytes [H, W, C] of an image [C, H, W] in [−1, 1]. */
function bytesOf(image: Float32Array, [channels, height, width]: Images['shape']): number[] {
  const plane = height * width
  return Array.from({ length: image.length }, (_, i) => {
    const value = image[(i % channels) * plane + Math.floor(i / channels)]!
    return Math.max(0, Math.min(255, Math.round((value + 1) * 127.5)))
  })
}

/** The generated images that are nearest to a copy, beside what they are nearest to. */
function pairsOf(
  generated: Float32Array,
  train: Float32Array,
  shape: Images['shape'],
  at: Pick<PairRow, 'step' | 'when'>,
): PairRow[] {
  const size = shape[0] * shape[1] * shape[2]
  const { nearest, ratio } = nearestOf(generated, train, size)
  const order = Array.from(ratio.keys()).sort((a, b) => ratio[a]! - ratio[b]!)
  const image = (of: Float32Array, i: number): number[] =>
    bytesOf(of.subarray(i * size, (i + 1) * size), shape)
  return order.slice(0, pairsKept).map((i) => ({
    ...{ of: 'pair', ...at, ratio: ratio[i]! },
    ...{ channels: shape[0], height: shape[1], width: shape[2] },
    ...{ generated: image(generated, i), nearest: image(train, nearest[i]!) },
  }))
}

/** Train a network on images and look at it. Networks of one replica begin alike and generate from the same noise. */
async function curveOf(
  train: Float32Array,
  test: Float32Array,
  cell: Cell,
  {
    config,
    resource: { shape },
    signal,
    progress,
  }: Pick<ImageBench, 'config' | 'resource' | 'signal' | 'progress'>,
  key: random.Key,
): Promise<{ looks: CurveRow[]; generated: Float32Array[] }> {
  const keys = random.split(key, 6)
  const { width, steps, averageDecay, ...training } = trainingOf(cell.variant, cell.P, config)
  const size = shape[0] * shape[1] * shape[2]
  const network = { shape, ...denoisingMlp({ size, width, layers: config.layers }) }
  const scheduler = parseScheduler(
    { _class_name: 'DDIMScheduler', num_train_timesteps: config.times, prediction_type: 'sample' },
    'config',
  )
  const { samples, samplingSteps, validation: count, before } = config
  const fixed = (images: Float32Array, at: number, limit?: number) =>
    fixedNoisyImages(shape, scheduler, images, {
      ...{ count, key: keys[at]! },
      ...(limit !== undefined && { before: limit }),
    })
  const [seen, unseen, whole] = [fixed(train, 0, before), fixed(test, 1, before), fixed(test, 2)]
  const passing = copiedShare(nearestOf(test, train, size))
  const losses = imageLosses(network)
  const denoisers = trainedImageDenoiser(network, scheduler, { batchSize: Math.min(256, samples) })
  const looks: CurveRow[] = []
  const generated: Float32Array[] = []
  try {
    await trainImageDenoiser(network, scheduler, {
      ...training,
      ...{ images: train, parameters: network.init(keys[3]!), steps, key: keys[4]!, threads: 1, signal },
      ...(averageDecay && { averageDecay }),
      looks: lookSteps(32, steps, config.looks),
      onProgress: progress,
      onLook: async (parameters, step) => {
        const made = await sampleImages(denoisers.with(parameters), {
          ...{ key: keys[5]!, count: samples, steps: samplingSteps, signal },
        })
        generated.push(made)
        const lossOf = async (images: typeof seen) => mean(await losses.of(parameters, images))
        looks.push({
          ...{ of: 'curve', step, passing },
          trainingLoss: await lossOf(seen),
          validationLoss: await lossOf(unseen),
          wholeLoss: await lossOf(whole),
          copies: copiedShare(nearestOf(made, train, size)) - passing,
        })
        return !isOver(looks, 0.25)
      },
    })
    return { looks, generated }
  } finally {
    losses.dispose()
    denoisers.dispose()
  }
}

/** Mean over images of the cosine of their differences from the mean of both sets. */
export function likeness(a: Float32Array, b: Float32Array, size: number): number {
  const count = a.length / size
  const centre = new Float64Array(size)
  for (let i = 0; i < a.length; i++) centre[i % size]! += (a[i]! + b[i]!) / (2 * count)
  let sum = 0
  for (let n = 0; n < count; n++) {
    let [product, first, second] = [0, 0, 0]
    for (let i = 0; i < size; i++) {
      const [x, y] = [a[n * size + i]! - centre[i]!, b[n * size + i]! - centre[i]!]
      product += x * y
      first += x * x
      second += y * y
    }
    sum += first > 0 && second > 0 ? product / Math.sqrt(first * second) : 0
  }
  return sum / count
}

/** Do one cell. Training sets of one replica are nested. */
export async function measure(cell: Cell, bench: ImageBench): Promise<Row[]> {
  const { config, key, resource, replica } = bench
  const [forTrain, forTest, forTraining] = random.split(key, 3) as [random.Key, random.Key, random.Key]
  const drawn = (part: 'train' | 'test', own: random.Key, count: number): Float32Array =>
    resource.of(part, random.samplePermutation(own, resource[part]).slice(0, count))
  const test = drawn('test', forTest, Math.min(config.validation, resource.test))
  const { P } = cell
  if (cell.part === 'curve') {
    const train = drawn('train', forTrain, P)
    const { looks, generated } = await curveOf(train, test, cell, bench, forTraining)
    // pictures of one draw are enough
    if (replica > 0 || cell.variant !== 'recipe') return looks
    const least = looks.indexOf(bestLook(looks))
    const pairs = (at: number, when: PairRow['when']): PairRow[] =>
      pairsOf(generated[at]!, train, resource.shape, { step: looks[at]!.step, when })
    return [...looks, ...pairs(least, 'best'), ...pairs(looks.length - 1, 'end')]
  }
  const both = drawn('train', forTrain, 2 * P)
  const middle = both.length / 2
  const size = resource.shape.reduce((product, n) => product * n, 1)
  return halvesOf([both.slice(0, middle), both.slice(middle)], {
    ...{ progress: bench.progress, size, alike: (a: Float32Array, b: Float32Array) => likeness(a, b, size) },
    async train(own, progress) {
      const { looks, generated } = await curveOf(own, test, cell, { ...bench, progress }, forTraining)
      return looks.map(({ step, copies }, at) => ({ step, copies, generated: generated[at]! }))
    },
  })
}
