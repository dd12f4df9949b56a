/** @file Merging two real denoisers: what interpolation, task arithmetic and LiNeS cost on MNIST and on Fashion-MNIST. */
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { z } from 'zod'
import { fail } from '../base/index.ts'
import { writeSafetensors } from '../checkpoint/index.ts'
import { type ImageDataset, loadDataset } from '../data/index.ts'
import { defineExperiment, type RunContext, runJobs, seedField } from '../lab/index.ts'
import { random } from '../tensor/index.ts'
import { bestCompromise, isUniform, type Measured } from './ddpm-merging/analyse.ts'
import { fingerprintOf, readWeights, relativeDistance } from './ddpm-merging/merge.ts'
import { mergingFigures, mergingTables } from './ddpm-merging/pictures.ts'
import { candidates, type Recipe } from './ddpm-merging/recipes.ts'
import { concludeMerging, references } from './ddpm-merging/verdicts.ts'
import {
  ddpmTask,
  type Found,
  forget,
  groupCount,
  type Inputs,
  type Job,
  type TaskName,
  tasks,
} from './ddpm-merging/work.ts'

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
export type MergingConfig = z.infer<typeof config>

/** What a run has measured; the losses of all candidates are in losses.json, the images in samples.json. */
export interface MergingResult {
  readonly fingerprints: Readonly<Record<TaskName, string>>
  /** ‖θ_MNIST − θ_Fashion‖ over the root of the product of the norms: of `te1`, which the loss cannot see, and of `down1`. */
  readonly distances: { readonly te1: number; readonly down1: number; readonly all: number }
  readonly times: Readonly<Record<TaskName, readonly { t: number; value: number; error: number }[]>>
}

/** Test images of one set, drawn without replacement. */
function chosenImages(set: ImageDataset, count: number, key: random.Key): Uint8Array {
  const [height, width, channels] = set.shape
  if (height !== 28 || width !== 28 || channels !== 1)
    fail('TL_BAD_FILE', `${set.name}: expected images of 28 × 28 × 1, got ${set.shape.join(' × ')}`)
  if (count > set.test.count)
    fail(
      'TL_BAD_CONFIG',
      `config.images: expected at most the ${set.test.count} test images of ${set.name}, got ${count}`,
    )
  const size = height * width
  const out = new Uint8Array(count * size)
  for (const [i, index] of random.samplePermutation(key, set.test.count).subarray(0, count).entries())
    out.set(set.test.images.subarray(index * size, (index + 1) * size), i * size)
  return out
}

/** Load models and images, and put the images that are used into the run folder. */
async function prepare({ config: c, folder, signal, log, progress }: RunContext<MergingConfig>) {
  const weights = { mnist: readWeights(c.mnist), fashion: readWeights(c.fashion) }
  const names = { mnist: c.mnistImages, fashion: c.fashionImages }
  const images = {} as Record<TaskName, Uint8Array>
  for (const [i, task] of tasks.entries()) {
    const set = await loadDataset(names[task], {
      signal,
      onNotice: log,
      onProgress: ({ name, phase, done, total }) =>
        progress({ done, total: total ?? done, detail: `${phase} ${name}` }),
    }).catch((cause: Error & { code?: string }) =>
      task === 'fashion' && cause.code === 'TL_IO'
        ? fail(
            'TL_IO',
            `${cause.message}; name a folder with the IDX files of Fashion-MNIST: --set fashionImages=FOLDER (Debian: dataset-fashion-mnist)`,
            cause,
          )
        : Promise.reject(cause),
    )
    images[task] = chosenImages(set, c.images, random.foldIn(random.key(c.seed), 100 + i))
  }
  const path = join(folder, 'images.safetensors')
  writeSafetensors(
    path,
    tasks.map((task) => [task, { dtype: 'U8', shape: [c.images, 28, 28], data: images[task] }]),
  )
  const hash = createHash('sha256')
  for (const task of tasks) hash.update(images[task])
  const inputs: Inputs = {
    models: { mnist: c.mnist, fashion: c.fashion },
    fingerprints: { mnist: fingerprintOf(weights.mnist), fashion: fingerprintOf(weights.fashion) },
    images: path,
    contents: hash.digest('hex'),
    seed: c.seed,
  }
  const distance = (part: string) =>
    relativeDistance(weights.mnist, weights.fashion, (name) => name.startsWith(`network.${part}`))
  return { inputs, distances: { te1: distance('te1.'), down1: distance('down1.'), all: distance('') } }
}

export const ddpmMerging = defineExperiment<MergingConfig, MergingResult>({
  name: 'ddpm-merging',
  title: 'Merging two denoisers',
  description:
    'Two diffusion models of one initialization, trained on MNIST and on Fashion-MNIST: what every way of merging them costs.',
  config,
  requires: ['mnist', 'fashion'],
  presets: {
    quick: { images: 64, points: 17, step: 0.5, samples: 4, samplingSteps: 25 },
    paper: { images: 512, samplingSteps: 100 },
  },
  cost: ({ images, points, step }) => 0.006 * images * (points + 2 * (2 / step + 1) ** 2 + 30),

  async run(context) {
    const { config: c, log, write } = context
    const { inputs, distances } = await prepare(context)
    const list = candidates(c)
    log(`${list.length} models, ${c.images} test images of each set`)
    const label = (job: Job): string =>
      job.kind === 'times' ? `${job.task} at single times` : `${job.recipe.method}`
    const cost = (job: Job): number =>
      job.kind === 'loss'
        ? 2 * c.images
        : job.kind === 'times'
          ? job.times.length * c.images
          : job.count * job.steps
    const run = (jobs: Job[]): Promise<Partial<Found>[]> =>
      runJobs<Job, Partial<Found>>(context, ddpmTask, jobs, { label, cost })
    try {
      const found = await run([
        ...tasks.map(
          (task): Job => ({ kind: 'times', inputs, task, times: references[task].map(({ t }) => t) }),
        ),
        ...list.map(({ recipe }): Job => ({ kind: 'loss', inputs, recipe })),
      ])
      const measured = list.map(
        ({ family, name, at }, i): Measured => ({ family, name, at, loss: found[i + 2]!.loss! }),
      )
      write('losses.json', measured)
      const recipeOf = (wanted: Measured): Recipe => list[measured.indexOf(wanted)]!.recipe
      const ends = [1, 0, -1].map(
        (lambda) => measured.find(({ family, at }) => family === 'line' && at[0] === lambda)!,
      )
      const shown = [
        ...ends.map((one, i) => ({ title: ['MNIST', 'the mean', 'Fashion'][i]!, one })),
        {
          title: 'best LiNeS',
          one: bestCompromise(measured.filter((one) => one.family === 'depth' && !isUniform(one)))!,
        },
      ]
      const drawn = await run(
        shown.map(
          ({ one }): Job => ({
            kind: 'samples',
            inputs,
            recipe: recipeOf(one),
            count: c.samples,
            steps: c.samplingSteps,
          }),
        ),
      )
      write(
        'samples.json',
        shown.map(({ title, one }, i) => ({ title, name: one.name, images: drawn[i]!.samples })),
      )
      const timesOf = (i: number) => references[tasks[i]!].map(({ t }, k) => ({ t, ...found[i]!.times![k]! }))
      return {
        fingerprints: inputs.fingerprints,
        distances,
        times: { mnist: timesOf(0), fashion: timesOf(1) },
      }
    } finally {
      forget()
    }
  },

  summary: concludeMerging,
  draws: 'run',
  figures: mergingFigures,
  tables: mergingTables,
})
