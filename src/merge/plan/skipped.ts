/** @file Tensors that a merge leaves as the base has them: vision towers, prediction heads, whatever `skip` names. */
import { fail } from '../../base/index.ts'
import { type StoredDtype, storedDtypes } from '../../checkpoint/index.ts'
import { isSkippedBy, type MergeConfig } from '../config/index.ts'
import type { Wanted } from './groups.ts'
import { type Headers, storedAt } from './stacks.ts'
import type { PlannedTensor } from './types.ts'

/** Does `skip` name a tensor? */
export const isSkipped = ({ skip }: MergeConfig, name: string): boolean =>
  skip.some((pattern) => isSkippedBy(pattern, name))

/** Do slices move layers? Then names of the output are not those of the models. */
const movesLayers = ({ modules }: MergeConfig): boolean =>
  modules.some(({ slices }) => slices.some(({ sources }) => sources.some(({ layers }) => layers)))

/** The models' tensors without those that are skipped, so that a model may lack a tower or have another. */
export function withoutSkipped(
  config: MergeConfig,
  heads: ReadonlyMap<string, Headers>,
): ReadonlyMap<string, Headers> {
  if (config.skip.length === 0 || movesLayers(config)) return heads
  const rest = (headers: Headers): Headers =>
    new Map([...headers].filter(([name]) => !isSkipped(config, name)))
  return new Map([...heads].map(([model, headers]) => [model, rest(headers)]))
}

/** The tensors that the base has and the merge skips, by their own names. */
export function skippedOfBase(config: MergeConfig, heads: ReadonlyMap<string, Headers>): Wanted[] {
  if (config.skip.length === 0 || movesLayers(config)) return []
  const model = config.baseModel ?? config.models[0]!
  const source = { model, parameters: new Map(), where: config.path }
  const names = [...heads.get(model)!.keys()].filter((name) => isSkipped(config, name))
  return names.map((name) => ({
    name,
    inputs: [{ source, tensor: name }],
    base: model,
    t: 0,
    settings: [],
  }))
}

/** A skipped tensor: the bytes of the base, in its type; none where the base lacks it. */
export function skippedTensor(
  wanted: Wanted,
  config: MergeConfig,
  heads: ReadonlyMap<string, Headers>,
): PlannedTensor[] {
  const base = wanted.base ?? config.models[0]!
  const { source, tensor } = wanted.inputs.find((one) => one.source.model === base) ?? wanted.inputs[0]!
  const header = heads.get(source.model)!.get(tensor)
  if (!header) return []
  const isStored = storedDtypes.includes(header.dtype as StoredDtype)
  const dtype = isStored ? header.dtype : (config.dtype ?? 'F32')
  const planned: PlannedTensor = {
    name: wanted.name,
    shape: header.shape,
    dtype,
    compute: dtype,
    action: 'copy',
    models: [{ model: source.model, tensor: header.name ?? tensor, ...storedAt(header), parameters: {} }],
    parameters: {},
    reach: 'tensor',
    ...(wanted.depth ? { depth: wanted.depth } : {}),
  }
  return [planned]
}

/** Throws for a table of tokens that is to stay while the tokens change. */
export function refuseTable(name: string): never {
  return fail(
    'TL_BAD_CONFIG',
    `${name}: skip leaves it as the base has it, and the tokenizer asks for other rows; leave out one of the two`,
  )
}

/** Patterns that occur in no tensor's name. */
export const unusedSkips = ({ skip }: MergeConfig, names: readonly string[]): string[] =>
  skip
    .filter((pattern) => !names.some((name) => isSkippedBy(pattern, name)))
    .map(({ pattern, where }) => `${where}: skip: "${pattern}" occurs in no tensor's name`)
