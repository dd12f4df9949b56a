/** @file Token–token correlations of the grammar: how they decay, and from how many data on they can be seen. */
import { z } from 'zod'
import { checkShape } from '../grammar/index.ts'
import { defineExperiment, runJobs, seedField } from '../lab/index.ts'
import { type GrammarCurves, grammarCurves } from './token-correlations/analyse.ts'
import { type CorrelationAnswer, correlationTask } from './token-correlations/job.ts'
import { type CorrelationJob, fullShape, sampleSizes } from './token-correlations/measure.ts'
import { correlationFigures, correlationTables } from './token-correlations/pictures.ts'
import { type PlateauAnswer, type PlateauJob, plateauTask } from './token-correlations/plateaus.ts'
import { concludeCorrelations } from './token-correlations/verdicts.ts'

const shapeField = z.strictObject({
  v: z.int().min(2).max(256),
  m: z.int().min(2).max(256),
  s: z.int().min(2).max(8),
  L: z.int().min(2).max(8),
})
export type CorrelationShape = z.infer<typeof shapeField>

const config = z.strictObject({
  seed: seedField,
  shapes: z
    .array(shapeField)
    .min(1)
    .max(12)
    .default([
      { v: 32, m: 8, s: 2, L: 3 },
      { v: 16, m: 4, s: 2, L: 4 },
    ])
    .describe('symbols, rules of each, branching, levels'),
  grammars: z.int().min(2).max(256).default(6).describe('grammars of each shape; error bars are over them'),
  most: z
    .int()
    .min(64)
    .max(2 ** 24)
    .default(2 ** 20)
    .describe('largest number of data; 8 is the smallest, and it is doubled'),
  control: shapeField
    .default({ v: 8, m: 8, s: 3, L: 2 })
    .describe('shape of the uncorrelated grammars and of random ones beside them; m a multiple of v'),
  plateauData: z
    .int()
    .min(16)
    .max(65536)
    .default(512)
    .describe('strings predicted for the loss of each grammar'),
})
export type CorrelationConfig = z.infer<typeof config>

/** One grammar's answer. */
export interface GrammarAnswer extends GrammarCurves {
  readonly repeat: number
  /** Loss of the last token given the s^ℓ − 1 before it, ℓ = 0 … L. */
  readonly plateaus: PlateauAnswer
}

/** What a run has measured. */
export interface CorrelationResult {
  readonly shapes: readonly {
    readonly shape: CorrelationShape
    readonly grammars: readonly GrammarAnswer[]
  }[]
  readonly uncorrelated: readonly GrammarCurves[]
  readonly random: readonly GrammarCurves[]
}

export const tokenCorrelations = defineExperiment<CorrelationConfig, CorrelationResult>({
  name: 'token-correlations',
  title: 'Correlations between tokens',
  description:
    'How far tokens of a hierarchical grammar know of each other, and how many data it takes to see it.',
  config,
  presets: {
    quick: { grammars: 4, most: 2 ** 19, plateauData: 256 },
    paper: {
      shapes: [
        { v: 32, m: 8, s: 2, L: 3 },
        { v: 16, m: 4, s: 2, L: 4 },
        { v: 8, m: 3, s: 2, L: 3 },
        { v: 16, m: 3, s: 2, L: 4 },
        { v: 12, m: 3, s: 2, L: 4 },
        { v: 11, m: 8, s: 3, L: 3 },
      ],
      grammars: 16,
      most: 2 ** 21,
      plateauData: 2048,
    },
  },

  cost: ({ grammars, most }) => 5e-6 * grammars * most,

  async run(context) {
    const { config: c, log } = context
    for (const [i, shape] of c.shapes.entries()) checkShape(fullShape(shape), `config.shapes.${i}`)
    checkShape(fullShape(c.control), 'config.control')
    const samples = sampleSizes(8, c.most)
    const jobsOf = (shape: CorrelationShape, rules: CorrelationJob['rules']): CorrelationJob[] =>
      Array.from({ length: c.grammars }, (_, repeat) => ({ seed: c.seed, repeat, shape, rules, samples }))
    const jobs = [
      ...c.shapes.flatMap((shape) => jobsOf(shape, 'random')),
      ...jobsOf(c.control, 'uncorrelated'),
      ...jobsOf(c.control, 'random'),
    ]
    log(`${jobs.length} grammars, up to ${c.most.toLocaleString('en')} data of each`)
    const answers = await runJobs<CorrelationJob, CorrelationAnswer>(context, correlationTask, jobs, {
      label: ({ shape: { v, m, s, L }, repeat }) => `v=${v} m=${m} s=${s} L=${L}, grammar ${repeat + 1}`,
      cost: ({ shape: { s, L } }) => s ** L,
    })
    const found = answers.map(({ looks, exact }, i) => grammarCurves(jobs[i]!, looks, exact))
    const plateauJobs = c.shapes.flatMap((shape) =>
      Array.from({ length: c.grammars }, (_, repeat) => ({
        seed: c.seed,
        repeat,
        shape,
        data: c.plateauData,
      })),
    )
    const plateaus = await runJobs<PlateauJob, PlateauAnswer>(context, plateauTask, plateauJobs, {
      label: ({ shape: { v, m, s, L } }) => `exact loss, v=${v} m=${m} s=${s} L=${L}`,
    })
    const at = (group: number): readonly GrammarCurves[] =>
      found.slice(group * c.grammars, (group + 1) * c.grammars)
    return {
      shapes: c.shapes.map((shape, group) => ({
        shape,
        grammars: at(group).map((curves, repeat) => ({
          ...curves,
          repeat,
          plateaus: plateaus[group * c.grammars + repeat]!,
        })),
      })),
      uncorrelated: at(c.shapes.length),
      random: at(c.shapes.length + 1),
    }
  },

  summary: concludeCorrelations,
  draws: 'run',
  figures: correlationFigures,
  tables: correlationTables,
})
