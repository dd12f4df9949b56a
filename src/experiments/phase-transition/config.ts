/** @file The config of the experiment: sizes of grammars, noise processes, and how much to average over. */
import { z } from 'zod'
import { fail } from '../../base/index.ts'
import { checkShape } from '../../grammar/index.ts'
import { type PartialConfig, seedField } from '../../lab/index.ts'

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
})

export type Config = z.infer<typeof config>

/** Each number once, rising. */
export const rising = (numbers: readonly number[]): number[] => [...new Set(numbers)].sort((a, b) => a - b)

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

/** A grammar's [v, m, s]. */
export type Setting = readonly [v: number, m: number, s: number]

/** Settings whose threshold is measured, each once: the config's own first. */
export const settingsOf = ({ grammar: { v, m, s }, thresholds }: Config): Setting[] => {
  const all = [[v, m, s] as const, ...(thresholds.settings as [number, number, number][])]
  return all.filter((one, i) => all.findIndex((other) => other.join() === one.join()) === i)
}

/** Columns of the diagram: rules that tuples suffice for. */
export const columnsOf = ({ grammar: { v, s }, diagram }: Config): number[] =>
  rising(diagram.rules).filter((m) => m * v <= v ** s)

/** Depth of trees with about `leaves` leaves, and the shallower depth they are compared with. */
export function depthPair(s: number, leaves: number): [shallow: number, deep: number] {
  const deep = Math.max(2, Math.round(Math.log(leaves) / Math.log(s)))
  return [Math.max(1, Math.round(0.4 * deep)), deep]
}

export const presets = {
  tiny: {
    grammar: { v: 8, m: 3 },
    depths: [2, 4],
    grammars: 3,
    data: 4,
    points: 5,
    others: { channels: ['masking'], depths: [2, 3], grammars: 2, data: 2, points: 3 },
    thresholds: { settings: [[6, 2, 2]], leaves: 64, grammars: 4, data: 2 },
    diagram: { rules: [1, 2, 3], depth: 3, rows: 5, grammars: 2 },
    lost: { m: 7, grammars: 2, data: 1 },
    mixture: { d: 16, data: 8, points: 5 },
  },
  tour: {
    depths: [4, 6, 8, 10],
    grammars: 6,
    data: 4,
    points: 10,
    others: { channels: [] },
    thresholds: { settings: [[16, 4, 2]], grammars: 16, data: 2 },
    diagram: { depth: 9, rows: 20, grammars: 4, data: 2 },
    lost: { grammars: 6, data: 2 },
  },
  quick: {
    depths: [4, 6, 8, 10],
    grammars: 6,
    data: 4,
    points: 10,
    others: { depths: [4, 6, 8], grammars: 12, data: 4, points: 8 },
    thresholds: {
      settings: [
        [16, 4, 2],
        [12, 3, 2],
        [8, 8, 3],
        [20, 5, 2],
      ],
      grammars: 128,
      data: 2,
    },
    diagram: { depth: 9, rows: 20, grammars: 6, data: 2 },
    lost: { grammars: 8, data: 2 },
    mixture: { data: 256 },
  },
  paper: {
    grammars: 16,
    data: 16,
    points: 14,
    others: { depths: [4, 5, 6, 7, 8, 9, 10], grammars: 8, data: 8, points: 12 },
    thresholds: { grammars: 48, data: 4 },
    diagram: { rows: 40, grammars: 8, data: 2 },
    lost: { grammars: 8, data: 8 },
    mixture: { data: 256, points: 41 },
  },
} satisfies Record<string, PartialConfig<Config>>
