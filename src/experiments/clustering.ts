/** @file Finding a grammar's hidden symbols by clustering tuples that occur in the same contexts: at how many data? */
import { z } from 'zod'
import { checkShape } from '../grammar/index.ts'
import { defineExperiment, doublings, runJobs, seedField } from '../lab/index.ts'
import type { Climbed, ClimbJob } from './clustering/climb.ts'
import {
  type ClusterAnswer,
  type ClusterJob,
  clusterTask,
  type ExactAnswer,
  type ThresholdAnswer,
} from './clustering/job.ts'
import { clusteringFigures, clusteringTables } from './clustering/pictures.ts'
import type { ContextChoice, ThresholdJob } from './clustering/threshold.ts'
import { concludeClustering } from './clustering/verdicts.ts'

const symbols = z.int().min(2).max(256)
const settingField = z.strictObject({
  v: symbols,
  m: symbols,
  s: z.int().min(2).max(8),
  height: z.int().min(2).max(8),
})
const classField = z.strictObject({
  v: symbols,
  classes: symbols,
  m: symbols,
  s: z.int().min(2).max(8),
  L: z.int().min(2).max(8),
})
const climbField = z.strictObject({
  v: symbols,
  m: symbols,
  s: z.int().min(2).max(8),
  L: z.int().min(3).max(8),
})
export type Setting = z.infer<typeof settingField>
export type TreeShape = z.infer<typeof climbField>
export type ClassSetting = z.infer<typeof classField>

/** Settings as lists of four numbers, to be read at a glance. */
const settings = (...rows: [v: number, m: number, s: number, height: number][]): Setting[] =>
  rows.map(([v, m, s, height]) => ({ v, m, s, height }))
const classSettings = (...rows: [v: number, classes: number, m: number, L: number][]): ClassSetting[] =>
  rows.map(([v, classes, m, L]) => ({ v, classes, m, s: 2, L }))

const config = z.strictObject({
  seed: seedField,
  settings: z
    .array(settingField)
    .min(2)
    .max(40)
    .default(
      settings(
        [16, 2, 2, 2],
        [16, 3, 2, 2],
        [16, 4, 2, 2],
        [32, 4, 2, 2],
        [32, 8, 2, 2],
        [8, 4, 3, 2],
        [16, 3, 2, 3],
        [16, 4, 2, 3],
        [8, 4, 3, 3],
        [16, 4, 2, 4],
      ),
    )
    .describe('tuples against a leaf with which they have their common ancestor at this height'),
  classification: z
    .array(classField)
    .min(2)
    .max(40)
    .default(
      classSettings(
        [16, 16, 3, 2],
        [16, 16, 4, 2],
        [16, 32, 4, 2],
        [16, 64, 4, 2],
        [24, 64, 4, 2],
        [32, 32, 4, 2],
        [32, 128, 4, 2],
        [32, 128, 8, 2],
        [16, 16, 4, 3],
        [16, 64, 4, 3],
      ),
    )
    .describe('tuples of leaves against the class'),
  grammars: z.int().min(2).max(256).default(4).describe('grammars of each setting; error bars are over them'),
  most: z
    .int()
    .min(1024)
    .max(2 ** 24)
    .default(2 ** 18)
    .describe('largest number of data'),
  restarts: z.int().min(1).max(1000).default(8).describe('beginnings of each k-means'),
  climb: climbField
    .default({ v: 16, m: 4, s: 2, L: 4 })
    .describe('grammars that are learned from the leaves up'),
  climbMost: z
    .int()
    .min(128)
    .max(2 ** 20)
    .default(2 ** 16)
    .describe('largest number of data of the climb'),
  control: settingField
    .default({ v: 8, m: 8, s: 3, height: 2 })
    .describe('shape of the uncorrelated grammars and of random ones beside them; m a multiple of v'),
  exactShapes: z
    .array(climbField.extend({ L: z.int().min(2).max(8) }))
    .max(20)
    .default([
      { v: 32, m: 8, s: 2, L: 3 },
      { v: 16, m: 4, s: 2, L: 4 },
      { v: 16, m: 3, s: 2, L: 4 },
    ])
    .describe('shapes whose thresholds are computed from the rules'),
  exactGrammars: z.int().min(2).max(1000).default(20).describe('grammars over which they are averaged'),
})
export type ClusteringConfig = z.infer<typeof config>

