/** @file What a run of layer-scaling is told. */
import { z } from 'zod'
import { type PartialConfig, seedField } from '../../lab/index.ts'
import { pictureFields } from '../tasks/pictures/fields.ts'

/** Methods whose merges are scaled. */
export const methodNames = ['task_arithmetic', 'ties_global', 'consensus', 'isotropic'] as const
export type MethodName = (typeof methodNames)[number]

export const config = z.strictObject({
  seed: seedField,
  ...pictureFields,
  methods: z
    .array(z.enum(methodNames))
    .min(1)
    .default([...methodNames])
    .describe('how task vectors are merged'),
  steps: z.int().min(1).max(100_000).default(150).describe('of fine-tuning on a task'),
  batchSize: z.int().min(2).max(1024).default(64),
  learningRate: z.number().positive().max(1).default(5e-4).describe('of fine-tuning, peak'),
  points: z.int().min(2).max(50).default(10).describe('steps from 0 to the largest α, β or λ that are tried'),
  singles: z.int().min(0).max(32).default(3).describe('of the tasks, scaled alone (forgetting)'),
  soup: z.int().min(0).max(16).default(4).describe('models of one task that are averaged; 0: no soup'),
  policySteps: z
    .int()
    .min(0)
    .max(100_000)
    .default(60)
    .describe('of both policies of a rewarded soup; 0: no policies'),
  noise: z.number().min(0).max(4).default(0.4).describe('standard deviation of shifted inputs, which span 2'),
  replicas: z
    .int()
    .min(1)
    .max(32)
    .default(3)
    .describe('draws of pictures and of their order, on one encoder'),
})
export type Config = z.infer<typeof config>

const small = {
  encoder: { width: 16, heads: 2, layers: 3, features: 16, side: 16 },
  pool: { drawn: 48, sets: {}, steps: 12, learningRate: 3e-3, batchSize: 16 },
}

export const presets: Record<'tiny' | 'tour' | 'quick' | 'paper', PartialConfig<Config>> = {
  tiny: {
    ...small,
    tasks: ['colours', 'shapes'],
    methods: ['task_arithmetic', 'isotropic'],
    counts: { train: 24, validation: 16, test: 24 },
    ...{ steps: 4, batchSize: 8, points: 2, singles: 1, soup: 2, policySteps: 2, replicas: 1 },
  },
  tour: {
    encoder: { width: 24, heads: 2, layers: 3, features: 24, side: 16 },
    pool: { drawn: 150, sets: {}, steps: 120, learningRate: 3e-3, batchSize: 32 },
    tasks: ['colours', 'textures', 'shapes'],
    counts: { train: 200, validation: 48, test: 96 },
    ...{ steps: 25, batchSize: 32, points: 4, singles: 1, soup: 0, policySteps: 0, replicas: 2 },
  },
  quick: {
    encoder: { width: 32, heads: 2, layers: 4, features: 32, side: 16 },
    pool: { drawn: 300, sets: {}, steps: 350, learningRate: 3e-3, batchSize: 32 },
    tasks: ['colours', 'textures', 'stripes', 'shapes'],
    counts: { train: 300, validation: 64, test: 200 },
    ...{ steps: 40, batchSize: 32, points: 6, singles: 1, soup: 3, policySteps: 20, replicas: 3 },
  },
  paper: {},
}
