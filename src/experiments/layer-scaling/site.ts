/** @file Where one replica is measured: the family, its pretrained weights, fine-tuned models that are kept, and what models are worth. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fail } from '../../base/index.ts'
import { loadParameters, type Parameters, saveParameters } from '../../nn/index.ts'
import { entries, random, Tensor, type Tree, tensor, unflatten } from '../../tensor/index.ts'
import type { Weights } from '../merging/tensors.ts'
import type { Batch, Split, Task, TaskFamily } from '../tasks/family.ts'
import { type FineTuneOptions, fineTune } from '../tasks/fineTune.ts'
import { type Measures, type Reading, scoreOf } from '../tasks/measure.ts'
import type { Config } from './config.ts'

export interface Site {
  readonly config: Config
  readonly family: TaskFamily
  readonly measures: Measures
  /** Of the replica. */
  readonly key: random.Key
  /** Fine-tuned models are kept here. */
  readonly folder: string
  readonly base: Weights
  readonly shapes: ReadonlyMap<string, readonly number[]>
  readonly threads: number
  readonly signal: AbortSignal
  readonly did: (what: string) => void
}

const leavesOf = (parameters: Parameters): [string, Tensor][] => entries(parameters as Tree<Tensor>)

export const weightsOf = (parameters: Parameters): Weights =>
  new Map(leavesOf(parameters).map(([name, t]) => [name, t.data as Float32Array]))

export const shapesOf = (parameters: Parameters): Map<string, readonly number[]> =>
  new Map(leavesOf(parameters).map(([name, { shape }]) => [name, shape]))

/** As the encoder takes them. */
const treeOf = ({ family, shapes }: Site, weights: Weights): Parameters =>
  unflatten(
    family.pretrained as Tree<Tensor>,
    leavesOf(family.pretrained).map(([name]) => tensor(weights.get(name)!, { shape: shapes.get(name)! })),
  ) as Parameters

/** A model fine-tuned on a task; read where an earlier part of the run has kept it. */
export async function tuned(
  site: Site,
  task: Task,
  name: string,
  use: number,
  how: Partial<Pick<FineTuneOptions, 'learningRate' | 'steps' | 'objective' | 'start'>> = {},
): Promise<Weights> {
  const { config, family, key, folder, threads, signal, did } = site
  const path = join(folder, `${name.replaceAll(/[^\w-]+/g, '-')}.safetensors`)
  if (existsSync(path)) return weightsOf(loadParameters(path, family.pretrained))
  const { steps, batchSize, learningRate } = config
  const parameters = await fineTune(family, task, {
    ...{ training: 'nonlinear', start: family.pretrained, steps, batchSize, learningRate },
    ...{ key: random.foldIn(key, use), threads, signal, ...how },
  })
  saveParameters(path, parameters)
  did(name)
  return weightsOf(parameters)
}

/** The same model from weights that a later fine-tuning begins with. */
export const startOf = treeOf

async function readingOf(site: Site, weights: Weights, task: Task, split: Split): Promise<Reading> {
  if (site.signal.aborted) fail('TL_INTERRUPTED', 'interrupted')
  const { measures } = site
  return measures.read(task, await measures.features(treeOf(site, weights), task, split))
}

export const accuracyOf = async (site: Site, weights: Weights, task: Task, split: Split): Promise<number> =>
  (await readingOf(site, weights, task, split)).accuracy

/** What the control keeps. */
export const controlOf = async (site: Site, weights: Weights, split: Split): Promise<number> =>
  scoreOf(await readingOf(site, weights, site.family.control, split), site.family.control.score)

/** A task whose inputs are disturbed by Gaussian noise; undefined where inputs are not one tensor of numbers. */
export function shifted(task: Task, noise: number, key: random.Key): Task | undefined {
  const first = task.batches('test', [[0]])(0).inputs
  if (!(first instanceof Tensor) || first.dtype !== 'f32') return undefined
  return {
    ...task,
    batches(split, groups) {
      const plain = task.batches(split, groups)
      return (index): Batch => {
        const batch = plain(index)
        const x = batch.inputs as Tensor
        const draws = random.sampleNormal(random.foldIn(key, index), x.size)
        const values = Float32Array.from(x.data as Float32Array, (v, i) => v + noise * draws[i]!)
        return { ...batch, inputs: tensor(values, { shape: x.shape }) }
      }
    },
  }
}
