/** @file The config of the experiment: sizes of grammars, noise processes, and how much to average over. */
import { z } from 'zod'
import { fail } from '../../base/index.ts'
import { checkShape } from '../../grammar/index.ts'
import { seedField } from '../../lab/index.ts'

const grammars = z.int().min(1).max(10000)
const data = z.int().min(1).max(100000)
const depth = z.int().min(1).max(16)
const depths = (standard: number[]) =>
  z.array(depth).min(2).default(standard).describe('levels of rules L; the deepest is drawn level by level')
const points = z.int().min(3).max(200).default(12).describe('noise levels across the transition')

export const config = z.strictObject({
  seed: seedField,
  grammar: z
    .strictObject({
      v: z.int().min(2).max(256).default(32).describe('symbols of every level, and classes'),
      m: z.int().min(1).max(4096).default(8).describe('rules of each symbol'),
      s: z.int().min(2).max(8).default(2).describe('symbols of a rule'),
    })
    .prefault({}),
  depths: depths([4, 5, 6, 7, 8, 9, 10]),
  grammars: grammars.default(8).describe('drawn anew and averaged over; errors are over grammars'),
  data: data.default(8).describe('trees of each deepest grammar; shallower ones have up to 8 times as many'),
  points,
  others: z
    .strictObject({
      channels: z
        .array(z.enum(['gaussian', 'uniform', 'masking']))
        .default(['gaussian', 'uniform', 'masking'])
        .describe('noise processes beside the ε-process'),
      depths: depths([4, 6, 8]),
      grammars: grammars.default(8),
      data: data.default(8),
      points,
    })
    .prefault({})
    .describe('their own sizes, for they are slower: every tree has noise of its own'),
  thresholds: z
    .strictObject({
      settings: z
        .array(z.array(z.int().min(1)).length(3))
        .default([
          [16, 4, 2],
          [16, 3, 2],
          [16, 6, 2],
          [12, 3, 2],
          [24, 6, 2],
          [8, 8, 3],
          [20, 5, 2],
          [12, 20, 3],
        ])
        .describe('[v, m, s] of more grammars whose threshold is measured'),
      leaves: z.int().min(4).max(65536).default(1024).describe('about so many leaves in their deepest trees'),
      grammars: grammars.default(24),
      data: data.default(4),
    })
    .prefault({}),
  diagram: z
    .strictObject({
      rules: z
        .array(z.int().min(1))
        .default([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16])
        .describe('m of each column, rising; an empty list leaves the diagram out'),
      depth: depth.default(10),
      rows: z.int().min(3).max(200).default(20).describe('noise levels between 0 and 1'),
      grammars: grammars.default(4),
      data: data.default(2),
    })
    .prefault({}),
  lost: z
    .strictObject({
      m: z.int().min(1).max(4096).default(20).describe('rules of a grammar with s·f > 1'),
      grammars: grammars.default(4),
      data: data.default(4),
    })
    .prefault({}),
  mixture: z
    .strictObject({
      d: z.int().min(1).max(65536).default(1024).describe('dimensions of the two-mode control'),
      separation: z.number().gt(0).default(64).describe('‖μ‖² of its modes ±μ; coordinates have variance 1'),
      data: data.default(64),
      points: z.int().min(3).max(1000).default(25).describe('times between 0 and T'),
    })
    .prefault({}),
  acceptance: z
    .strictObject({
      grammars: z.int().min(0).max(10000).default(8).describe('0 leaves the comparison out'),
      data: data.default(8),
    })
    .prefault({}),
})

export type Config = z.infer<typeof config>

/** Each depth once, rising. */
export const rising = (depths: readonly number[]): number[] => [...new Set(depths)].sort((a, b) => a - b)

/** Throws TL_BAD_CONFIG for a grammar that cannot be, or depths that leave nothing to compare. */
export function checkConfig({ grammar: { v, m, s }, depths, others, thresholds, diagram }: Config): void {
  for (const [name, given] of [
    ['depths', depths],
    ['others.depths', others.depths],
  ] as const) {
    const known = rising(given)
    if (known.length < 2)
      fail(
        'TL_BAD_CONFIG',
        `config.${name}: expected at least two different depths, got ${JSON.stringify(given)}`,
      )
    checkShape({ v, classes: v, m, s, L: known.at(-1)! }, 'config.grammar')
  }
  checkShape({ v, classes: v, m: 1, s, L: diagram.depth }, 'config.diagram')
  for (const [i, [v, m, s]] of (thresholds.settings as [number, number, number][]).entries()) {
    if (v < 2) fail('TL_BAD_CONFIG', `config.thresholds.settings[${i}]: expected v ≥ 2, got ${v}`)
    checkShape({ v, classes: v, m, s, L: 1 }, `config.thresholds.settings[${i}]`)
  }
}

/** How often one noise process is measured. */
export type Sampling = Pick<Config, 'depths' | 'grammars' | 'data' | 'points'>

/** Trees of a shallow grammar for each of the deepest one: they are cheaper, but not so much that fewer would not do. */
export const moreTrees = (s: number, depth: number, tallest: number): number =>
  Math.min(8, s ** (tallest - depth))
