/** @file Scaling by depth (LiNeS): how much of what fine-tuning forgets and merging destroys does it give back? */
import { defineStudy } from '../lab/index.ts'
import { scalingCharts, scalingTables } from './layer-scaling/charts.ts'
import { type Config, config, presets } from './layer-scaling/config.ts'
import { scalingFindings } from './layer-scaling/findings.ts'
import { measure } from './layer-scaling/measure.ts'
import type { Cell, Row } from './layer-scaling/rows.ts'
import { type ReadyEncoder, readyEncoder } from './tasks/pictures/encoder.ts'
import { checkTaskNames } from './tasks/pictures/sources.ts'

/** Seconds on a core of a picture that goes through the encoder and back. */
function perPicture({ encoder: { width, layers, side, patch } }: Config): number {
  const tokens = (side / patch) ** 2 + 1
  return 1e-4 + 6 * 12 * 1.2e-10 * tokens * layers * width ** 2
}

export const layerScaling = defineStudy<Config, Cell, Row, void, ReadyEncoder>(import.meta.url, {
  name: 'layer-scaling',
  title: 'Scaling task vectors by depth',
  question:
    'How much of what fine-tuning forgets and merging destroys does scaling by depth give back, and is it the depth that does it?',
  source: 'LiNeS: Wang et al. 2025, arXiv 2410.17146',
  config,
  presets,
  check: ({ tasks }) => checkTaskNames(tasks),
  prepare: readyEncoder,
  cells: () => [{ part: 'scaling' }],
  replicas: ({ replicas }) => replicas,
  keyed: () => [],
  cost: (_, c) => {
    const trained = c.batchSize * (c.steps * (c.tasks.length + c.soup) + 2 * c.policySteps)
    const asked = c.methods.length * 5 * (c.points + 1) * c.tasks.length * c.counts.validation
    const alone = c.singles * 8 * (c.points + 1) * (c.counts.validation + c.counts.test)
    return perPicture(c) * (trained + (asked + alone) / 3)
  },
  label: () => 'tasks, merges and soups',
  measure,
  findings: (rows, _) => ({
    ...scalingFindings(rows),
    charts: scalingCharts(rows),
    tables: scalingTables(rows),
  }),
})
