/** @file What the study of changes in a text can be told. */
import { z } from 'zod'
import { seedField } from '../../lab/index.ts'
import { networkFields, perStepField, windowField } from '../text-diffusion/fields.ts'

export const config = z.strictObject({
  seed: seedField,
  model: z
    .string()
    .default('')
    .describe('the folder of a run of text-diffusion, whose network is taken; empty: one is trained first'),
  step: z
    .int()
    .min(0)
    .default(0)
    .describe('of that run: the look whose network is taken, by its step; 0: the last'),
  text: z
    .string()
    .default('')
    .describe(
      'a text of treeline data, or the path of a file; empty: that of the run, else state-of-the-union',
    ),
  t: z
    .array(z.number().gt(0).max(1))
    .min(1)
    .max(32)
    .default([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1])
    .describe('shares of characters that are masked'),
  passages: z.int().min(4).max(4096).default(40).describe('held-out windows; error bars are over them'),
  trajectories: z.int().min(2).max(4096).default(64).describe('round trips of each passage at each t'),
  shuffledPassages: z.int().min(0).max(4096).default(12).describe('passages in random order, a control'),
  perStep: perStepField,
  ngrams: z
    .array(z.int().min(1).max(4))
    .max(4)
    .default([1, 2, 3, 4])
    .describe('exact denoisers that see n − 1 characters to each side of a chain'),
  reach: z.int().min(2).max(64).default(16).describe('largest distance of C(r) that is kept'),
  train: z
    .strictObject({
      window: windowField.default(64),
      ...networkFields,
      learningRate: z.number().gt(0).max(1).default(2e-3),
      steps: z.int().min(8).max(1e7).multipleOf(8).default(4096),
    })
    .prefault({})
    .describe('the network that is trained where no run is given, as in text-diffusion; of letters'),
})
export type Config = z.infer<typeof config>

export const presets = {
  tiny: {
    ...{ t: [0.3, 0.7], passages: 6, trajectories: 12, shuffledPassages: 4, ngrams: [1, 2], reach: 4 },
    train: { window: 16, width: 16, heads: 2, layers: 1, batchSize: 16, steps: 64 },
  },
  tour: {
    ...{ text: 'moby-dick', t: [0.3, 0.6, 0.9], passages: 16, trajectories: 16, shuffledPassages: 4 },
    ...{ ngrams: [1, 2, 3] },
    train: { window: 32, width: 48, layers: 2, steps: 192 },
  },
  quick: {
    ...{
      text: 'moby-dick',
      t: [0.2, 0.4, 0.6, 0.8, 1],
      passages: 24,
      trajectories: 32,
      ngrams: [1, 2, 3],
      shuffledPassages: 8,
    },
    train: { window: 32, width: 64, layers: 2, steps: 1024 },
  },
  paper: {},
}
