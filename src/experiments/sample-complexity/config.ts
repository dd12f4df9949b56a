/** @file The config of `sample-complexity`: which grammars, how much data, which networks. */
import { z } from 'zod'
import { type PartialConfig, seedField } from '../../lab/index.ts'

const parts = ['cnn', 'correlations', 'shallow', 'lazy', 'control'] as const

const multiples = (standard: number[]) =>
  z
    .array(z.number().gt(0))
    .min(1)
    .default(standard)
    .describe('training set sizes, in units of n_c·m^L; at most 9/10 of all strings')

const grammars = (standard: number) =>
  z.int().min(1).max(100).default(standard).describe('grammars, each with its own data and initial weights')

const settings = (standard: { m: number; L: number }[]) =>
  z
    .array(z.strictObject({ m: z.int().min(2), L: z.int().min(2).max(8) }))
    .min(1)
    .default(standard)
    .describe('synonyms m and depth L of the grammars')

export const config = z.strictObject({
  seed: seedField,
  parts: z
    .array(z.enum(parts))
    .min(1)
    .default([...parts])
    .describe('which measurements to make'),
  v: z.int().min(2).max(64).default(8).describe('symbols at each level, and classes n_c'),
  s: z.int().min(2).max(4).default(2).describe('symbols in a tuple'),
  settings: settings([
    { m: 2, L: 3 },
    { m: 3, L: 3 },
    { m: 4, L: 3 },
    { m: 6, L: 2 },
    { m: 8, L: 2 },
    { m: 2, L: 4 },
    { m: 3, L: 4 },
  ]),
  multiples: multiples([0.25, 0.5, 1, 2, 3, 4, 6, 8]),
  grammars: grammars(3),
  width: z.int().min(1).max(4096).default(64).describe('channels of the CNN'),
  learningRate: z.number().gt(0).default(0.1).describe('for width 1; SGD uses it times the width'),
  momentum: z.number().min(0).lt(1).default(0.9),
  batchSize: z.int().min(1).default(128),
  steps: z.int().min(64).max(1e6).default(4000).describe('at most; the rate falls to a tenth over them'),
  stopLoss: z.number().gt(0).default(1e-3).describe('training cross-entropy at which training ends'),
  testStrings: z.int().min(10).default(4000).describe('at most; never among the training strings'),
  probes: z.int().min(10).max(10000).default(250).describe('strings whose synonyms are exchanged'),
  correlations: z
    .strictObject({
      v: z
        .int()
        .min(2)
        .max(64)
        .default(16)
        .describe('symbols and classes: no training, so more are affordable'),
      settings: settings([
        { m: 3, L: 3 },
        { m: 4, L: 3 },
        { m: 6, L: 3 },
        { m: 8, L: 3 },
        { m: 3, L: 4 },
        { m: 4, L: 4 },
        { m: 8, L: 2 },
        { m: 16, L: 2 },
      ]),
      multiples: multiples([0.25, 0.5, 0.7, 1, 1.4, 2, 4, 8]),
      grammars: grammars(10),
    })
    .prefault({}),
  shallow: z
    .strictObject({
      sizes: z
        .array(z.int().min(2).max(32))
        .min(1)
        .default([6, 8, 10, 12])
        .describe('n_c = v = m of the grammars, at L = 2'),
      shares: z
        .array(z.number().gt(0).max(0.9))
        .min(1)
        .default([0.1, 0.15, 0.2, 0.3, 0.45, 0.65])
        .describe('training set sizes as shares of all strings'),
      grammars: grammars(3),
      width: z.int().min(1).max(8192).default(256).describe('hidden units'),
      learningRate: z.number().gt(0).default(3).describe('for width 1, as above'),
      steps: z.int().min(64).max(1e6).default(8000),
    })
    .prefault({}),
  lazy: z
    .strictObject({
      maxStrings: z.int().min(10).max(8192).default(2048).describe('largest kernel matrix'),
      grammars: grammars(3),
    })
    .prefault({}),
  control: z
    .strictObject({
      shapes: z
        .array(z.strictObject({ v: z.int().min(2).max(16), L: z.int().min(2).max(6) }))
        .min(1)
        .default([
          { v: 8, L: 2 },
          { v: 4, L: 3 },
        ])
        .describe('n_c = m = v: grammars whose tuples tell nothing of the class, beside random ones'),
      multiples: multiples([0.5, 1, 2, 4, 8, 16]),
      grammars: grammars(2),
    })
    .prefault({}),
})

export type Config = z.infer<typeof config>

export const presets: Record<'tiny' | 'tour' | 'quick' | 'paper', PartialConfig<Config>> = {
  tiny: {
    v: 4,
    settings: [
      { m: 3, L: 2 },
      { m: 2, L: 3 },
    ],
    multiples: [0.5, 2],
    ...{ grammars: 2, width: 8, steps: 256, testStrings: 60, probes: 10 },
    correlations: {
      v: 4,
      settings: [
        { m: 3, L: 2 },
        { m: 2, L: 3 },
      ],
      ...{ multiples: [0.5, 1, 2], grammars: 2 },
    },
    shallow: { sizes: [3], shares: [0.3, 0.6], grammars: 2, width: 8, steps: 64 },
    lazy: { maxStrings: 100, grammars: 1 },
    control: { shapes: [{ v: 3, L: 2 }], multiples: [2], grammars: 1 },
  },
  tour: {
    parts: ['cnn', 'correlations'],
    settings: [
      { m: 2, L: 3 },
      { m: 3, L: 3 },
      { m: 4, L: 3 },
      { m: 6, L: 2 },
      { m: 8, L: 2 },
      { m: 2, L: 4 },
    ],
    multiples: [0.6, 1.5, 3.5],
    ...{ grammars: 2, steps: 3000, testStrings: 2000, probes: 100 },
    correlations: { grammars: 4 },
  },
  quick: {
    multiples: [0.5, 1, 2, 3, 5],
    grammars: 2,
    steps: 3000,
    testStrings: 2000,
    correlations: { grammars: 4 },
    shallow: { sizes: [6, 8], shares: [0.1, 0.2, 0.3, 0.5], grammars: 2, steps: 2000 },
    lazy: { maxStrings: 1600, grammars: 2 },
    control: { shapes: [{ v: 4, L: 3 }], multiples: [1, 4, 8], grammars: 3 },
  },
  paper: {
    settings: [
      { m: 2, L: 3 },
      { m: 3, L: 3 },
      { m: 4, L: 3 },
      { m: 5, L: 3 },
      { m: 6, L: 2 },
      { m: 8, L: 2 },
      { m: 2, L: 4 },
      { m: 3, L: 4 },
    ],
    multiples: [0.25, 0.5, 1, 1.4, 2, 2.8, 4, 5.6, 8],
    grammars: 5,
    steps: 6000,
    shallow: { grammars: 5, width: 512 },
    lazy: { maxStrings: 4096, grammars: 3 },
    control: { grammars: 3 },
  },
}
