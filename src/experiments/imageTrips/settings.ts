/** @file What both studies of images ask for: whose model, which images, how many round trips to which times. */
import { createHash } from 'node:crypto'
import { z } from 'zod'
import { fail } from '../../base/index.ts'
import { blockMeans, type ImageDataset, loadDataset, normalizeImages, type Split } from '../../data/index.ts'
import { type ImageDenoiser, openImageDenoiser } from '../../diffusion/index.ts'
import { fetchListeners, type Preparing, seedField } from '../../lab/index.ts'
import { random } from '../../tensor/index.ts'

/** Fields of the config that both studies have. */
export const tripFields = {
  seed: seedField,
  model: z
    .string()
    .default('')
    .describe(
      'folder of a diffusion model of images, as diffusers writes it, or of a small DDPM; without it only the controls are measured',
    ),
  images: z.string().min(1).default('mnist').describe('mnist, another set by its name, or a path of yours'),
  side: z
    .int()
    .min(4)
    .max(64)
    .default(28)
    .describe('pixels of a side of the images where no model says it; divides that of sets without a choice'),
  times: z
    .array(z.number().gt(0).lt(1))
    .min(3)
    .max(64)
    .default([0.1, 0.2, 0.3, 0.4, 0.45, 0.5, 0.55, 0.6, 0.7, 0.8])
    .describe('times at which the process turns, as shares of T'),
  steps: z.int().min(1).max(1000).default(50).describe('steps of a whole way back from T'),
  sampler: z.enum(['ddpm', 'ddim']).default('ddpm').describe('ancestral, or DDIM with η = 0'),
  groups: z.int().min(2).max(64).default(16).describe('of images; errors leave one of them out at a time'),
  imagesPerGroup: z.int().min(1).max(256).default(4),
  trajectories: z.int().min(2).max(1024).default(16).describe('round trips of each image to each time'),
  drift: z
    .number()
    .min(0)
    .max(2)
    .default(0.1)
    .describe(
      'a round trip is rejected where the mean of the four corners of 3×3 pixels, from −1 to 1, moved by more; 0 rejects nothing',
    ),
  examples: z
    .int()
    .min(20)
    .max(1_000_000)
    .default(20_000)
    .describe('training images that controls are fitted to, at the most'),
  shown: z.int().min(1).max(12).default(6).describe('images whose round trips the report shows'),
}

const shared = z.strictObject(tripFields)
export type TripConfig = z.infer<typeof shared>

/** [channels, height, width]. */
export type Shape = readonly [number, number, number]

/** Images in [−1, 1], [count, C, H, W], and their labels. */
export interface Part {
  readonly images: Float32Array
  readonly labels: Uint8Array
  readonly count: number
}

export interface ImageSet {
  readonly title: string
  readonly classes: readonly string[]
  readonly shape: Shape
  readonly train: (most: number) => Part
  readonly test: Part
}

/** What a run's numbers depend on besides its config. */
export interface Prepared {
  readonly shape: Shape
  /** T. */
  readonly steps: number
  readonly title: string
  readonly classes: readonly string[]
  /** SHA-256 of what the set holds, and of what the model says of one noisy image. */
  readonly images: string
  readonly model: string
}

/** A split as numbers, the first `most` images, in blocks of `by` pixels. */
function partOf({ images, labels, count }: Split, set: ImageDataset, by: number, most: number): Part {
  const [height, width, channels] = set.shape
  const some = Math.min(count, most)
  const bytes = images.subarray(0, some * height * width * channels)
  const half = new Array<number>(channels).fill(0.5)
  const numbers = normalizeImages(bytes, { shape: set.shape, mean: half, std: half })
  return {
    images: by === 1 ? numbers : blockMeans(numbers, [channels, height, width], by),
    labels: labels.subarray(0, some),
    count: some,
  }
}

/** The images of a config: as a model wants them, or of the config's side. */
export async function readImages(
  { images, side }: Pick<TripConfig, 'images' | 'side'>,
  wanted: Shape | undefined,
  telling?: Preparing,
): Promise<ImageSet> {
  const size = wanted ? ([wanted[1], wanted[2]] as const) : ([side, side] as const)
  const set = await loadDataset(images, {
    ...(telling && fetchListeners(telling)),
    images: { size, ...(wanted && { channels: wanted[0] as 1 | 3 }) },
  })
  const [height, width, channels] = set.shape
  const by = wanted ? 1 : height / side
  const shape: Shape = wanted ?? [channels, side, width / by]
  if (wanted ? wanted.join() !== [channels, height, width].join() : !Number.isInteger(by) || width !== height)
    fail(
      'TL_BAD_CONFIG',
      wanted
        ? `config.images: ${set.title} has images of ${height} × ${width} × ${channels}, but the model makes ${wanted[1]} × ${wanted[2]} × ${wanted[0]}`
        : `config.side: expected a divisor of the ${height} × ${width} pixels of ${set.title}, got ${side}`,
    )
  return {
    ...{ title: set.title, classes: set.classes, shape },
    train: (most) => partOf(set.train, set, by, most),
    test: partOf(set.test, set, by, set.test.count),
  }
}

/** Images that a denoiser computes together: a fixed number, so that results do not depend on what is asked. */
const togetherOf = (shape: Shape): number =>
  Math.max(1, Math.min(32, Math.floor(2 ** 16 / (shape[0] * shape[1] * shape[2]))))

/** The model of a config, for programs of one size. */
export async function openModel(path: string): Promise<ImageDenoiser> {
  const first = await openImageDenoiser(path)
  const together = togetherOf(first.shape)
  first.dispose()
  return openImageDenoiser(path, { batchSize: together })
}

const sha = (...parts: readonly ArrayBufferView[]): string => {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(new Uint8Array(part.buffer, part.byteOffset, part.byteLength))
  return hash.digest('hex')
}

/** What a model says of noise: its fingerprint. */
async function printOf(model: ImageDenoiser): Promise<string> {
  const size = model.shape.reduce((product, n) => product * n, 1)
  const noise = Float32Array.from(random.sampleNormal(random.key(0), size))
  return sha(
    await model.predict(noise, Math.floor(model.steps / 2), model.classes === undefined ? undefined : [0]),
    model.alphaBar,
  )
}

/** Read the images and the model of a run, and refuse what cannot be measured. */
export async function prepareTrips(config: TripConfig, telling: Preparing): Promise<Prepared> {
  const model = config.model === '' ? undefined : await openModel(config.model)
  try {
    const set = await readImages(config, model?.shape, telling)
    const wanted = config.groups * config.imagesPerGroup
    if (model && wanted > set.test.count)
      fail(
        'TL_BAD_CONFIG',
        `config.imagesPerGroup: ${config.groups} groups of ${config.imagesPerGroup} take ${wanted} images, but ${set.title} has ${set.test.count} for testing`,
      )
    if (model && model.steps < config.steps)
      fail(
        'TL_BAD_CONFIG',
        `config.steps: expected at most the ${model.steps} of the model, got ${config.steps}`,
      )
    const { images, labels } = set.train(1000)
    return {
      ...{ shape: set.shape, title: set.title, classes: set.classes },
      steps: model?.steps ?? 1000,
      images: sha(set.test.images, set.test.labels, images, labels),
      model: model ? await printOf(model) : '',
    }
  } finally {
    model?.dispose()
  }
}
