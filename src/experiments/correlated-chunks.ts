/** @file Correlated chunks (Sclocchi et al. 2025b): tokens that change together in a round trip, and how far that reaches. */
import { defineExperiment } from '../lab/index.ts'
import { averageRuns } from './correlated-chunks/average.ts'
import { type Config, config } from './correlated-chunks/config.ts'
import { figuresOf, tablesOf } from './correlated-chunks/figures.ts'
import { measure, type Result, secondsOf } from './correlated-chunks/measure.ts'
import { conclude } from './correlated-chunks/verdicts.ts'

export const correlatedChunks = defineExperiment<Config, Result>({
  name: 'correlated-chunks',
  title: 'Tokens change in chunks',
  description:
    'Noise, then exact restoration: the number of tokens that change together peaks where the class is lost, as theory says.',
  config,
  presets: {
    quick: {
      grammars: 4,
      data: 2,
      step: 0.01,
      sampled: { data: 4, trajectories: 48 },
      masking: { data: 4, trajectories: 32 },
      controls: { data: 12, trajectories: 48, points: 8, d: 256 },
    },
    paper: {
      grammars: 16,
      data: 4,
      sampled: { data: 16, trajectories: 256 },
      masking: { data: 16, trajectories: 64 },
      controls: { data: 16, trajectories: 128, points: 16 },
    },
  },
  cost: secondsOf,
  run: measure,
  summary: ({ config, result }) => conclude(config, result),
  draws: 'config',
  figures: (runs) => figuresOf(averageRuns(runs.map(({ result }) => result))),
  tables: (runs) => tablesOf(averageRuns(runs.map(({ result }) => result))),
})
