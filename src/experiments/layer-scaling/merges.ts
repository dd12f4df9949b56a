/** @file Merges of all tasks by several methods, plain and scaled by depth, β and λ chosen on validation pictures. */
import type { Parameters } from '../../merge/index.ts'
import { random } from '../../tensor/index.ts'
import { mergedWeights, type Weights } from '../merging/tensors.ts'
import type { Split } from '../tasks/family.ts'
import type { MethodName } from './config.ts'
import type { MergeRow, TaskRow } from './rows.ts'
import { alphaByNorms, factorsOf, type Scheme, scaled, schemes } from './schedules.ts'
import { accuracyOf, controlOf, type Site } from './site.ts'

/** The largest β and λ that are tried. (Wang et al. 2025: to 1, with TIES to 1.5) */
const most: Readonly<Record<MethodName, number>> = {
  task_arithmetic: 1,
  ties_global: 1.5,
  consensus: 1,
  isotropic: 1.5,
}

const perModel: Readonly<Record<MethodName, Parameters>> = {
  task_arithmetic: { weight: 1 },
  ties_global: { density: 0.2 },
  consensus: { threshold: 0.4 },
  isotropic: {},
}

interface Candidate {
  readonly alpha: number
  readonly beta: number
}

/** What is tried with a schedule: λ of the plain merge, β of the others. */
function candidates(scheme: Scheme, method: MethodName, alpha: number, points: number): Candidate[] {
  const grid = Array.from({ length: points + 1 }, (_, i) => (i * most[method]) / points)
  if (scheme !== 'plain') return grid.map((beta) => ({ alpha, beta }))
  return [...grid.slice(1), alpha].map((lambda) => ({ alpha: lambda, beta: 0 }))
}

/** Accuracy on every task as a share of what its own model has. */
async function sharesOf(
  site: Site,
  weights: Weights,
  own: ReadonlyMap<string, number>,
  split: Split,
): Promise<{ task: string; share: number; accuracy: number }[]> {
  const found: { task: string; share: number; accuracy: number }[] = []
  for (const task of site.family.tasks) {
    const accuracy = await accuracyOf(site, weights, task, split)
    found.push({ task: task.name, accuracy, share: accuracy / Math.max(own.get(task.name)!, 1e-9) })
  }
  return found
}

const meanOf = (values: readonly number[]): number => values.reduce((sum, v) => sum + v, 0) / values.length

/** One method with one schedule. */
async function schemeRows(
  site: Site,
  {
    method,
    scheme,
    merged,
    alpha,
    own,
  }: {
    readonly method: MethodName
    readonly scheme: Scheme
    readonly merged: Weights
    readonly alpha: number
    readonly own: Readonly<Record<'validation' | 'test', ReadonlyMap<string, number>>>
  },
): Promise<(MergeRow | TaskRow)[]> {
  const { base, config, key } = site
  const made = candidates(scheme, method, alpha, config.points).map((one) => ({
    ...one,
    weights: scaled(
      base,
      merged,
      factorsOf(scheme, [...base.keys()], { ...one, key: random.foldIn(key, 400) }),
    ),
  }))
  const judged: (Candidate & { weights: Weights; validation: number })[] = []
  for (const one of made) {
    const shares = await sharesOf(site, one.weights, own.validation, 'validation')
    judged.push({ ...one, validation: meanOf(shares.map(({ share }) => share)) })
  }
  const best = judged.reduce((a, b) => (b.validation > a.validation ? b : a))
  const tested = await sharesOf(site, best.weights, own.test, 'test')
  const control = await controlOf(site, best.weights, 'test')
  return [
    ...judged.map(
      (one): MergeRow => ({
        ...{ of: 'merge', method, scheme, alpha: one.alpha, beta: one.beta, validation: one.validation },
        isChosen: one === best,
        test: one === best ? meanOf(tested.map(({ share }) => share)) : null,
        absolute: one === best ? meanOf(tested.map(({ accuracy }) => accuracy)) : null,
        control: one === best ? control : null,
      }),
    ),
    ...tested.map(({ task, share }): TaskRow => ({ of: 'task', method, scheme, task, share })),
  ]
}

export async function mergeRows(
  site: Site,
  models: ReadonlyMap<string, Weights>,
): Promise<(MergeRow | TaskRow)[]> {
  const { base, shapes, config, family, key, did } = site
  const list = family.tasks.map(({ name }) => models.get(name)!)
  const ownOn = async (split: 'validation' | 'test'): Promise<Map<string, number>> => {
    const found = new Map<string, number>()
    for (const task of family.tasks)
      found.set(task.name, await accuracyOf(site, models.get(task.name)!, task, split))
    return found
  }
  const own = { validation: await ownOn('validation'), test: await ownOn('test') }
  const rows: (MergeRow | TaskRow)[] = []
  for (const method of config.methods) {
    const merged = mergedWeights({
      ...{ method, base, shapes, key },
      models: list.map((weights) => ({ weights, parameters: perModel[method] })),
    })
    const alpha = alphaByNorms(base, list, merged)
    for (const scheme of schemes) {
      rows.push(...(await schemeRows(site, { method, scheme, merged, alpha, own })))
      did(`${method}, ${scheme}`)
    }
  }
  return rows
}
