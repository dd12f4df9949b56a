/** @file The config of `contexts`: which grammar, which networks, how many strings, how long. */
import { z } from 'zod'
import { type PartialConfig, seedField } from '../../lab/index.ts'

export const networks = ['cnn', 'attention'] as const

const count = z.int().min(4).max(1e8)
const steps = z.int().min(16).max(1e7)

export const config = z.strictObject({
  seed: seedField,
  v: z.int().min(2).max(64).default(8).describe('symbols'),
  m: z.int().min(2).max(64).default(3).describe('rules of each symbol'),
  s: z.int().min(2).max(4).default(2).describe('branching: symbols of a rule'),
  L: z.int().min(2).max(6).default(3).describe('levels'),
  grammars: z.int().min(1).max(64).default(3).describe('grammars; error bars are over them'),
  networks: z
    .array(z.enum(networks))
    .min(1)
    .refine((list) => new Set(list).size === list.length, 'expected each network once')
    .default(['cnn', 'attention'])
    .describe('hierarchical CNN, stack of attention'),
  from: count.default(16).describe('the smallest number P of training strings'),
  most: z
    .strictObject({ cnn: count.default(8192), attention: count.default(2048) })
    .prefault({})
    .describe('the largest P, which doubles from the smallest'),
  width: z.int().min(1).max(2048).default(32).describe('channels of every hidden layer of the CNN'),
  sgd: z
    .strictObject({
      learningRate: z.number().positive().default(1),
      momentum: z.number().min(0).lt(1).default(0),
    })
    .prefault({})
    .describe('of the CNN; the rate is multiplied by the width, and constant'),
  attention: z
    .strictObject({
      features: z.int().min(2).max(2048).default(16),
      heads: z.int().min(1).max(64).default(4),
      layers: z.int().min(1).max(12).default(3),
      learningRate: z.number().positive().max(1).default(0.01),
      warmup: z.int().min(0).max(1e6).default(32),
    })
    .prefault({})
    .describe('the stack of attention, trained by Adam: warm-up, then a constant rate'),
  batchSize: z.int().min(1).max(8192).default(64).describe('strings of each step'),
  steps: z
    .strictObject({ cnn: steps.default(4096), attention: steps.default(4096) })
    .prefault({})
    .describe('steps at most; training ends sooner once the test loss has turned'),
  looks: z.number().min(1).max(16).default(4).describe('looks for each doubling of steps'),
  test: z.int().min(64).max(65536).default(1024).describe('strings on which predictions are compared'),
})
export type Config = z.infer<typeof config>

export const presets: Record<'tiny' | 'tour' | 'quick' | 'paper', PartialConfig<Config>> = {
  tiny: {
    ...{ v: 4, m: 2, L: 3, grammars: 2, width: 8, looks: 2, test: 64, batchSize: 16 },
    ...{ most: { cnn: 64, attention: 32 }, steps: { cnn: 64, attention: 32 } },
    attention: { features: 4, heads: 2, layers: 1, warmup: 8 },
  },
  tour: { grammars: 2, networks: ['cnn'], most: { cnn: 4096 }, steps: { cnn: 3072 } },
  quick: {},
  paper: {
    ...{ v: 16, m: 4, L: 4, grammars: 4, from: 64, width: 128, batchSize: 128, test: 4096 },
    most: { cnn: 65536, attention: 131072 },
    attention: { features: 64, heads: 8, learningRate: 0.01, warmup: 128 },
    steps: { cnn: 24576, attention: 24576 },
  },
}
