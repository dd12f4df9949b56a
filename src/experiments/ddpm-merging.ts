/** @file Merging two real denoisers: what interpolation, task arithmetic and LiNeS cost on MNIST and on Fashion-MNIST. */
import { createHash } from 'node:crypto'
import { z } from 'zod'
import { fail } from '../base/index.ts'
import { type ImageDataset, loadDataset } from '../data/index.ts'
import { defineStudy, fetchListeners, type Preparing, seedField } from '../lab/index.ts'
import { random } from '../tensor/index.ts'
import { bestCompromise, layerWise, type Measured, modelsOf, onLine } from './ddpm-merging/analyse.ts'
import { imagesDrawn, mergingCharts } from './ddpm-merging/charts.ts'
import { claimsOf, mergingFindings } from './ddpm-merging/claims.ts'
import {
  byGroup,
  byTenth,
  drawImages,
  errorsOf,
  groupCount,
  type Noisy,
  noisyImages,
  openPrograms,
  type Programs,
  pixels,
  spreadOverTimes,
  type TaskName,
  tasks,
} from './ddpm-merging/losses.ts'
import { fingerprintOf, mergeRecipe, readWeights, relativeDistance, sourcesOf } from './ddpm-merging/merge.ts'
import { candidates, type ModelName } from './ddpm-merging/recipes.ts'
import { type Cell, lossRows, type Row, type Rows, references } from './ddpm-merging/rows.ts'
import { mergingTables } from './ddpm-merging/tables.ts'
import type { Weights } from './merging/tensors.ts'

const config = z.strictObject({
  seed: seedField,
  mnist: z.string().default('').describe('path of the checkpoint trained on MNIST; required'),
  fashion: z.string().default('').describe('path of the checkpoint trained on Fashion-MNIST; required'),
  mnistImages: z.string().min(1).default('mnist').describe('mnist, or a folder of IDX files'),
  fashionImages: z
    .string()
    .min(1)
    .default('/usr/share/datasets/fashion-mnist')
    .describe(
      'a folder of IDX files; the default is where the Debian package dataset-fashion-mnist puts them',
    ),
  images: z
    .int()
    .min(groupCount)
    .max(10_000)
    .multipleOf(groupCount)
    .default(256)
    .describe('test images of each set, each at a time and with noise of its own; a multiple of 16'),
  imagesAtTimes: z
    .int()
    .min(groupCount)
    .max(10_000)
    .multipleOf(groupCount)
    .default(1024)
    .describe('test images of each set on which errors at single times are compared with PyTorch'),
  points: z
    .int()
    .min(5)
    .max(201)
    .refine((n) => n % 2 === 1, 'expected an odd number, so that the mean is one of them')
    .default(41)
    .describe('places on the line from one model to the other'),
  step: z
    .number()
    .min(0.05)
    .max(1)
    .default(0.25)
    .describe('of the grid of LiNeS in α and in α + β; divides 1'),
  samples: z.int().min(1).max(16).default(6).describe('images drawn from each model of the gallery'),
  samplingSteps: z.int().min(2).max(1000).default(50),
})
type Config = z.infer<typeof config>

/** What a run's numbers depend on besides its config: SHA-256 of the weights and of the images that are used. */
type Prepared = Readonly<Record<TaskName, { readonly weights: string; readonly images: string }>>

interface Resource {
  readonly sources: Readonly<Record<ModelName, Weights>>
  readonly images: Readonly<Record<TaskName, Uint8Array>>
  readonly programs: Programs
  /** The same images, times and noise for every model: differences between them have much smaller errors. */
  readonly noisy: Readonly<Record<TaskName, Noisy>>
}

/** The key of a run: there is one draw of images, and groups of them stand for replicas. */
const keyOf = ({ seed }: Config, use: number): random.Key => random.foldIn(random.key(seed), use)

