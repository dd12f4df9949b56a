/** @file The config of `memorization`: which grammar, how many strings, which network, how long. */
import { z } from 'zod'
import { type PartialConfig, seedField } from '../../lab/index.ts'

/**
 * How training strings are drawn. `zipf`: with replacement, the k-th production of a symbol having probability ∝ k^−a. `repeated`:
 * different strings of uniform productions, repeated as often as those of `zipf`. `uniform`: uniform productions, a control.
 */
const drawnBy = ['zipf', 'repeated', 'uniform'] as const
export type Draws = (typeof drawnBy)[number]

const counts = z.array(z.int().min(4).max(65536))

export const config = z.strictObject({
  seed: seedField,
  v: z.int().min(2).max(64).default(16).describe('symbols, and classes'),
  m: z.int().min(2).max(32).default(4).describe('rules of each symbol'),
  L: z.int().min(2).max(5).default(3).describe('levels; two symbols to a rule'),
  counts: counts
    .max(16)
    .default([32, 64, 128, 256, 512, 1024])
    .describe('P: training strings of each network'),
  width: z.int().min(8).max(2048).default(64).describe('channels of the tree U-Net'),
  others: z
    .strictObject({
      counts: counts.max(8).default([64, 256]),
      widths: z.array(z.int().min(8).max(2048)).max(4).default([32, 128]),
      rules: z.array(z.int().min(2).max(32)).max(4).default([2, 3]),
    })
    .prefault({})
    .describe('other widths, and other numbers of rules m, at these P: what moves the times'),
  halves: counts
    .max(4)
    .default([64])
    .describe('P of two networks on disjoint strings that see the same noise'),
  kernel: counts.max(12).default([64, 128, 256, 512]).describe('points of kernel regression, in closed form'),
  prototypes: z
    .strictObject({
      counts: counts.max(4).default([512]),
      draws: z
        .array(z.enum(drawnBy))
        .max(3)
        .default([...drawnBy]),
      zipf: z.number().min(0).max(16).default(3),
    })
    .prefault({})
    .describe(
      'training sets of about so many draws with replacement: the k-th production of a symbol has probability ∝ k^(−zipf); or strings of uniform productions, repeated as often; or uniform productions alone',
    ),
  seeds: z
    .int()
    .min(1)
    .max(32)
    .default(3)
    .describe('grammars and networks of each P; error bars are over them'),
  diffusionSteps: z.int().min(2).max(1000).default(50).describe('T of the uniform process'),
  learningRate: z.number().positive().max(1).default(3e-3).describe('of Adam, constant'),
  batchSize: z.int().min(1).max(4096).default(64).describe('strings of each step'),
  leastSteps: z.int().min(32).max(1e7).default(2000).describe('steps of training, whatever P is'),
  stepsPerString: z
    .int()
    .min(0)
    .max(100_000)
    .default(64)
    .describe('more steps for each string; training ends before them once a tenth is copied'),
  looks: z.number().min(0.5).max(16).default(3).describe('looks for each doubling of steps'),
  samples: z.int().min(64).max(65536).default(1024).describe('strings generated at each look'),
  validation: z.int().min(16).max(65536).default(512).describe('strings for the validation loss'),
})
export type Config = z.infer<typeof config>

const without = { others: { counts: [], widths: [], rules: [] }, halves: [], prototypes: { counts: [] } }

export const presets: Record<'tiny' | 'tour' | 'quick' | 'paper', PartialConfig<Config>> = {
  tiny: {
    ...{ v: 4, m: 2, L: 2, counts: [4, 8], width: 8, seeds: 2, diffusionSteps: 8, kernel: [16, 32] },
    ...{
      others: { counts: [8], widths: [16], rules: [3] },
      halves: [4],
      prototypes: { counts: [16] },
      leastSteps: 128,
      stepsPerString: 8,
      looks: 1,
    },
    ...{ samples: 64, validation: 16, learningRate: 0.01 },
  },
  tour: {
    ...without,
    ...{ counts: [16, 32, 64], seeds: 2, looks: 1.5, samples: 384, kernel: [64, 128] },
    ...{ leastSteps: 700, stepsPerString: 22, diffusionSteps: 25 },
  },
  quick: {
    ...{ counts: [16, 32, 64, 128], seeds: 2, looks: 2, samples: 512, kernel: [64, 128, 256] },
    ...{ leastSteps: 800, stepsPerString: 36, diffusionSteps: 25 },
    ...{
      others: { counts: [32], widths: [32], rules: [3] },
      halves: [32],
      prototypes: { counts: [32], draws: ['zipf'] },
    },
  },
  paper: {},
}
