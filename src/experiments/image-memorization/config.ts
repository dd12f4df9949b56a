/** @file The config of `image-memorization`: which images, how many, which network, how long. */
import { z } from 'zod'
import { type PartialConfig, seedField } from '../../lab/index.ts'
import { variantNames } from './variants.ts'

const counts = z.array(z.int().min(4).max(65536))

export const config = z.strictObject({
  seed: seedField,
  dataset: z
    .string()
    .min(1)
    .default('mnist')
    .describe('a set of `treeline data`, or a path of images of yours: a folder, or an .npz file'),
  block: z
    .int()
    .min(1)
    .max(16)
    .default(2)
    .describe('side of the blocks of pixels that are averaged: 2 makes 28×28 images 14×14'),
  counts: counts.max(16).default([32, 64, 128, 256, 512]).describe('P: training images of each network'),
  width: z.int().min(8).max(4096).default(256).describe('of the perceptron'),
  layers: z.int().min(1).max(16).default(3).describe('residual layers'),
  others: z
    .strictObject({
      counts: counts.max(8).default([32, 64, 128, 256]),
      variants: z
        .array(z.enum(variantNames))
        .max(8)
        .default([...variantNames]),
    })
    .prefault({})
    .describe('other ways to train at these P: what makes the exponent what it is'),
  halves: counts
    .max(4)
    .default([64])
    .describe('P of two networks on disjoint images that see the same noise'),
  seeds: z
    .int()
    .min(1)
    .max(32)
    .default(3)
    .describe('draws of images and networks of each P; error bars are over them'),
  times: z.int().min(10).max(10_000).default(1000).describe('T, of a linear schedule'),
  before: z
    .int()
    .min(1)
    .max(10_000)
    .default(300)
    .describe('the validation loss is over times below: later ones tell nothing of details'),
  learningRate: z.number().positive().max(1).default(1e-3).describe('of Adam, constant'),
  batchSize: z.int().min(1).max(4096).default(64).describe('images of each step'),
  leastSteps: z.int().min(32).max(1e7).default(1500).describe('steps of training, whatever P is'),
  stepsPerImage: z
    .int()
    .min(0)
    .max(100_000)
    .default(64)
    .describe('more steps for each image; training ends before them once a quarter is copied'),
  looks: z.number().min(0.5).max(16).default(4).describe('looks for each doubling of steps'),
  samples: z.int().min(32).max(65536).default(256).describe('images generated at each look'),
  samplingSteps: z.int().min(2).max(1000).default(50).describe('steps of DDIM'),
  validation: z
    .int()
    .min(16)
    .max(65536)
    .default(2000)
    .describe('fixed pairs of an image and a time for each loss'),
})
export type Config = z.infer<typeof config>

const without = { others: { counts: [], variants: [] }, halves: [] }

export const presets: Record<'tiny' | 'tour' | 'quick' | 'paper', PartialConfig<Config>> = {
  tiny: {
    ...{
      counts: [4, 8],
      width: 16,
      layers: 1,
      block: 4,
      seeds: 2,
      times: 50,
      before: 15,
    },
    ...{ leastSteps: 96, stepsPerImage: 8, looks: 1, samples: 32, samplingSteps: 5, validation: 32 },
    ...{ others: { counts: [8], variants: ['sgd', 'averaged'] }, halves: [4] },
  },
  tour: {
    ...without,
    ...{ counts: [6, 12, 24], width: 96, seeds: 2, looks: 1.5, samples: 64, samplingSteps: 15 },
    ...{ leastSteps: 200, stepsPerImage: 30, validation: 300 },
  },
  quick: {
    ...{ counts: [8, 16, 32, 64], width: 128, seeds: 2, looks: 2, samples: 128, samplingSteps: 20 },
    ...{ leastSteps: 300, stepsPerImage: 30, validation: 500 },
    ...{ others: { counts: [8, 16, 32], variants: ['batch', 'sgd'] }, halves: [16] },
  },
  paper: {},
}
