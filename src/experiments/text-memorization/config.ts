/** @file The config of `text-memorization`: which text, how many windows of it, which network, how long. */
import { z } from 'zod'
import { type PartialConfig, seedField } from '../../lab/index.ts'
import {
  networkFields,
  perStepField,
  textFields,
  validationField,
  windowField,
} from '../text-diffusion/fields.ts'

const counts = z.array(z.int().min(2).max(65536))

export const config = z.strictObject({
  seed: seedField,
  ...textFields,
  window: windowField.default(32).describe('symbols of a window'),
  match: z
    .int()
    .min(4)
    .max(512)
    .default(16)
    .describe('a generated window is a copy where so many of its symbols in a row are in a training window'),
  counts: counts.max(16).default([16, 32, 64, 128, 256]).describe('P: training windows of each network'),
  halves: counts
    .max(4)
    .default([32])
    .describe('P of two networks on disjoint windows that see the same noise'),
  seeds: z
    .int()
    .min(1)
    .max(32)
    .default(3)
    .describe('draws of windows and networks of each P; error bars are over them'),
  ...networkFields,
  learningRate: z.number().gt(0).max(1).default(1e-3).describe('of Adam, constant after 100 steps'),
  leastSteps: z.int().min(32).max(1e7).default(1000).describe('steps of training, whatever P is'),
  stepsPerWindow: z
    .int()
    .min(0)
    .max(100_000)
    .default(64)
    .describe('more steps for each window; training ends before them once a seventh is copied'),
  looks: z.number().min(0.5).max(16).default(3).describe('looks for each doubling of steps'),
  samples: z.int().min(16).max(65536).default(512).describe('windows generated at each look'),
  perStep: perStepField,
  validation: validationField,
})
export type Config = z.infer<typeof config>

export const presets: Record<'tiny' | 'tour' | 'quick' | 'paper', PartialConfig<Config>> = {
  tiny: {
    ...{ window: 12, match: 6, counts: [4, 8], halves: [4], seeds: 2, width: 16, heads: 2, layers: 1 },
    ...{ batchSize: 16, learningRate: 0.01, leastSteps: 96, stepsPerWindow: 8, looks: 1 },
    ...{ samples: 32, validation: 32 },
  },
  tour: {
    ...{ window: 16, match: 10, counts: [4, 8, 16], halves: [], seeds: 2, width: 32, layers: 1 },
    ...{ learningRate: 3e-3, leastSteps: 160, stepsPerWindow: 16, looks: 1, samples: 64, validation: 64 },
  },
  quick: {
    ...{ window: 16, match: 10, counts: [4, 8, 16, 32], halves: [8], seeds: 2, width: 48, layers: 2 },
    ...{ learningRate: 3e-3, leastSteps: 240, stepsPerWindow: 24, looks: 2, samples: 256, validation: 256 },
  },
  paper: {},
}
