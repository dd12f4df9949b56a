/** @file TALL masks and Consensus: which parameters a task needs, and which several tasks need. (arXiv 2405.07813) */
import { type Arithmetic, above, abs, atLeast, constant, keep, type Vector, where } from '../vector/index.ts'
import { define, numberOf } from './define.ts'
import { lambda, weight } from './parameters.ts'
import type { LazyInput, MergeMethod, ParameterSpec } from './types.ts'
import { f32 } from './vectors.ts'

const source = 'Wang et al. 2024, arXiv 2405.07813'
const threshold: ParameterSpec = {
  name: 'threshold',
  type: 'number',
  default: 0.4,
  min: 0,
  doc: 'λₜ of the mask: larger keeps fewer parameters',
}
const optionalWeight: ParameterSpec = { ...weight, default: 1 }

/** The TALL mask of a task: mₜ = |τₜ| > λₜ |τ − τₜ|, set where the task needs the parameter; τ is the multi-task vector. */
const maskOf = ({ subtract, multiply }: Arithmetic, task: Vector, multiTask: Vector, ratio: number): Vector =>
  above(abs(task), multiply(abs(subtract(multiTask, task)), ratio))

/** The same for vectors in memory: 1 where the task needs the parameter. */
export function tallMask(task: Float32Array, multiTask: Float32Array, ratio: number): Uint8Array {
  const by = f32(ratio)
  return Uint8Array.from(task, (x, i) => (Math.abs(x) > f32(by * Math.abs(f32(multiTask[i]! - x))) ? 1 : 0))
}

/** τₜ of every model, and τ = Σ wₜ τₜ. */
function taskVectors({ base, models, arithmetic }: LazyInput): { tasks: Vector[]; multiTask: Vector } {
  const tasks = models.map(({ values }) => arithmetic.subtract(values, base!))
  const weighted = models.map(({ parameters }, i) =>
    arithmetic.multiply(tasks[i]!, arithmetic.number(numberOf(parameters, 'weight'))),
  )
  return { tasks, multiTask: arithmetic.total(weighted) }
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
    const { arithmetic, models, parameters, base } = input
    const votes = models.map((model, i) =>
      keep(1, maskOf(arithmetic, tasks[i]!, multiTask, numberOf(model.parameters, 'threshold'))),
    )
    const enough = atLeast(votes.reduce(arithmetic.add, constant(0)), numberOf(parameters, 'min_tasks'))
    const mixed = arithmetic.multiply(keep(multiTask, enough), numberOf(parameters, 'lambda'))
    return arithmetic.add(base!, mixed)
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
  check({ parameters, perModel }) {
    const task = numberOf(parameters, 'task')
    return task > perModel.length ? `task: expected 1 to ${perModel.length}, got ${task}` : undefined
  },
  run(input) {
    const task = numberOf(input.parameters, 'task')
    const { tasks, multiTask } = taskVectors(input)
    const { arithmetic, base, models, parameters } = input
    const ratio = numberOf(models[task - 1]!.parameters, 'threshold')
    const mask = maskOf(arithmetic, tasks[task - 1]!, multiTask, ratio)
    const mixed = arithmetic.multiply(multiTask, numberOf(parameters, 'lambda'))
    return where(mask, arithmetic.add(base!, mixed), base!)
  },
})

export const consensusMethods: readonly MergeMethod[] = [consensus, tall]
