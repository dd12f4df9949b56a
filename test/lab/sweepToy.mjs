/**
 * @file An experiment for sweeps of many tiny runs: saves after every step, so that a run cut anywhere ends with the same
 * numbers, and can be made to fail or to kill its whole process group at a chosen point. Loads as little as it can.
 */
import { appendFileSync, existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { z } from 'zod'
import { fail } from '../../dist/base/index.js'
import { seedField } from '../../dist/lab/config.js'
import { defineExperiment } from '../../dist/lab/experiment.js'

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds))

/** Where to kill the process group: `{"a":3,"seed":2,"step":4,"phase":"half"}` in the environment. */
const target = process.env.TREELINE_TOY_KILL ? JSON.parse(process.env.TREELINE_TOY_KILL) : undefined
function killHere({ a, seed }, step, phase, last) {
  if (!target || target.a !== a || target.seed !== seed) return
  // a run that was cut before may be beyond the step already: its end comes in any case
  if ((step >= target.step && phase === target.phase) || (last && phase === 'end')) {
    process.kill(0, 'SIGKILL')
    // nothing may happen between the signal and the end
    for (;;);
  }
}

export default defineExperiment({
  name: 'walk',
  title: 'A walk',
  description: 'A few steps of a walk that depends on all steps before.',
  config: z
    .strictObject({
      seed: seedField,
      a: z.int().min(1).max(1000).default(1).describe('stride'),
      b: z.int().min(1).default(1000).describe('limit of the stride'),
      steps: z.int().min(1).default(5),
      pause: z.number().min(0).default(0).describe('milliseconds at each step'),
      mood: z.enum(['well', 'failing', 'throwing', 'dying', 'unlucky']).default('well'),
      name: z.string().default('plain'),
      sizes: z.array(z.int()).default([1, 2]),
      noise: z.strictObject({ size: z.number().default(0.5), on: z.boolean().default(true) }).prefault({}),
    })
    .refine(({ a, b }) => a <= b, { path: ['a'], message: 'expected at most b' }),
  presets: { quick: { steps: 2 }, paper: { steps: 50 } },
  cost: ({ steps }) => steps * 0.01,
  async run(context) {
    const { config, statePath } = context
    let { step, value } = { step: 0, value: config.seed }
    if (context.resumed) {
      ;({ step, value } = JSON.parse(readFileSync(statePath, 'utf8')))
      context.resumeFrom(step)
    }
    context.log(`walking from ${step}`)
    context.log(`walking in process ${process.pid}`)
    while (step < config.steps) {
      step++
      value = (value * 31 + config.a * step) % 9973
      context.metric({ step, value, half: value / 2 })
      killHere(config, step, 'metric')
      writeFileSync(`${statePath}.new`, '{"step"')
      killHere(config, step, 'half')
      writeFileSync(`${statePath}.new`, JSON.stringify({ step, value }))
      renameSync(`${statePath}.new`, statePath)
      killHere(config, step, 'state')
      context.progress({ done: step, total: config.steps })
      if (config.mood === 'failing') fail('TL_NOT_FINITE', `step ${step}: the loss is NaN`)
      if (config.mood === 'throwing') throw new Error('a mistake\nin two lines')
      if (config.mood === 'dying') {
        process.stderr.write('out of luck\n')
        process.exit(7)
      }
      // dies by a signal from outside the first time only
      if (config.mood === 'unlucky' && !existsSync(`${context.folder}/survived`)) {
        appendFileSync(`${context.folder}/survived`, 'yes')
        process.kill(process.pid, 'SIGKILL')
      }
      await pause(config.pause)
      context.stopIfInterrupted()
    }
    killHere(config, step, 'end', true)
    return { value, scaled: value / 7, inner: { steps: step }, list: [1, 2], nothing: null }
  },
  summary: ({ config, result }) => ({
    headline: `ended at ${result.value}`,
    paragraph: `It ended at ${result.value}.`,
    verdicts: [
      { claim: 'even', measured: result.value, error: null, predicted: 100, pass: result.value % 2 === 0, control: false },
      { claim: 'has steps', measured: config.steps, error: 0.5, predicted: null, pass: true, control: true },
    ],
  }),
  figures: () => [],
})
