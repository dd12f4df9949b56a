/**
 * @file How many strings does a network need to learn a grammar? P* ∝ n_c·m^L for deep networks whose features move, a share
 * of all strings for shallow and lazy ones. (Cagnetta et al. 2024, PRX 14, 031001)
 */
import { count, duration } from '../base/index.ts'
import { checkShape } from '../grammar/index.ts'
import { defineExperiment, runJobs } from '../lab/index.ts'
import { type Config, config, presets } from './sample-complexity/config.ts'
import { figures } from './sample-complexity/figures.ts'
import { type Found, type Job, task } from './sample-complexity/jobs.ts'
import {
  controlShapes,
  correlationShapes,
  planOf,
  secondsOf,
  shallowShapes,
  shapesOf,
} from './sample-complexity/plan.ts'
import { assemble, type Result } from './sample-complexity/result.ts'
import { summary, tables } from './sample-complexity/summary.ts'

const secondsOfAll = (jobs: readonly Job[]): number => jobs.reduce((sum, job) => sum + secondsOf(job), 0)

const named: Record<Job['kind'], string> = {
  cnn: 'CNN',
  shallow: 'one layer',
  lazy: 'kernel',
  correlations: 'correlations',
}

function labelOf(job: Job): string {
  const { v, m, L } = job.shape
  const size = job.kind === 'correlations' ? '' : `, P = ${count(job.trainCount)}`
  return `${named[job.kind]} v = ${v}, m = ${m}, L = ${L}${size}`
}

/** Impossible sizes are refused before the first hour of training, not after it. */
function checkConfig(c: Config): void {
  const has = (part: Config['parts'][number]): boolean => c.parts.includes(part)
  const shapes = [
    ...(has('cnn') || has('lazy') ? shapesOf(c) : []),
    ...(has('correlations') ? correlationShapes(c) : []),
    ...(has('shallow') ? shallowShapes(c) : []),
    ...(has('control') ? controlShapes(c) : []),
  ]
  for (const shape of shapes) checkShape(shape, `config (m = ${shape.m}, L = ${shape.L})`)
}

export const sampleComplexity = defineExperiment<Config, Result>({
  name: 'sample-complexity',
  title: 'How much data a hierarchy takes',
  description: 'Deep CNNs learn a grammar from n_c·m^L strings; shallow and lazy networks need far more.',
  config,
  presets,
  cost: (c) => secondsOfAll(planOf(c)),

  async run(context) {
    checkConfig(context.config)
    const jobs = planOf(context.config)
    context.log(`${jobs.length} jobs, about ${duration(secondsOfAll(jobs))} on one core`)
    const found = await runJobs<Job, Found>(context, task, jobs, { label: labelOf, cost: secondsOf })
    return assemble(context.config, jobs, found)
  },

  summary,
  figures,
  tables,
})