/** A setting measured on several grammars. */
export interface Measured<Of> {
  readonly setting: Of
  readonly grammars: readonly ThresholdAnswer[]
}

/** What a run has measured. */
export interface ClusteringResult {
  readonly leaf: readonly Measured<Setting>[]
  readonly classes: readonly Measured<ClassSetting>[]
  readonly controls: {
    readonly uncorrelated: readonly ThresholdAnswer[]
    readonly random: readonly ThresholdAnswer[]
    readonly shuffled: readonly ThresholdAnswer[]
  }
  /** From the rules, heights 2 … L of each shape. */
  readonly exact: readonly { readonly shape: TreeShape; readonly thresholds: readonly number[] }[]
  /** For each kind of context and number of data, the scores of each grammar at heights 1 … L − 1. */
  readonly climbs: readonly {
    readonly context: ClimbJob['context']
    readonly P: number
    readonly scores: readonly (readonly number[])[]
  }[]
}

/** Smallest number of data. */
const fewest = 32

/** The grammar's shape of a setting: the root is the common ancestor. */
const shapeOf = ({ v, m, s, height }: Setting) => ({ v, classes: v, m, s, L: height })

export const clustering = defineExperiment<ClusteringConfig, ClusteringResult>({
  name: 'clustering',
  title: 'Finding synonyms by their contexts',
  description:
    'k-means of context vectors finds the hidden symbols of a grammar; how many data does each level take?',
  config,
  presets: {
    quick: { grammars: 3, most: 2 ** 17, restarts: 4, climbMost: 2 ** 15 },
    paper: {
      settings: settings(
        [8, 2, 2, 2],
        [16, 2, 2, 2],
        [16, 3, 2, 2],
        [16, 4, 2, 2],
        [16, 6, 2, 2],
        [24, 4, 2, 2],
        [24, 6, 2, 2],
        [32, 4, 2, 2],
        [32, 8, 2, 2],
        [8, 4, 3, 2],
        [10, 8, 3, 2],
        [16, 2, 2, 3],
        [16, 3, 2, 3],
        [16, 4, 2, 3],
        [32, 4, 2, 3],
        [32, 8, 2, 3],
        [8, 4, 3, 3],
        [16, 3, 2, 4],
        [16, 4, 2, 4],
      ),
      classification: classSettings(
        [16, 16, 3, 2],
        [16, 16, 4, 2],
        [16, 32, 4, 2],
        [16, 64, 4, 2],
        [16, 64, 3, 2],
        [24, 64, 4, 2],
        [32, 32, 4, 2],
        [32, 128, 4, 2],
        [32, 32, 8, 2],
        [32, 128, 8, 2],
        [16, 16, 4, 3],
        [16, 64, 4, 3],
        [16, 16, 3, 4],
        [16, 64, 3, 4],
      ),
      grammars: 10,
      most: 2 ** 20,
      restarts: 10,
      climbMost: 2 ** 17,
    },
  },

  cost: ({ grammars, most }) => 5e-5 * grammars * most,

  async run(context) {
    const { config: c, log } = context
    for (const [i, setting] of c.settings.entries()) checkShape(shapeOf(setting), `config.settings.${i}`)
    for (const [i, shape] of c.classification.entries()) checkShape(shape, `config.classification.${i}`)
    checkShape({ ...c.climb, classes: c.climb.v }, 'config.climb')
    checkShape(shapeOf(c.control), 'config.control')
    for (const [i, shape] of c.exactShapes.entries())
      checkShape({ ...shape, classes: shape.v }, `config.exactShapes.${i}`)
    const repeats = Array.from({ length: c.grammars }, (_, repeat) => repeat)
    const samples = doublings(fewest, c.most, 2)
    const thresholds = (
      shape: ClassSetting,
      kind: ContextChoice,
      rules: ThresholdJob['rules'] = 'random',
    ): ClusterJob[] =>
      repeats.map((repeat) => ({
        kind: 'threshold',
        of: {
          seed: c.seed,
          repeat,
          ...shape,
          rules,
          context: kind,
          samples,
          enough: 0.95,
          restarts: c.restarts,
        },
      }))
    const first = c.settings[0]!
    const climbs = (['tokens', 'latents'] as const).flatMap((kind) =>
      doublings(fewest, c.climbMost).map((P) => ({ context: kind, P })),
    )
    const jobs: ClusterJob[] = [
      ...c.settings.flatMap((setting) => thresholds(shapeOf(setting), 'leaf')),
      ...c.classification.flatMap((shape) => thresholds(shape, 'class')),
      ...thresholds(shapeOf(c.control), 'leaf', 'uncorrelated'),
      ...thresholds(shapeOf(c.control), 'leaf'),
      ...thresholds(shapeOf(first), 'shuffled'),
      ...c.exactShapes.map(
        (shape): ClusterJob => ({ kind: 'exact', of: { seed: c.seed, shape, grammars: c.exactGrammars } }),
      ),
      ...climbs.flatMap(({ context: kind, P }) =>
        repeats.map(
          (repeat): ClusterJob => ({
            kind: 'climb',
            of: { seed: c.seed, repeat, shape: c.climb, context: kind, P, restarts: c.restarts },
          }),
        ),
      ),
    ]
    log(
      `${jobs.length} parts: ${c.grammars} grammars of each setting, up to ${c.most.toLocaleString('en')} data`,
    )
    const answers = await runJobs<ClusterJob, ClusterAnswer>(context, clusterTask, jobs, {
      label: describeJob,
      cost: costOf,
    })
    // answers come in the order in which the jobs were listed
    let at = 0
    const next = <Answer>(count: number): Answer[] => {
      const from = at
      at += count
      return answers.slice(from, at) as unknown as Answer[]
    }
    const measured = <Of>(setting: Of): Measured<Of> => ({
      setting,
      grammars: next<ThresholdAnswer>(c.grammars),
    })
    const leaf = c.settings.map(measured)
    const classes = c.classification.map(measured)
    const controls = {
      uncorrelated: next<ThresholdAnswer>(c.grammars),
      random: next<ThresholdAnswer>(c.grammars),
      shuffled: next<ThresholdAnswer>(c.grammars),
    }
    const exact = next<ExactAnswer>(c.exactShapes.length)
    return {
      leaf,
      classes,
      controls,
      exact: exact.map(({ thresholds: found }, i) => ({ shape: c.exactShapes[i]!, thresholds: found })),
      climbs: climbs.map((one) => ({
        ...one,
        scores: next<Climbed>(c.grammars).map(({ scores }) => scores),
      })),
    }
  },

  summary: concludeClustering,
  draws: 'run',
  figures: clusteringFigures,
  tables: clusteringTables,
})

function describeJob({ kind, of }: ClusterJob): string {
  if (kind === 'climb') return `climb with ${of.context}, P = ${of.P}`
  const { v, m, s, L } = kind === 'exact' ? of.shape : of
  return `${kind === 'exact' ? 'exact, ' : ''}v=${v} m=${m} s=${s} L=${L}`
}

/** Rough, for the time left: k-means of v·m rows dominates, and sampling for high trees. */
function costOf({ kind, of }: ClusterJob): number {
  if (kind === 'exact') return 1
  if (kind === 'climb') return 1 + of.P / 2000
  return 2 + (of.v * of.m * of.v * Math.min(of.v, 32)) / 4e4 + of.s ** of.L
}
