/** @file The phase transition in diffusion (Sclocchi et al. 2025): at a critical noise the class is lost at once, leaves one by one. */
import { defineExperiment } from '../lab/index.ts'
import { combine } from './phase-transition/combine.ts'
import { type Config, config } from './phase-transition/config.ts'
import { figuresOf, tablesOf } from './phase-transition/figures.ts'
import { measure, type Result } from './phase-transition/measure.ts'
import { conclude } from './phase-transition/verdicts.ts'

export const phaseTransition = defineExperiment<Config, Result>({
  name: 'phase-transition',
  title: 'The class is lost at once, the leaves one by one',
  description:
    'Noise on the leaves of grammars, undone by exact inference: at a critical noise the class is lost, as theory says.',
  config,
  presets: {
    quick: {
      depths: [4, 6, 8, 10],
      grammars: 6,
      data: 4,
      points: 10,
      others: { depths: [4, 6, 8], grammars: 8, data: 4, points: 8 },
      thresholds: {
        settings: [
          [16, 4, 2],
          [12, 3, 2],
          [8, 8, 3],
          [20, 5, 2],
        ],
        grammars: 12,
        data: 2,
      },
      diagram: { depth: 9, rows: 20, grammars: 2, data: 2 },
      lost: { grammars: 2, data: 2 },
      acceptance: { grammars: 16, data: 4 },
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
      acceptance: { grammars: 32, data: 8 },
    },
  },
  // measured with the quick preset; grammars and data of every part grow alike from preset to preset
  cost: ({ grammars, data }) => 2.5 * grammars * data,
  run: measure,
  summary: (run) => conclude(run.config, run.result),
  draws: 'config',
  figures: (runs) => figuresOf(combine(runs.map(({ result }) => result))),
  tables: (runs) => tablesOf(combine(runs.map(({ result }) => result))),
})
