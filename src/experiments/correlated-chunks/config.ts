/** @file The config of the experiment: the grammar, how deep, how much to average over, and the sizes of the controls. */
import { z } from 'zod'
import { fail } from '../../base/index.ts'
import { checkShape, hasTransition, type Shape } from '../../grammar/index.ts'
import { type PartialConfig, seedField } from '../../lab/index.ts'

const data = z.int().min(1).max(100_000)
const trajectories = z.int().min(2).max(100_000)

export const config = z.strictObject({
  seed: seedField,
  v: z.int().min(3).max(256).default(32).describe('symbols of every level, and classes'),
  m: z.int().min(2).max(4096).default(8).describe('rules of each symbol'),
  s: z.int().min(2).max(8).default(2).describe('symbols of a rule'),
  depths: z
    .array(z.int().min(2).max(12))
    .min(2)
    .default([4, 5, 6, 7, 8, 9, 10])
    .describe('levels of rules L whose χ(ε) is compared'),
  L: z.int().min(3).max(12).default(9).describe('depth at which C(r), its collapse and masking are measured'),
  grammars: z
    .int()
    .min(2)
    .max(1000)
    .default(8)
    .describe('drawn anew and averaged over; errors are over grammars'),
  data: data.default(4).describe('data of each grammar whose correlations are computed without sampling'),
  step: z.number().min(0.001).max(0.05).default(0.005).describe('between noise levels within 0.03 of ε*'),
  sampled: z
    .strictObject({
      data: data.default(8).describe('of each grammar'),
      trajectories: trajectories.default(64).describe('round trips of each datum'),
    })
    .prefault({})
    .describe('the ε-process by round trips'),
  masking: z
    .strictObject({
      data: data.default(4).describe('of each grammar'),
      trajectories: trajectories
        .default(48)
        .describe('round trips of each datum, each with a mask of its own'),
    })
    .prefault({}),
  controls: z
    .strictObject({
      data: data.min(2).default(12),
      trajectories: trajectories.default(64),
      points: z.int().min(4).max(100).default(10).describe('times between 0 and T'),
      d: z
        .int()
        .min(16)
        .max(4096)
        .refine((d) => Number.isInteger(Math.log2(d)) && Math.log2(d) % 2 === 0, 'expected a power of 4')
        .default(1024)
        .describe('points of a field, dimensions of a mixture'),
    })
    .prefault({}),
})

export type Config = z.infer<typeof config>

/** The grammar's sizes at a depth. */
export const shapeOf = ({ v, m, s }: Pick<Config, 'v' | 'm' | 's'>, L: number): Shape => ({
  v,
  classes: v,
  m,
  s,
  L,
})

/** Depths whose χ(ε) is compared, each once, rising. */
export const depthsOf = ({ depths }: Pick<Config, 'depths'>): number[] =>
  [...new Set(depths)].sort((a, b) => a - b)

/** Throws TL_BAD_CONFIG for a grammar that cannot be, or that has no critical noise. */
export function checkConfig(config: Config): void {
  const deepest = Math.max(config.L, ...config.depths)
  const shape = shapeOf(config, deepest)
  checkShape(shape)
  if (!hasTransition(shape))
    fail(
      'TL_BAD_CONFIG',
      `config: v = ${config.v}, m = ${config.m}, s = ${config.s} has no critical noise to look around; expected about s < m and s·m < v^(s−1), such as v = 32, m = 8, s = 2`,
    )
  if (depthsOf(config).length < 2)
    fail(
      'TL_BAD_CONFIG',
      `config.depths: expected at least two different depths, got ${JSON.stringify(config.depths)}`,
    )
  if (config.s ** deepest > 65536)
    fail(
      'TL_BAD_CONFIG',
      `config: s^L = ${config.s}^${deepest} leaves are too many here (at most 65536); lower L or depths`,
    )
}

export const presets = {
  tiny: {
    ...{ v: 16, m: 4, L: 4, depths: [3, 4], grammars: 3, data: 1, step: 0.02 },
    sampled: { data: 1, trajectories: 16 },
    masking: { data: 2, trajectories: 8 },
    controls: { data: 3, trajectories: 8, points: 4, d: 16 },
  },
  tour: {
    ...{ depths: [4, 7, 10], grammars: 8, data: 2, step: 0.01 },
    sampled: { data: 4, trajectories: 128 },
    masking: { data: 4, trajectories: 32 },
    controls: { data: 48, trajectories: 48, points: 8, d: 256 },
  },
  quick: {
    ...{ grammars: 8, data: 2, step: 0.01 },
    sampled: { data: 4, trajectories: 192 },
    masking: { data: 4, trajectories: 32 },
    controls: { data: 128, trajectories: 48, points: 8, d: 256 },
  },
  paper: {
    ...{ grammars: 16, data: 4 },
    sampled: { data: 16, trajectories: 256 },
    masking: { data: 16, trajectories: 64 },
    controls: { data: 16, trajectories: 128, points: 16 },
  },
} satisfies Record<string, PartialConfig<Config>>
