/**
 * @file The manifest of a merge, `treeline-merge.json`: the recipe with everything that decides its bytes, and the SHA-256 of
 * what went in and came out. Whoever has the same inputs makes the same bytes from it.
 */
import { existsSync, readdirSync } from 'node:fs'
import { basename, join, relative } from 'node:path'
import { type FileHash, hashTask } from '../../base/hashFile.ts'
import { fail, isObject, prettyJson } from '../../base/index.ts'
import { statusOf } from '../../base/outputs.ts'
import { readJson } from '../../base/read.ts'
import { packageVersion } from '../../base/version.ts'
import type { Workers } from '../../base/workers.ts'
import { inputFiles, modelPaths } from '../../checkpoint/index.ts'
import type { MergeConfig } from '../config/index.ts'
import type { Parameters } from '../methods/index.ts'
import { type MergePlan, modelsOf, type PlannedInput, type PlannedTensor } from '../plan/index.ts'
import { manifestFormat as format, type Manifest, type ManifestFile } from './manifestFormat.ts'
import { type MergeOptions, settingsOf } from './options.ts'

/** The name of the file. */
export const manifestName = 'treeline-merge.json'

const inputsOf = ({ base, models }: PlannedTensor): readonly PlannedInput[] =>
  base ? [base, ...models] : models

const isNotEmpty = (parameters: Parameters): boolean => Object.keys(parameters).length > 0

/** A tensor of the plan, without what a reader can do without: inputs of its own name, parameters where there are none. */
function plannedLine(tensor: PlannedTensor, factor: number | undefined): object {
  const { name, shape, dtype, action, parameters } = tensor
  return {
    name,
    dtype,
    shape,
    action,
    ...(isNotEmpty(parameters) ? { parameters } : {}),
    ...(factor === undefined ? {} : { factor }),
    inputs: inputsOf(tensor).map((input) => ({
      model: input.model,
      ...(input.tensor === name ? {} : { tensor: input.tensor }),
      ...(isNotEmpty(input.parameters) ? { parameters: input.parameters } : {}),
    })),
  }
}

/** Names of files that a merge may read, in a folder. */
const isRead = (name: string): boolean =>
  /\.(safetensors|json|gguf|bin|pt|pth|npz|jinja|txt|model)$/.test(name) && name !== manifestName

/** The files of a model, with the names by which the manifest knows them. */
function filesOf(model: string, plan: MergePlan): { name: string; path: string }[] {
  const folders = modelPaths(model)
  const name = (path: string): string => {
    const folder = folders.find(
      (one) => statusOf(one)?.isDirectory() && !relative(one, path).startsWith('..'),
    )
    // an adapter has files of the same names as its base
    const before = folder !== undefined && folder !== folders[0] ? `${basename(folder)}/` : ''
    return folder === undefined ? basename(path) : `${before}${relative(folder, path)}`
  }
  const beside = inputFiles(model).flatMap((path) =>
    statusOf(path)?.isDirectory()
      ? readdirSync(path)
          .filter(isRead)
          .map((one) => join(path, one))
      : [path],
  )
  const weights = plan.tensors.flatMap((tensor) =>
    inputsOf(tensor).flatMap((input) => (input.model === model && input.stored ? [input.stored.path] : [])),
  )
  // of several weight files of a folder only one is read: where places are known, by them
  const known = new Set(weights)
  const isOther = (path: string): boolean =>
    known.size > 0 &&
    !known.has(path) &&
    folders.length === 1 &&
    /\.(safetensors|gguf|bin|pt|pth|npz)$/.test(path)
  const paths = [...new Set([...beside, ...weights])].filter(
    (path) => statusOf(path)?.isFile() && !isOther(path),
  )
  return paths.sort().map((path) => ({ name: name(path), path }))
}

/** Hash files on the workers, the largest first; results in the order of the paths. */
async function hashAll(
  workers: Workers,
  paths: readonly string[],
  signal: AbortSignal | undefined,
): Promise<FileHash[]> {
  const order = paths.map((_, i) => i).sort((a, b) => statusOf(paths[b]!)!.size - statusOf(paths[a]!)!.size)
  const hashes = await workers.map<string, FileHash>(
    hashTask,
    order.map((i) => paths[i]!),
    signal ? { signal } : {},
  )
  return paths.map((_, i) => hashes[order.indexOf(i)]!)
}

/** Hash the inputs of a plan. */
export async function hashInputs(
  workers: Workers,
  config: MergeConfig,
  plan: MergePlan,
  signal?: AbortSignal,
): Promise<Manifest['inputs']> {
  const models = modelsOf(config).map((model) => ({ model, files: filesOf(model, plan) }))
  const hashes = await hashAll(
    workers,
    models.flatMap(({ files }) => files.map(({ path }) => path)),
    signal,
  )
  let at = 0
  return models.map(({ model, files }) => ({
    model,
    files: files.map(({ name }) => ({ name, ...hashes[at++]! })),
  }))
}

/** The inputs as the manifest of a merge has them, unless none is wanted; a repeated merge has checked them. */
export async function inputsForManifest(
  workers: Workers,
  config: MergeConfig,
  plan: MergePlan,
  { manifest = true, replay, signal, onProgress }: MergeOptions,
): Promise<Manifest['inputs'] | undefined> {
  if (!manifest) return undefined
  onProgress?.({ done: 1, total: 1, phase: 'hash' })
  return replay?.inputs ?? (await hashInputs(workers, config, plan, signal))
}

