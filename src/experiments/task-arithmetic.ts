/** @file Task arithmetic in the tangent space: do models add and forget better when they are fine-tuned where they are linear? */
import { createHash } from 'node:crypto'
import { modelFingerprint } from '../edit/index.ts'
import { defineStudy } from '../lab/index.ts'
import { arithmeticCharts } from './task-arithmetic/charts.ts'
import { arithmeticFindings, claimsOf } from './task-arithmetic/claims.ts'
import { type Config, checkConfig, config, fetchData } from './task-arithmetic/config.ts'
import { measureStart } from './task-arithmetic/measure.ts'
import type { Cell, Row } from './task-arithmetic/rows.ts'
import { arithmeticTables } from './task-arithmetic/tables.ts'
import { readRelationFolder } from './tasks/relationFile.ts'

/** What a run's numbers depend on besides its config. */
interface Prepared {
  /** Of the model's weights and of the relations; empty without a model. */
  readonly model: string
  readonly relations: string
}

export const taskArithmetic = defineStudy<Config, Cell, Row, void, Prepared>(import.meta.url, {
  name: 'task-arithmetic',
  title: 'Task arithmetic in the tangent space',
  question:
    'Does fine-tuning in the tangent space make task vectors add and forget better, and what of the pretrained kernel makes it so?',
  source: 'Ortiz-Jimenez, Favero and Frossard 2023, arXiv 2305.12827',
  version: 1,
  config,
  presets: {
    tiny: {
      ...{ looks: ['turned', 'inverted'], width: 16, features: 8, pretraining: 20, steps: 6, batchSize: 8 },
      images: { train: 40, validation: 20, test: 20 },
      ...{ alphas: 5, mapPoints: 3, mapPairs: 1, mapExamples: 10, kernelExamples: 4, replicas: 1 },
    },
    tour: {
      tak: 0.1,
      ...{
        looks: ['turned', 'mirrored', 'exchanged'],
        replicas: 1,
        mapPoints: 7,
        mapPairs: 1,
        kernelExamples: 0,
      },
      ...{
        pretraining: 200,
        steps: 60,
        images: { train: 1000, validation: 200, test: 400 },
        randomStart: false,
      },
    },
    quick: {
      tak: 0.1,
      ...{ looks: ['turned', 'mirrored', 'exchanged', 'swapped'], replicas: 2, mapPoints: 7, mapPairs: 1 },
      ...{
        pretraining: 250,
        steps: 60,
        images: { train: 1500, validation: 300, test: 500 },
        kernelExamples: 12,
      },
    },
    paper: {
      tak: 0.1,
      ...{ images: { train: 5000, validation: 1000, test: 2000 }, width: 512, pretraining: 2000, steps: 400 },
      ...{ mapPoints: 25, mapPairs: 4, mapExamples: 400, kernelExamples: 60, replicas: 5 },
    },
  },
  check: checkConfig,
  async prepare(c, telling) {
    await fetchData(c, telling)
    if (c.model === '') return { model: '', relations: '' }
    const relations = createHash('sha256').update(
      JSON.stringify(readRelationFolder(c.relations, c.relationNames)),
    )
    return { model: modelFingerprint(c.model), relations: relations.digest('hex') }
  },
  cells: ({ randomStart }) => [
    { start: 'pretrained' },
    ...(randomStart ? [{ start: 'random' } as const] : []),
  ],
  replicas: ({ replicas }) => replicas,
  // both starts of a replica share family, splits and order of examples
  keyed: () => [],
  cost: (_, c) =>
    c.model === '' ? 2e-6 * c.width ** 2 * c.steps * c.looks.length : c.steps * c.relationNames.length * 2,
  label: ({ start }) => (start === 'pretrained' ? 'pretrained' : 'random start'),
  measure: measureStart,
  findings: (rows, c) => ({
    ...arithmeticFindings(rows),
    claims: claimsOf(rows, c),
    charts: arithmeticCharts(rows),
    tables: arithmeticTables(rows),
  }),
})
