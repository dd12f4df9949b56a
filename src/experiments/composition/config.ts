/** @file The config of `composition`: which grammars, how many strings, which network, how long. */
import { z } from 'zod'
import { type PartialConfig, seedField } from '../../lab/index.ts'

const multiples = z.array(z.number().positive())

export const config = z.strictObject({
  seed: seedField,
  v: z.int().min(2).max(64).default(16).describe('symbols, and classes'),
  rules: z.array(z.int().min(2).max(32)).min(1).max(8).default([2, 3, 4]).describe('m: rules of each symbol'),
  L: z.int().min(2).max(4).default(3).describe('levels; two symbols to a rule'),
  multiples: multiples
    .min(1)
    .max(16)
    .default([1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1, 2, 4])
    .describe('training strings P, in units of v·m^(L+1); at most half of all strings'),
  time: z
    .strictObject({
      m: z.int().min(2).max(32).default(3),
      multiple: z.number().positive().default(4),
      steps: z.int().min(32).max(1e7).default(16384),
      turns: z.array(z.number().gt(0).max(1)).max(16).default([0.3, 0.5, 0.6, 0.7, 0.8, 0.9]),
      data: z.int().min(2).max(1024).default(32),
      trajectories: z.int().min(2).max(1024).default(32),
      turnLooks: z.int().min(1).max(64).default(9),
    })
    .prefault({})
    .describe(
      'one long training: levels, hidden layers and coherence in the order of steps; round trips of so many data, turned at these noise levels, at turnLooks of the looks, the last among them',
    ),
  control: z
    .strictObject({
      v: z.int().min(2).max(32).default(8),
      s: z.int().min(2).max(4).default(3),
      P: z.int().min(8).max(65536).default(8192),
    })
    .prefault({})
    .describe('uncorrelated rules, m = v and two levels, and random ones of the same sizes'),
  width: z.int().min(8).max(2048).default(64).describe('channels of the tree U-Net'),
  grammars: z.int().min(1).max(32).default(3).describe('grammars of each kind; error bars are over them'),
  diffusionSteps: z.int().min(2).max(1000).default(50).describe('T of the uniform process'),
  learningRate: z.number().positive().max(1).default(3e-3).describe('of Adam, constant'),
  batchSize: z.int().min(1).max(4096).default(64).describe('strings of each step'),
  mostSteps: z
    .int()
    .min(32)
    .max(1e7)
    .default(65536)
    .describe('training ends here, or once the validation loss has turned'),
  looks: z.number().min(0.5).max(16).default(2).describe('looks for each doubling of steps'),
  samples: z.int().min(64).max(65536).default(1024).describe('strings generated at each look'),
  validation: z
    .int()
    .min(16)
    .max(65536)
    .default(1024)
    .describe('strings for the validation loss, and for coherence'),
})
export type Config = z.infer<typeof config>

export const presets: Record<'tiny' | 'tour' | 'quick' | 'paper', PartialConfig<Config>> = {
  tiny: {
    ...{
      v: 8,
      rules: [2, 3],
      L: 2,
      multiples: [1 / 16, 1 / 4, 1 / 2],
      width: 8,
      grammars: 2,
      diffusionSteps: 8,
    },
    time: { m: 2, multiple: 1 / 2, steps: 64, turns: [0.4, 0.8], data: 2, trajectories: 4, turnLooks: 3 },
    control: { v: 2, s: 3, P: 8 },
    ...{ mostSteps: 128, looks: 1, samples: 64, validation: 16, learningRate: 0.01 },
  },
  tour: {
    ...{ rules: [2], multiples: [1 / 8, 1 / 2, 2], width: 32, grammars: 2, mostSteps: 640, samples: 256 },
    time: { m: 2, multiple: 2, steps: 1280, turns: [0.6, 0.8], data: 8, trajectories: 16, turnLooks: 4 },
    control: { v: 4, s: 3, P: 128 },
    ...{ validation: 256, diffusionSteps: 25 },
  },
  quick: {
    ...{
      rules: [2, 3],
      multiples: [1 / 16, 1 / 4, 1],
      width: 48,
      grammars: 2,
      mostSteps: 2048,
      samples: 512,
    },
    time: {
      m: 2,
      multiple: 4,
      steps: 2048,
      turns: [0.4, 0.6, 0.8],
      data: 16,
      trajectories: 16,
      turnLooks: 6,
    },
    control: { v: 4, s: 3, P: 128 },
    ...{ validation: 512, diffusionSteps: 25 },
  },
  paper: {},
}
