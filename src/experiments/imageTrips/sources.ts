/** @file What images are taken through round trips by: a user's model, and controls with exact posteriors. */
import { fail } from '../../base/index.ts'
import { blockMeans } from '../../data/index.ts'
import {
  classGaussianRoundTrips,
  fieldLike,
  fieldRoundTrips,
  fitClassGaussians,
  type ImageDenoiser,
  imageRoundTrips,
  parseScheduler,
  sampleClassGaussians,
  sampleField,
  sampleShuffled,
  shuffledRoundTrips,
  shufflePixels,
} from '../../diffusion/index.ts'
import { random } from '../../tensor/index.ts'
import {
  type ImageSet,
  openModel,
  type Part,
  type Prepared,
  readImages,
  type Shape,
  type TripConfig,
} from './settings.ts'

export type SourceName = 'model' | 'mixture' | 'field' | 'shuffled'

/** Names for people. */
export const sourceTitles: Readonly<Record<SourceName, string>> = {
  model: 'the model',
  mixture: 'mixture of class Gaussians',
  field: 'Gaussian field',
  shuffled: 'shuffled pixels',
}

/** Clean images, and round trips of them. */
export interface Source {
  readonly shape: Shape
  /** Images of a group, no other group's: [count, C, H, W]. */
  readonly draw: (group: number, count: number, key: random.Key) => Float32Array
  /** Round trips to a share of T of the images of a group: [count · n, C, H, W], image by image. */
  readonly trips: (
    images: Float32Array,
    options: {
      readonly group: number
      readonly time: number
      readonly n: number
      readonly key: random.Key
      readonly signal: AbortSignal
      readonly onStep: (done: number, total: number) => void
    },
  ) => Promise<Float32Array>
}

/** Most numbers of an image whose covariance is taken apart. */
export const mostCoordinates = 1024

/** ᾱ of the schedule that controls share with the small DDPMs. */
const ownSchedule = () =>
  parseScheduler({ _class_name: 'DDPMScheduler', num_train_timesteps: 1000 }, 'the schedule of the controls')

/** t of a share of T. */
const timeOf = (share: number, steps: number): number =>
  Math.max(1, Math.min(steps - 1, Math.round(share * steps)))

const sizeOf = (shape: Shape): number => shape[0] * shape[1] * shape[2]

/** Round trips of every image of a control, whose points are all numbers of an image. */
const controlOf = (
  shape: Shape,
  alphaBar: Float32Array,
  draw: (key: random.Key, count: number) => ArrayLike<number>,
  trips: (x0: Float64Array, alphaBar: number, key: random.Key, n: number) => ArrayLike<number>,
): Source => ({
  shape,
  draw: (_, count, key) => Float32Array.from(draw(key, count)),
  async trips(images, { time, n, key, signal, onStep }) {
    const size = sizeOf(shape)
    const count = images.length / size
    const out = new Float32Array(count * n * size)
    const level = alphaBar[timeOf(time, alphaBar.length)]!
    for (let i = 0; i < count; i++) {
      if (signal.aborted) fail('TL_INTERRUPTED', 'interrupted')
      const x0 = Float64Array.from(images.subarray(i * size, (i + 1) * size))
      out.set(trips(x0, level, random.foldIn(key, i), n), i * n * size)
      onStep(i + 1, count)
    }
    return out
  },
})

/** Test images in an order of their own, and a user's model. */
function modelSource(model: ImageDenoiser, { test }: ImageSet, config: TripConfig): Source {
  const size = sizeOf(model.shape)
  const order = random.samplePermutation(random.foldIn(random.key(config.seed), 71), test.count)
  const chosen = (group: number, count: number): number[] =>
    Array.from(order.subarray(group * config.imagesPerGroup, group * config.imagesPerGroup + count))
  return {
    shape: model.shape,
    draw(group, count) {
      const images = new Float32Array(count * size)
      for (const [i, index] of chosen(group, count).entries())
        images.set(test.images.subarray(index * size, (index + 1) * size), i * size)
      return images
    },
    trips: (images, { group, time, n, ...given }) =>
      imageRoundTrips(model, images, {
        ...given,
        time: timeOf(time, model.steps),
        stride: Math.max(1, Math.round(model.steps / config.steps)),
        samples: n,
        sampler: config.sampler === 'ddim' ? { kind: 'ddim', eta: 0 } : { kind: 'ddpm' },
        ...(model.classes !== undefined && {
          labels: chosen(group, images.length / size).map((index) => test.labels[index]!),
        }),
      }),
  }
}