/**
 * Hash the files of the output `out`; its card is named after the folder and no part of the result. Throws TL_CHECKSUM when
 * the merge repeats another that had other files.
 */
export async function hashOutputs(
  workers: Workers,
  out: string,
  paths: readonly string[],
  { signal, replay }: MergeOptions,
): Promise<ManifestFile[]> {
  const own = paths
    .filter((path) => basename(path) !== 'README.md')
    // an earlier run may have given a file its name already
    .map((path) => (existsSync(path) ? path : join(out, basename(path))))
  const hashes = await hashAll(workers, own, signal)
  const outputs = own.map((path, i) => ({ name: basename(path), ...hashes[i]! }))
  if (replay) requireOutputs(replay, outputs)
  return outputs
}

/** What a merge has to say of itself. */
interface Made extends Pick<Manifest, 'inputs' | 'outputs' | 'bytesRead'> {
  readonly lines: { readonly alpha: number; readonly beta: number } | undefined
  readonly factors: ReadonlyMap<string, number> | undefined
}

/** The text of the manifest. */
export function manifestText(
  { path, text }: MergeConfig,
  plan: MergePlan,
  options: MergeOptions,
  { inputs, outputs, bytesRead, lines, factors }: Made,
): string {
  const manifest: Manifest = {
    format,
    versions: { treeline: packageVersion() },
    recipe: { path, text },
    settings: settingsOf(options),
    inputs,
    bytesRead,
    plan: {
      method: plan.method,
      ...(lines ? { lines } : {}),
      tensors: plan.tensors.map((tensor) => plannedLine(tensor, factors?.get(tensor.name))),
    },
    outputs,
  }
  return prettyJson(manifest)
}

const isFile = (value: unknown): boolean =>
  isObject(value) &&
  typeof value['name'] === 'string' &&
  Number.isInteger(value['bytes']) &&
  typeof value['sha256'] === 'string'

const areFiles = (value: unknown): boolean => Array.isArray(value) && value.every(isFile)

/** Read a manifest. Throws TL_IO, TL_BAD_FILE naming what is missing. */
export function readManifest(path: string): Manifest {
  const value = readJson(path)
  const refuse = (what: string): never =>
    fail(
      'TL_BAD_FILE',
      `${path}: no manifest of a merge: ${what}; expected the ${manifestName} of a merged model`,
    )
  if (!isObject(value) || value['format'] !== format) return refuse(`format is not ${format}`)
  const { recipe, settings, inputs, outputs, versions } = value
  if (!isObject(versions) || typeof versions['treeline'] !== 'string') return refuse('versions')
  if (!isObject(recipe) || typeof recipe['text'] !== 'string' || typeof recipe['path'] !== 'string')
    return refuse('recipe')
  const isSettings =
    isObject(settings) &&
    Number.isInteger(settings['seed']) &&
    typeof settings['lenient'] === 'boolean' &&
    typeof settings['shardSize'] === 'number' &&
    settings['shardSize'] >= 1 &&
    (settings['arithmetic'] === 'float32' || settings['arithmetic'] === 'dtype')
  if (!isSettings) return refuse('settings')
  const areInputs =
    Array.isArray(inputs) &&
    inputs.every((one) => isObject(one) && typeof one['model'] === 'string' && areFiles(one['files']))
  if (!areInputs) return refuse('inputs')
  return areFiles(outputs) ? (value as unknown as Manifest) : refuse('outputs')
}

const short = (hash: string): string => hash.slice(0, 12)

function differences(known: readonly ManifestFile[], found: readonly ManifestFile[]): string[] {
  const now = new Map(found.map((file) => [file.name, file]))
  const before = new Set(known.map(({ name }) => name))
  return [
    ...known.flatMap(({ name, sha256 }) => {
      const own = now.get(name)
      if (!own) return [`${name} is gone`]
      return own.sha256 === sha256
        ? []
        : [`${name} (SHA-256 ${short(own.sha256)}…, expected ${short(sha256)}…)`]
    }),
    ...found.flatMap(({ name }) => (before.has(name) ? [] : [`${name} is new`])),
  ]
}

/** Throws TL_CHECKSUM naming the inputs that are not those of the manifest. */
export function requireInputs({ inputs }: Manifest, found: Manifest['inputs']): void {
  const odd = inputs.flatMap(({ model, files }) => {
    const own = found.find((one) => one.model === model)
    const list = differences(files, own?.files ?? [])
    return list.length > 0 ? [`${model}: ${list.join(', ')}`] : []
  })
  if (odd.length > 0)
    fail('TL_CHECKSUM', `the inputs have changed since the manifest was made: ${odd.join('; ')}`)
}

/** Throws TL_CHECKSUM when the output is not that of the manifest. */
function requireOutputs({ outputs, versions }: Manifest, found: readonly ManifestFile[]): void {
  const odd = differences(outputs, found)
  if (odd.length > 0)
    fail(
      'TL_CHECKSUM',
      `the output is not that of the manifest, which Treeline ${versions.treeline} made (this is ${packageVersion()}): ${odd.join(', ')}`,
    )
}
