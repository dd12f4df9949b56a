/** @file TALL masks and Consensus: which parameters a task needs, and which several tasks need. (arXiv 2405.07813) */
import { fail } from '../../../base/index.ts'
import { define, numberOf, type Ready } from './define.ts'
import { lambda, weight } from './parameters.ts'
import type { MergeMethod, ParameterSpec } from './types.ts'
import { addScaled, difference, f32, scaleInPlace } from './vectors.ts'

const source = 'Wang et al. 2024, arXiv 2405.07813'
const threshold: ParameterSpec = {
  name: 'threshold',
  type: 'number',
  default: 0.4,
  min: 0,
  doc: 'λₜ of the mask: larger keeps fewer parameters',
}
const optionalWeight: ParameterSpec = { ...weight, default: 1 }

/** The TALL mask of a task: mₜ = |τₜ| > λₜ |τ − τₜ|, 1 where the task needs the parameter; τ is the multi-task vector. */
export function tallMask(task: Float32Array, multiTask: Float32Array, ratio: number): Uint8Array {
  const by = f32(ratio)
  const mask = new Uint8Array(task.length)
  for (let i = 0; i < mask.length; i++)
    mask[i] = Math.abs(task[i]!) > f32(by * Math.abs(f32(multiTask[i]! - task[i]!))) ? 1 : 0
  return mask
}

/** τₜ of every model, and τ = Σ wₜ τₜ. */
function taskVectors({ base, models }: Ready): { tasks: Float32Array[]; multiTask: Float32Array } {
  const tasks = models.map(({ values }) => difference(values, base!))
  const multiTask = new Float32Array(base!.length)
  for (const [i, { parameters }] of models.entries())
    addScaled(multiTask, tasks[i]!, numberOf(parameters, 'weight'))
  return { tasks, multiTask }
}

const consensus = define({
  name: 'consensus',
  title: 'Consensus merging',
  source,
  needsBase: true,
  reach: 'element',
  global: [
    lambda,
    {
      name: 'min_tasks',
      type: 'integer',
      default: 2,
      min: 0,
      doc: 'keep what at least this many tasks need',
    },
  ],
  perModel: [optionalWeight, threshold],
  run(input) {
    const { tasks, multiTask } = taskVectors(input)
    const votes = new Uint16Array(multiTask.length)
    for (const [i, task] of tasks.entries()) {
      const mask = tallMask(task, multiTask, numberOf(input.models[i]!.parameters, 'threshold'))
      for (let j = 0; j < votes.length; j++) votes[j]! += mask[j]!
    }
    const least = numberOf(input.parameters, 'min_tasks')
    for (let i = 0; i < votes.length; i++) if (votes[i]! < least) multiTask[i] = 0
    scaleInPlace(multiTask, numberOf(input.parameters, 'lambda'))
    for (let i = 0; i < votes.length; i++) multiTask[i] = input.base![i]! + multiTask[i]!
    return multiTask
  },
})

const tall = define({
  name: 'tall_mask',
  title: 'TALL mask',
  source,
  needsBase: true,
  reach: 'element',
  global: [
    lambda,
    { name: 'task', type: 'integer', min: 1, doc: 'the model to localize, counted from 1 without the base' },
  ],
  perModel: [optionalWeight, threshold],
  run(input) {
    const task = numberOf(input.parameters, 'task')
    if (task > input.models.length)
      fail('TL_BAD_ARGUMENT', `tall_mask: task: expected 1 to ${input.models.length}, got ${task}`)
    const { tasks, multiTask } = taskVectors(input)
    const mask = tallMask(
      tasks[task - 1]!,
      multiTask,
      numberOf(input.models[task - 1]!.parameters, 'threshold'),
    )
    scaleInPlace(multiTask, numberOf(input.parameters, 'lambda'))
    const out = input.base!.slice()
    for (let i = 0; i < out.length; i++) if (mask[i]) out[i] = out[i]! + multiTask[i]!
    return out
  },
})

export const consensusMethods: readonly MergeMethod[] = [consensus, tall]
