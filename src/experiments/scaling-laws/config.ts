/** @file The config of `scaling-laws`: which grammars, which networks, how many strings, how long. */
import { z } from 'zod'
import { type PartialConfig, seedField } from '../../lab/index.ts'
import { architectures } from '../lastToken/networks.ts'

export const parts = ['offline', 'online', 'widths'] as const

const factor = z.number().positive().max(4096)

export const config = z.strictObject({
  seed: seedField,
  v: z.int().min(2).max(64).default(16).describe('symbols'),
  rules: z
    .array(z.int().min(2).max(32))
    .min(1)
    .max(6)
    .default([3, 4, 6])
    .describe('m: rules of each symbol; two symbols to a rule'),
  L: z.int().min(2).max(5).default(4).describe('levels'),
  grammars: z.int().min(1).max(64).default(3).describe('grammars of each m; error bars are over them'),
  networks: z
    .array(z.enum(architectures))
    .min(1)
    .max(4)
    .default(['cnn', 'attention', 'lcn'])
    .describe(
      'hierarchical CNN, stack of attention, locally connected network, pre-norm decoder trained at every position',
    ),
  parts: z
    .array(z.enum(parts))
    .min(1)
    .max(3)
    .default(['offline', 'online', 'widths'])
    .describe('P strings with early stopping; fresh strings at every step; other widths'),
  width: z
    .int()
    .min(1)
    .max(2048)
    .default(64)
    .describe('channels of the CNN and the locally connected network'),
  attention: z
    .strictObject({
      features: z.int().min(2).max(2048).default(32),
      heads: z.int().min(1).max(64).default(4),
      layers: z.int().min(1).max(12).default(3),
      learningRate: z.number().positive().max(1).default(0.02),
      warmup: z.int().min(0).max(1e6).default(128),
    })
    .prefault({})
    .describe('the stack and the decoder, trained by Adam: warm-up; online then cosine to a tenth'),
  sgd: z
    .strictObject({
      learningRate: z.number().positive().default(1),
      momentum: z.number().min(0).lt(1).default(0),
    })
    .prefault({})
    .describe(
      'of the CNN and the locally connected network; the rate is multiplied by the width, and constant',
    ),
  batchSize: z.int().min(1).max(8192).default(128).describe('strings of each step'),
  offline: z
    .strictObject({
      from: factor.default(0.5),
      level: z.int().min(1).max(5).default(3),
      cnn: factor.default(8),
      others: factor.default(6),
      most: z.int().min(4).max(1e8).default(131072),
      perDoubling: z.number().min(0.25).max(8).default(1),
      steps: z.int().min(16).max(1e7).default(24576),
    })
    .prefault({})
    .describe(
      'P from `from` times v·m² to `cnn` times the CNN’s threshold of a level, of the others to `others` times theirs; at most `most` and half of all strings; training ends after so many steps, or once the test loss has turned',
    ),
  online: z
    .strictObject({
      cnn: z.int().min(16).max(1e7).default(16384),
      attention: z.int().min(16).max(1e7).default(8192),
    })
    .prefault({})
    .describe('steps: of the CNN and the locally connected network, of the stack and the decoder'),
  widths: z
    .strictObject({
      m: z.int().min(2).max(32).default(3),
      factors: z.array(z.number().positive().max(16)).max(4).default([0.5, 2]),
    })
    .prefault({})
    .describe('offline training at this m, with the width of CNN and stack multiplied'),
  looks: z.number().min(1).max(16).default(4).describe('looks for each doubling of steps'),
  test: z.int().min(64).max(65536).default(2048).describe('strings on which predictions are compared'),
})
export type Config = z.infer<typeof config>

export const presets: Record<'tiny' | 'tour' | 'quick' | 'paper', PartialConfig<Config>> = {
  tiny: {
    ...{ v: 8, rules: [3, 4], L: 2, grammars: 2, width: 8, looks: 2, test: 64, batchSize: 32 },
    attention: { features: 8, heads: 2, layers: 2, warmup: 8 },
    offline: { from: 0.25, perDoubling: 0.25, steps: 32 },
    parts: ['offline', 'online'],
    networks: ['cnn', 'attention'],
    online: { cnn: 32, attention: 32 },
    widths: { m: 3, factors: [2] },
  },
  tour: {
    ...{ v: 12, rules: [3], L: 3, grammars: 2, parts: ['offline'], width: 48, test: 1024 },
    attention: { features: 32, heads: 4, learningRate: 0.03, warmup: 32 },
    offline: { from: 1, cnn: 4, others: 1, steps: 1536 },
  },
  quick: {
    ...{ v: 12, rules: [3, 4], L: 3, grammars: 2, width: 48, test: 1024, parts: ['offline', 'online'] },
    attention: { features: 32, heads: 4, learningRate: 0.03, warmup: 32 },
    offline: { from: 1, cnn: 4, others: 1, steps: 2048 },
    online: { cnn: 1536, attention: 640 },
  },
  paper: {},
}
