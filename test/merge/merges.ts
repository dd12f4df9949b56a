/** @file The fixture of mergekit's merges (make_merges.py) as inputs of our methods. */
import { readSafetensors } from '../../src/checkpoint/index.ts'
import { type MergeInput, mergeMethods, type Parameters } from '../../src/merge/index.ts'
import { random } from '../../src/tensor/index.ts'

export interface Config {
  merge_method: string
  base_model?: string
  models: { model: string; parameters?: Parameters }[]
  parameters?: Record<string, number | boolean | number[]>
}

const { tensors, metadata } = readSafetensors(
  new URL('../fixtures/merges.safetensors', import.meta.url).pathname,
)
export const { cases } = JSON.parse(metadata['fixture']!) as { cases: Record<string, Config> }

export const stored = (name: string): { shape: readonly number[]; values: Float32Array } => {
  const { shape, data } = tensors.get(name)!
  return { shape, values: data as Float32Array }
}

/** Names of the tensors of one model. */
export const names = [...tensors.keys()].filter((n) => n.startsWith('input/base/')).map((n) => n.slice(11))

/**
 * The input of one tensor, as mergekit's planner gives it: the base apart or, where a method has no use for one, among
 * the models. `value` gives the number of a gradient list for this tensor.
 */
export function inputOf(
  config: Config,
  name: string,
  value = (list: readonly number[]): number => list[0]!,
): MergeInput {
  const method = mergeMethods[config.merge_method]!
  const listed = config.models.map(({ model, parameters = {} }) => ({ model, parameters }))
  const base = config.base_model
  if (base && method.needsBase === false && !listed.some(({ model }) => model === base))
    listed.push({ model: base, parameters: {} })
  const models = method.needsBase === false ? listed : listed.filter(({ model }) => model !== base)
  return {
    name,
    shape: stored(`input/a/${name}`).shape,
    base: base ? stored(`input/${base}/${name}`).values : undefined,
    models: models.map(({ model, parameters }) => ({
      values: stored(`input/${model}/${name}`).values,
      parameters,
    })),
    parameters: Object.fromEntries(
      Object.entries(config.parameters ?? {}).map(([k, v]) => [k, Array.isArray(v) ? value(v) : v]),
    ),
    key: random.key(1),
  }
}

export interface Agreement {
  /** Largest difference, relative to the largest magnitude of its tensor. */
  worst: number
  /** Elements that are not bit for bit the same. */
  different: number
}

/** How our tensors compare with those that mergekit wrote for a case. */
export function compare(id: string, ours: (name: string) => Float32Array): Agreement {
  const agreement = { worst: 0, different: 0 }
  for (const name of names) {
    const got = ours(name)
    const { values: wanted } = stored(`${id}/${name}`)
    const top = wanted.reduce((t, x) => Math.max(t, Math.abs(x)), 0)
    for (const [i, x] of wanted.entries()) {
      agreement.worst = Math.max(agreement.worst, Math.abs(got[i]! - x) / top)
      if (got[i] !== x) agreement.different++
    }
  }
  return agreement
}
