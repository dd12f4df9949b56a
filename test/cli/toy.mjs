/** @file An experiment of a user's own, as the program loads it: counts slowly, resumes, can fail or run out of numbers. */
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { z } from 'zod'
import { defineExperiment, lineChart, seedField } from '../../dist/lab/index.js'

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds))

export default defineExperiment({
  name: 'counting',
  title: 'Counting',
  description: 'Counts to a number.',
  config: z.strictObject({
    seed: seedField,
    steps: z.int().min(1).default(5).describe('how far to count'),
    pause: z.int().min(0).default(0).describe('milliseconds between numbers'),
    mood: z.enum(['well', 'failing', 'broken']).default('well'),
  }),
  presets: { quick: { steps: 2 }, paper: { steps: 10 } },
  async run(context) {
    const { config, statePath } = context
    let step = 0
    if (context.resumed) {
      step = Number(readFileSync(statePath, 'utf8'))
      context.resumeFrom(step)
    }
    context.log(`counting from ${step}`)
    while (step < config.steps) {
      step++
      await pause(config.pause)
      context.metric({ step, value: (step * (config.seed + 1)) % 7 })
      // atomic, and before anybody hears of the step: whoever kills this process finds a whole state
      writeFileSync(`${statePath}.new`, String(step))
      renameSync(`${statePath}.new`, statePath)
      context.progress({ done: step, total: config.steps })
      if (config.mood === 'broken') undefined.property
      if (config.mood === 'failing') await import('../../dist/base/index.js').then(({ fail }) => fail('TL_NOT_FINITE', 'step 1: the loss is NaN'))
      context.stopIfInterrupted()
    }
    return { last: step, ratio: Number.POSITIVE_INFINITY, existed: existsSync(statePath) }
  },
  summary: ({ result }) => ({ headline: `counted to ${result.last}`, paragraph: `It counted to ${result.last}.` }),
  figures: (runs) => [
    lineChart({
      name: 'count',
      title: 'The count',
      caption: 'One value a step.',
      xLabel: 'step',
      yLabel: 'value',
      series: runs.map((run) => ({
        name: 'value',
        points: run.metrics.map(({ step, value }) => ({ x: step, y: value })),
      })),
    }),
  ],
})