/** Grey images of at most 32 pixels a side: what controls on places are fitted to. */
function smallGrey({ images, labels, count }: Part, shape: Shape): { part: Part; shape: Shape } {
  const [channels, height, width] = shape
  const plane = height * width
  const grey = new Float32Array(count * plane)
  for (let n = 0; n < count; n++)
    for (let c = 0; c < channels; c++)
      for (let i = 0; i < plane; i++)
        grey[n * plane + i]! += images[(n * channels + c) * plane + i]! / channels
  let by = 1
  while ((height / by) * (width / by) > mostCoordinates || height % by !== 0 || width % by !== 0) by++
  const own: Shape = [1, height, width]
  return {
    part: { labels, count, images: by === 1 ? grey : blockMeans(grey, own, by) },
    shape: [1, height / by, width / by],
  }
}

/** What a thread holds: images, the model, and controls that are fitted when they are wanted. */
export interface Sources {
  readonly set: ImageSet
  readonly steps: number
  readonly alphaBar: Float32Array
  /** `inColour`: images of a control have the channels of the set, not one. */
  readonly of: (name: SourceName) => Source
  readonly dispose: () => void
}

function fittedTo(
  name: Exclude<SourceName, 'model'>,
  part: Part,
  shape: Shape,
  alphaBar: Float32Array,
  classes: number,
) {
  if (name === 'mixture') {
    const mixture = fitClassGaussians(part.images, part.labels, classes)
    return controlOf(
      shape,
      alphaBar,
      (key, count) => sampleClassGaussians(mixture, key, count).points,
      (x0, level, key, n) => classGaussianRoundTrips(mixture, x0, level, key, n).points,
    )
  }
  if (name === 'shuffled') {
    const shuffled = shufflePixels(part.images, sizeOf(shape))
    return controlOf(
      shape,
      alphaBar,
      (key, count) => sampleShuffled(shuffled, key, count),
      (x0, level, key, n) => shuffledRoundTrips(shuffled, x0, level, key, n),
    )
  }
  const field = fieldLike(part.images, shape[1])
  return controlOf(
    shape,
    alphaBar,
    (key, count) => sampleField(field, key, count),
    (x0, level, key, n) => fieldRoundTrips(field, x0, level, key, n),
  )
}

/** Open what a run measures. `grey`: controls are of grey images of at most 32 pixels a side; otherwise of images as they are. */
export async function openSources(
  config: TripConfig,
  expected: Prepared,
  { grey }: { readonly grey: boolean },
): Promise<Sources> {
  const model = config.model === '' ? undefined : await openModel(config.model)
  const set = await readImages(config, model?.shape)
  if (set.shape.join() !== expected.shape.join())
    fail('TL_BAD_FILE', `${config.images}: changed while the run was at work; run again with --fresh`)
  const alphaBar = model?.alphaBar ?? ownSchedule().alphaBar
  const made = new Map<SourceName, Source>()
  function make(name: SourceName): Source {
    if (name === 'model') return modelSource(model!, set, config)
    const train = set.train(config.examples)
    const own = grey ? smallGrey(train, set.shape) : { part: train, shape: set.shape }
    return fittedTo(name, own.part, own.shape, alphaBar, set.classes.length)
  }
  return {
    ...{ set, alphaBar, steps: alphaBar.length },
    of(name) {
      const known = made.get(name) ?? make(name)
      made.set(name, known)
      return known
    },
    dispose: () => model?.dispose(),
  }
}