/** Test images of one set, drawn without replacement: enough for every part, which take the first of them. [count · 784] */
function chosenImages(set: ImageDataset, { images, imagesAtTimes }: Config, key: random.Key): Uint8Array {
  const count = Math.max(images, imagesAtTimes)
  const [height, width, channels] = set.shape
  if (height !== 28 || width !== 28 || channels !== 1)
    fail('TL_BAD_FILE', `${set.name}: expected images of 28 × 28 × 1, got ${set.shape.join(' × ')}`)
  if (count > set.test.count)
    fail(
      'TL_BAD_CONFIG',
      `config.${images < count ? 'imagesAtTimes' : 'images'}: expected at most the ${set.test.count} test images of ${set.name}, got ${count}`,
    )
  const out = new Uint8Array(count * pixels)
  for (const [i, index] of random.samplePermutation(key, set.test.count).subarray(0, count).entries())
    out.set(set.test.images.subarray(index * pixels, (index + 1) * pixels), i * pixels)
  return out
}

const firstOf = (images: Uint8Array, count: number): Uint8Array => images.subarray(0, count * pixels)

/** The images of a run. Throws TL_IO with the way to get Fashion-MNIST. */
async function loadImages(c: Config, telling?: Preparing): Promise<Record<TaskName, Uint8Array>> {
  const listeners = telling && fetchListeners(telling)
  const mnist = await loadDataset(c.mnistImages, listeners)
  const fashion = await loadDataset(c.fashionImages, listeners).catch((cause: Error & { code?: string }) =>
    cause.code === 'TL_IO'
      ? fail(
          'TL_IO',
          `${cause.message}; name a folder with the IDX files of Fashion-MNIST: --set fashionImages=FOLDER (Debian: dataset-fashion-mnist)`,
          cause,
        )
      : Promise.reject(cause),
  )
  return {
    mnist: chosenImages(mnist, c, keyOf(c, 100)),
    fashion: chosenImages(fashion, c, keyOf(c, 101)),
  }
}

async function loadInputs(c: Config, telling?: Preparing) {
  const weights = { mnist: readWeights(c.mnist), fashion: readWeights(c.fashion) }
  const images = await loadImages(c, telling)
  const print = (task: TaskName) => ({
    weights: fingerprintOf(weights[task]),
    images: createHash('sha256').update(images[task]).digest('hex'),
  })
  const prepared: Prepared = { mnist: print('mnist'), fashion: print('fashion') }
  return { weights, images, prepared }
}

async function open(c: Config, expected: Prepared): Promise<Resource> {
  const { weights, images, prepared } = await loadInputs(c)
  for (const task of tasks)
    for (const [what, path] of [
      ['weights', c[task]],
      ['images', task === 'mnist' ? c.mnistImages : c.fashionImages],
    ] as const)
      if (prepared[task][what] !== expected[task][what])
        fail('TL_BAD_FILE', `${path}: changed while the run was at work; run again with --fresh`)
  return {
    sources: sourcesOf(weights.mnist, weights.fashion),
    images,
    programs: openPrograms(),
    noisy: {
      mnist: spreadOverTimes(firstOf(images.mnist, c.images), keyOf(c, 0)),
      fashion: spreadOverTimes(firstOf(images.fashion, c.images), keyOf(c, 1)),
    },
  }
}

/** The models of the gallery. */
function gallery(rows: Rows): { readonly title: string; readonly name: string }[] {
  const models = modelsOf(lossRows(rows))
  const of = (title: string, { name }: Measured) => ({ title, name })
  return [
    of('MNIST', onLine(models, 1)),
    of('the mean', onLine(models, 0)),
    of('Fashion', onLine(models, -1)),
    of('best LiNeS', bestCompromise(layerWise(models))!),
  ]
}

const recipeOf = (c: Config, name: string) => candidates(c).find((one) => one.name === name)!.recipe

const weightParts = ['te1', 'down1', 'all'] as const

