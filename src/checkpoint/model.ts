/**
 * @file From what a user calls a model to its files: a weight file, a model's folder, the folder of a hub's cache, or
 * `BASE+ADAPTER`. Every command goes through here, so a path that is none of these is explained in the same words.
 */
import { lstatSync, readdirSync, readFileSync, readlinkSync, type Stats, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { explainSystemError } from '../base/files.ts'
import { fail } from '../base/index.ts'
import { adapted, isAdapterFolder } from './adapter/index.ts'
import type { Checkpoint } from './checkpoint.ts'
import { quoted } from './header.ts'
import { openCheckpoint as openPath } from './open.ts'
import { readJson } from './safetensorsCheckpoint.ts'

/** Where a model is. */
export interface ModelPlace {
  /** A weight file or a folder; configuration and tokenizer are there. */
  readonly path: string
  /** The folder of an adapter that is applied to it. */
  readonly adapter?: string
}

const status = (path: string): Stats | undefined => {
  try {
    return statSync(path, { throwIfNoEntry: false })
  } catch (error) {
    return explainSystemError(error, `cannot read ${path}`)
  }
}

/** Where a link leads that leads nowhere. */
function brokenLink(path: string): string | undefined {
  const link = lstatSync(path, { throwIfNoEntry: false })
  if (!link?.isSymbolicLink() || statSync(path, { throwIfNoEntry: false })) return undefined
  return readlinkSync(path)
}

const ownFiles =
  /^(config|generation_config|tokenizer|tokenizer_config|model\.safetensors\.index)\.json$|^(model|pytorch_model)(-\d+-of-\d+)?\.(safetensors|bin)$|\.gguf$/

function refuseBrokenLinks(folder: string): void {
  for (const name of readdirSync(folder).filter((one) => ownFiles.test(one))) {
    const target = brokenLink(join(folder, name))
    if (target !== undefined)
      fail(
        'TL_IO',
        `${join(folder, name)}: a link to nothing (${target}): download the model again, or mend the link`,
      )
  }
}

/** The snapshot in the folder of a model in a hub's cache, `models--OWNER--NAME`. */
function snapshotOf(folder: string): string {
  const snapshots = join(folder, 'snapshots')
  const names = status(snapshots)?.isDirectory() ? readdirSync(snapshots).sort() : []
  const main = join(folder, 'refs', 'main')
  const wanted = status(main)?.isFile() ? readFileSync(main, 'utf8').trim() : undefined
  const name = wanted !== undefined && names.includes(wanted) ? wanted : names[0]
  if (name === undefined)
    return fail(
      'TL_IO',
      `${folder}: the folder of a hub's cache without a snapshot: download the model first`,
    )
  if (names.length > 1 && name !== wanted)
    return fail(
      'TL_IO',
      `${folder}: the folder of a hub's cache with ${names.length} snapshots: name one, such as ${join(snapshots, name)}`,
    )
  return join(snapshots, name)
}

/** A path that exists, with a folder of a hub's cache as its snapshot. */
function existing(path: string): string {
  const isFolder = status(path)?.isDirectory() === true
  const folder =
    isFolder && /^models--.+/.test(basename(path)) && status(join(path, 'snapshots'))
      ? snapshotOf(path)
      : path
  if (isFolder) refuseBrokenLinks(folder)
  return folder
}

/** `owner/name` on a hub, perhaps with `@revision`; nothing of it is a path here. */
const isHubName = (path: string): boolean =>
  /^[A-Za-z0-9][\w.-]*\/[A-Za-z0-9][\w.-]*(@[\w./-]+)?$/.test(path) && !status(dirname(path))

/** Say what a path that does not exist may have been meant for. */
function refuseMissing(path: string): never {
  const target = brokenLink(path)
  if (target !== undefined)
    fail('TL_IO', `${path}: a link to nothing (${target}): mend the link, or name the model itself`)
  if (isHubName(path))
    fail(
      'TL_IO',
      `${path}: looks like a name on a model hub: models are folders on this machine, and nothing is downloaded; download it first and name its folder`,
    )
  return fail('TL_IO', `cannot read ${path}: no such file or folder: check the path`)
}

/** The two halves of `BASE+ADAPTER`; the plus may also stand in a name. */
function split(path: string): readonly [string, string] | undefined {
  const places = [...path.matchAll(/\+/g)].map(({ index }) => index)
  const halves = places.map((at) => [path.slice(0, at), path.slice(at + 1)] as const)
  const both = halves.find(
    ([base, adapter]) => base !== '' && adapter !== '' && status(base) && status(adapter),
  )
  if (both) return both
  const [only] = halves
  if (!only || only[0] === '' || only[1] === '') return undefined
  const missing = only.find((half) => !status(half))!
  if (isHubName(missing)) return refuseMissing(missing)
  return fail('TL_IO', `cannot read ${missing} (of ${path}): no such file or folder: check the path`)
}

/** Find a model. Throws `TL_IO` where there is none, saying what the path may have been meant for. */
export function resolveModel(path: string): ModelPlace {
  if (status(path)) return { path: existing(path) }
  const halves = split(path)
  if (!halves) return refuseMissing(path)
  const [base, adapter] = halves.map(existing) as [string, string]
  if (!isAdapterFolder(adapter))
    fail(
      'TL_BAD_FILE',
      `${path}: ${adapter} has no adapter_config.json: expected the folder of an adapter after the plus`,
    )
  return { path: base, adapter }
}

/** The files that a model's numbers and tokens come from: its path, and that of its adapter. */
export const modelPaths = (path: string): string[] => {
  const { path: base, adapter } = resolveModel(path)
  return adapter === undefined ? [base] : [base, adapter]
}

/** Where a model's configuration and tokenizer are: its folder, or its file. */
export const companionsOf = (path: string): string => resolveModel(path).path

function refuseAdapter(path: string): void {
  const config = readJson(join(path, 'adapter_config.json'), 10_000_000) as Record<string, unknown> | null
  const named = config?.['base_model_name_or_path']
  const base = typeof named === 'string' && named !== '' && status(named) ? named : 'BASE'
  const said =
    typeof named === 'string' && named !== '' && base === 'BASE' ? `, trained on ${quoted(named)}` : ''
  fail(
    'TL_UNSUPPORTED',
    `${path}: an adapter and not a whole model${said}: name it with its base as ${base}+${path}, or make a model of both: \`treeline vector apply ${base} ${path} OUT\``,
  )
}

const weightFile = /^(model|pytorch_model)\b.*\.(safetensors|bin|json)$/

/**
 * Open a model or a weight file: safetensors, shards with an index, GGUF, PyTorch, .npz, .npy; the folder of a hub's cache; or
 * BASE+ADAPTER, with the adapter applied. Only headers are read. Throws `TL_IO`, `TL_BAD_FILE`, `TL_UNSUPPORTED`; the message
 * says what was found.
 */
export function openCheckpoint(path: string): Checkpoint {
  const place = resolveModel(path)
  if (
    status(place.path)?.isDirectory() &&
    isAdapterFolder(place.path) &&
    !readdirSync(place.path).some((name) => weightFile.test(name))
  )
    refuseAdapter(place.path)
  const base = openPath(place.path)
  if (place.adapter === undefined) return base
  try {
    return adapted(base, place.adapter, path)
  } catch (error) {
    base.close()
    throw error
  }
}
