/** @file What may be set in probes, and its presets. */
import { z } from 'zod'
import { seedField } from '../../lab/index.ts'

export const networks = ['cnn', 'attention'] as const

const steps = z.int().min(64).max(1e8).multipleOf(4)

export const config = z.strictObject({
  seed: seedField,
  v: z.int().min(2).max(64).default(8).describe('symbols'),
  m: z.int().min(2).max(64).default(3).describe('rules of each symbol'),
  s: z.int().min(2).max(4).default(2).describe('branching: symbols of a rule'),
  L: z.int().min(2).max(6).default(3).describe('levels; symbols of heights 1 … L − 1 are probed'),
  grammars: z.int().min(2).max(64).default(4).describe('grammars; error bars are over them'),
  networks: z
    .array(z.enum(networks))
    .min(1)
    .refine((list) => new Set(list).size === list.length, 'expected each network once')
    .default(['cnn', 'attention'])
    .describe('networks that are probed'),
  width: z.int().min(1).max(2048).default(64).describe('channels of every hidden layer of the CNN'),
  learningRate: z.number().positive().default(1).describe('of SGD on the CNN, times the width'),
  attention: z
    .strictObject({
      features: z
        .int()
        .min(1)
        .max(2048)
        .default(32)
        .describe('size of the embedding, a multiple of the heads'),
      heads: z.int().min(1).max(64).default(4),
      layers: z.int().min(1).max(16).default(3),
      learningRate: z.number().positive().default(0.003).describe('of Adam, after the warm-up'),
      warmup: z.int().min(0).max(1e6).default(64).describe('steps over which the rate rises'),
    })
    .prefault({})
    .describe('the stack of attention'),
  steps: z
    .strictObject({ cnn: steps.default(4096), attention: steps.default(3072) })
    .prefault({})
    .describe('steps of training'),
  batchSize: z.int().min(1).max(8192).default(128).describe('fresh strings of each step'),
  looks: z.int().min(1).max(16).default(4).describe('looks at a network in each doubling of the steps'),
  probes: z.int().min(16).max(65536).default(256).describe('strings that are changed and predicted'),
})
export type Config = z.infer<typeof config>

export const presets = {
  tiny: {
    ...{ v: 4, m: 2, L: 2, grammars: 2, width: 16, probes: 64, looks: 2 },
    attention: { features: 8, heads: 2, layers: 2, warmup: 8 },
    steps: { cnn: 256, attention: 128 },
  },
  tour: { grammars: 3, probes: 128, steps: { cnn: 2048, attention: 768 } },
  quick: {},
  paper: {
    ...{ v: 16, m: 4, L: 4, grammars: 4, width: 256, probes: 1024 },
    attention: { features: 64, heads: 8, layers: 4, learningRate: 0.001 },
    steps: { cnn: 16384, attention: 32768 },
  },
}