export const ddpmMerging = defineStudy<Config, Cell, Row, Resource, Prepared>(import.meta.url, {
  name: 'ddpm-merging',
  title: 'Merging two denoisers',
  question:
    'What does every way of merging two diffusion models of one initialization, trained on MNIST and on Fashion-MNIST, cost on either task?',
  source: 'LiNeS: Wang et al. 2025',
  version: 2,
  config,
  requires: ['mnist', 'fashion'],
  presets: {
    tiny: { images: 16, imagesAtTimes: 16, points: 5, step: 1, samples: 1, samplingSteps: 2 },
    tour: { images: 32, imagesAtTimes: 64, points: 9, step: 1, samples: 2, samplingSteps: 10 },
    quick: { images: 64, points: 17, step: 0.5, samples: 4, samplingSteps: 25 },
    paper: { images: 512, samplingSteps: 100 },
  },
  async prepare(c, telling) {
    const { prepared } = await loadInputs(c, telling)
    telling.log(`${candidates(c).length} models, ${c.images} test images of each set`)
    return prepared
  },
  cells: (c, rows) => [
    { part: 'weights' },
    ...tasks.map((task): Cell => ({ part: 'times', task })),
    ...candidates(c).map(({ family, name, at }): Cell => ({ part: 'loss', family, name, ...at })),
    ...(rows.length > 0 ? gallery(rows).map((one): Cell => ({ part: 'samples', ...one })) : []),
  ],
  replicas: () => 1,
  suppose: (cell) => (cell.part === 'loss' ? tasks.map((task) => ({ task, group: 0, loss: 1 })) : []),
  cost: (cell, { images, imagesAtTimes, samples, samplingSteps }) => {
    if (cell.part === 'loss') return 0.006 * images
    if (cell.part === 'times') return 0.003 * imagesAtTimes * references[cell.task].length
    return cell.part === 'samples' ? 0.003 * samples * samplingSteps : 0.1
  },
  label: (cell) => {
    if (cell.part === 'times') return `${cell.task} at single times`
    if (cell.part === 'weights') return 'distances'
    return cell.part === 'loss' ? cell.name : `samples of ${cell.title}`
  },
  open,
  close: ({ programs }) => programs.dispose(),

  async measure(cell, { config: c, resource, signal, progress }): Promise<Row[]> {
    const { sources, images, noisy, programs } = resource
    if (cell.part === 'weights')
      return weightParts.map((weights) => {
        const begin = `network.${weights === 'all' ? '' : `${weights}.`}`
        const distance = relativeDistance(sources.mnist, sources.fashion, (name) => name.startsWith(begin))
        return { weights, distance }
      })
    if (cell.part === 'times') {
      const { task } = cell
      const rows: Row[] = []
      for (const [i, { t: time }] of references[task].entries()) {
        const t = new Int32Array(c.imagesAtTimes).fill(time)
        const key = random.foldIn(keyOf(c, 2 + tasks.indexOf(task)), time)
        const atTime = noisyImages(firstOf(images[task], c.imagesAtTimes), t, key)
        const errors = await errorsOf(programs, sources[task], atTime, signal)
        rows.push(...byGroup(errors).map((loss, group) => ({ time, group, loss })))
        progress((i + 1) / references[task].length)
      }
      return rows
    }
    const weights = mergeRecipe(recipeOf(c, cell.name), sources, c.seed)
    if (cell.part === 'samples') {
      const given = { count: c.samples, steps: c.samplingSteps, key: keyOf(c, 7) }
      const drawn = await drawImages(programs, weights, given, signal, progress)
      return drawn.map((image, number) => ({ number, image }))
    }
    const rows: Row[] = []
    for (const task of tasks) {
      const errors = await errorsOf(programs, weights, noisy[task], signal)
      rows.push(...byGroup(errors).map((loss, group) => ({ task, group, loss })))
      rows.push(...byTenth(errors).map((loss, tenth) => ({ task, tenth, loss })))
      progress((tasks.indexOf(task) + 1) / tasks.length)
    }
    return rows
  },

  findings(rows, c) {
    const models = modelsOf(lossRows(rows))
    return {
      ...mergingFindings(models, rows),
      claims: claimsOf(models, rows),
      charts: [...mergingCharts(models), imagesDrawn(rows, c)],
      tables: mergingTables(models, rows),
    }
  },
})
