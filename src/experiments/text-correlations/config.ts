/** @file What the study of a text can be told. */
import { z } from 'zod'
import { seedField } from '../../lab/index.ts'

export const config = z.strictObject({
  seed: seedField,
  text: z
    .string()
    .min(1)
    .default('moby-dick')
    .describe('a text of treeline data (moby-dick, state-of-the-union), or the path of a file'),
  model: z
    .string()
    .default('')
    .describe('a folder or GGUF file whose tokenizer makes the symbols; empty: characters'),
  alphabet: z
    .enum(['all', 'letters'])
    .default('all')
    .describe('of characters; letters: a to z and the space, in place of all else'),
  symbols: z.int().min(2).max(1024).default(64).describe('kinds of symbols; the rarest together are one'),
  blocks: z.int().min(4).max(256).default(32).describe('pieces of the text; errors leave one out at a time'),
  reach: z.int().min(8).max(65536).default(256).describe('largest distance, in symbols'),
  shuffles: z.int().min(2).max(64).default(4).describe('shuffled texts, the control'),
  contexts: z.int().min(2).max(16).default(7).describe('longest context that is counted, in symbols'),
  most: z
    .int()
    .min(4096)
    .max(2 ** 24)
    .default(2 ** 20)
    .describe('symbols, spread over the text, from which contexts are counted and decoders learn'),
  halvings: z.int().min(1).max(16).default(5).describe('how often that number is halved'),
  settled: z
    .number()
    .gt(0)
    .max(1)
    .default(0.03)
    .describe('a context counts for γ where half of the text has a loss larger by at most this share'),
  train: z.boolean().default(false).describe('train decoders, too'),
  P: z
    .array(
      z
        .int()
        .min(256)
        .max(2 ** 24),
    )
    .min(2)
    .max(16)
    .default([4096, 8192, 16384, 32768, 65536, 131072])
    .describe('symbols that decoders learn from'),
  networks: z.int().min(2).max(64).default(2).describe('decoders of each P; error bars are over them'),
  window: z.int().min(4).max(512).default(32).describe('symbols that a decoder sees'),
  features: z
    .int()
    .min(16)
    .max(1024)
    .multipleOf(16)
    .default(64)
    .describe('width of a decoder, 16 for each head'),
  layers: z.int().min(1).max(12).default(2).describe('blocks of a decoder'),
  batchSize: z.int().min(1).max(1024).default(32).describe('windows of each step'),
  learningRate: z.number().gt(0).max(1).default(2e-3).describe('of Adam, constant after 32 steps'),
  steps: z.int().min(32).max(1e6).multipleOf(32).default(4096).describe('steps of training at most'),
  patience: z
    .int()
    .min(1)
    .max(1000)
    .default(8)
    .describe('training ends after so many looks, 32 steps apart, without a better loss on held-out text'),
})
export type Config = z.infer<typeof config>

export const presets = {
  tiny: {
    ...{ blocks: 8, reach: 16, shuffles: 2, contexts: 3, halvings: 2, train: true, P: [256, 1024] },
    ...{ window: 16, features: 16, layers: 1, steps: 64 },
  },
  tour: { shuffles: 2, most: 2 ** 19, halvings: 4 },
  quick: {},
  paper: { train: true, networks: 3 },
} satisfies Record<string, Partial<Config>>
