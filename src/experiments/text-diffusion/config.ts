/** @file What the study of masked diffusion on a text can be told. */
import { z } from 'zod'
import { seedField } from '../../lab/index.ts'
import { networkFields, perStepField, textFields, validationField, windowField } from './fields.ts'

export const config = z.strictObject({
  seed: seedField,
  ...textFields,
  window: windowField.default(64).describe('symbols that the network sees'),
  ...networkFields,
  learningRate: z.number().gt(0).max(1).default(2e-3).describe('of AdamW, constant after 100 steps'),
  steps: z.int().min(8).max(1e7).multipleOf(8).default(4096).describe('steps of the long training'),
  firstLook: z
    .int()
    .min(8)
    .max(1e6)
    .multipleOf(8)
    .default(64)
    .describe('step of the first look; the others are at its doublings'),
  validation: validationField,
  samples: z
    .int()
    .min(16)
    .max(65536)
    .default(512)
    .describe('windows generated at each look; errors leave a sixteenth of them out at a time'),
  perStep: perStepField,
  reach: z.int().min(2).max(64).default(12).describe('largest distance of the overlap, in symbols'),
  data: z
    .strictObject({
      P: z.array(z.int().min(8).max(65536)).max(12).default([32, 64, 128, 256]),
      window: windowField.default(32),
      learningRate: z.number().gt(0).max(1).default(1e-3),
      steps: z.int().min(32).max(1e6).multipleOf(8).default(4096),
      validation: z.int().min(16).max(65536).default(256),
      samples: z.int().min(16).max(65536).default(1536),
    })
    .prefault({})
    .describe(
      'trainings on P fixed windows of the text, stopped where held-out text is predicted best; without decay of weights',
    ),
  networks: z.int().min(1).max(64).default(1).describe('trainings of each kind, each with its own seed'),
})
export type Config = z.infer<typeof config>

export const presets = {
  tiny: {
    ...{ window: 16, width: 16, heads: 2, layers: 1, batchSize: 16, steps: 64, firstLook: 16 },
    ...{ validation: 32, samples: 32, reach: 4 },
    data: { P: [8, 32], window: 16, steps: 64, validation: 32, samples: 32 },
  },
  tour: {
    ...{ text: 'moby-dick', window: 32, width: 48, layers: 2, steps: 256, validation: 128 },
    ...{ samples: 128, reach: 8, firstLook: 128 },
    data: { P: [] },
  },
  quick: {
    ...{ text: 'moby-dick', window: 32, width: 64, layers: 2, steps: 1024, validation: 256 },
    ...{ samples: 256 },
    data: { P: [32, 128], steps: 768, samples: 256 },
  },
  paper: { samples: 1024 },
}
