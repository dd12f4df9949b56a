/** @file The per-user cache: where it is, what is in it, and temporary names that a killed process may leave behind. */
import { randomBytes } from 'node:crypto'
import { lstatSync, readdirSync, renameSync, rmSync, type Stats, statSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { defaultCacheDirectory } from '../base/cacheFolder.ts'
import { explainSystemError } from '../base/files.ts'
import {
  type DatasetSource,
  type DatasetTable,
  datasets,
  isText,
  packageOf,
  unpackedBytes,
} from './sources.ts'

function slug(source: DatasetSource): string {
  if (source.folder) return source.folder.slug
  const { name, version } = packageOf(source)
  return `${name.replace(/[^\w.-]/g, '_')}-${version}`
}

/** The folder of one set; it exists complete or not at all. */
export const datasetFolder = (cacheDir: string, source: DatasetSource): string =>
  join(cacheDir, 'datasets', slug(source))

/** State of a set's folder by the sizes of its files, which costs nothing. Contents are checked when they are loaded. */
type FolderState = { state: 'absent' | 'cached' } | { state: 'damaged'; reason: string }

export function folderState(folder: string, source: DatasetSource): FolderState {
  if (!statusOf(folder)) return { state: 'absent' }
  for (const [name, { bytes }] of Object.entries(source.files)) {
    const status = statusOf(join(folder, name))
    if (!status?.isFile()) return { state: 'damaged', reason: `${name} is missing` }
    if (status.size !== bytes)
      return { state: 'damaged', reason: `${name} has ${status.size} bytes, expected ${bytes}` }
  }
  return { state: 'cached' }
}

/** What cannot be looked at counts as absent; an attempt to fill it then says why. */
function statusOf(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false })
  } catch {
    return undefined
  }
}

/** What `treeline doctor` shows of one set. */
export type DatasetStatus = {
  name: string
  title: string
  state: FolderState['state']
  folder: string
  /** Bytes on disk when unpacked. */
  bytes: number
  /** Bytes of the download; 0 for a set that is taken from a folder. */
  downloadBytes: number
  /** Where users get a set that is taken from a folder. */
  where?: string
  /** What one may do with a text. */
  licence?: string
  /** What is wrong, when damaged. */
  reason?: string
}

/** All sets that can be fetched, and the cache they are in. Reads sizes only; never fails on an absent cache. */
export function datasetStatus(options: { cacheDir?: string; table?: DatasetTable } = {}): {
  cacheDir: string
  datasets: DatasetStatus[]
  /** Bytes of unfinished downloads, which the next `get` continues. */
  unfinishedBytes: number
} {
  const cacheDir = options.cacheDir ?? defaultCacheDirectory()
  const list = Object.entries(options.table ?? datasets).map(([name, source]) => {
    const folder = datasetFolder(cacheDir, source)
    const { title } = source
    const sizes = { bytes: unpackedBytes(source), downloadBytes: source.package?.bytes ?? 0 }
    const terms = isText(source) ? { licence: source.licence } : {}
    const origin = source.folder ? { where: source.folder.where } : {}
    return { name, title, folder, ...sizes, ...terms, ...origin, ...folderState(folder, source) }
  })
  const unfinishedBytes = temporaryEntries(cacheDir)
    .filter((name) => name.endsWith('.part'))
    .reduce(
      (sum, name) => sum + (lstatSync(join(cacheDir, 'tmp', name), { throwIfNoEntry: false })?.size ?? 0),
      0,
    )
  return { cacheDir, datasets: list, unfinishedBytes }
}

/** `part`: a tarball on its way. `unpack`: a folder being filled. `trash`: a damaged folder on its way out. */
type Kind = 'part' | 'unpack' | 'trash'

/** Names this process is using now; its own finished or failed ones may be taken over like a dead process's. */
const active = new Set<string>()

const host = hostname().replace(/[^\w-]/g, '_')
const ABANDONED_AFTER = 24 * 3600 * 1000

function temporaryEntries(cacheDir: string): string[] {
  try {
    return readdirSync(join(cacheDir, 'tmp'))
  } catch {
    return []
  }
}

/** A name below `tmp` that says whose it is: `<set>.<host>.<pid>.<random>.<kind>`. Call `release` when done with it. */
export function temporary(
  cacheDir: string,
  source: DatasetSource,
  kind: Kind,
): { path: string; release: () => void } {
  const path = join(
    cacheDir,
    'tmp',
    `${slug(source)}.${host}.${process.pid}.${randomBytes(4).toString('hex')}.${kind}`,
  )
  active.add(path)
  return { path, release: () => active.delete(path) }
}

/** Did the process that made this name die, or (on another machine) leave it for a day? */
function abandoned(path: string, entry: string): boolean {
  if (active.has(path)) return false
  const [owner, pid] = entry.split('.').slice(-4, -2)
  if (owner === host && pid) return Number(pid) === process.pid || !alive(Number(pid))
  const status = lstatSync(path, { throwIfNoEntry: false })
  return status !== undefined && Date.now() - status.mtimeMs > ABANDONED_AFTER
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** Remove a temporary file or folder; what cannot be removed now is tried again by the next fetch. */
export function discard(path: string): void {
  try {
    rmSync(path, { recursive: true, force: true })
  } catch {
    // The fetch itself went well or has its own message; neither should end in this one.
  }
}

/** Remove what killed processes left of this set, and take over the largest download among it, as `into`. */
export function takeOver(cacheDir: string, source: DatasetSource, into: string): void {
  const mine = temporaryEntries(cacheDir)
    .filter((entry) => entry.startsWith(`${slug(source)}.`))
    .map((entry) => ({ entry, path: join(cacheDir, 'tmp', entry) }))
    .filter(({ entry, path }) => abandoned(path, entry))
    .map(({ entry, path }) => ({ entry, path, status: lstatSync(path, { throwIfNoEntry: false }) }))
  const parts = mine
    .filter(({ entry, status }) => entry.endsWith('.part') && status?.isFile())
    .sort((a, b) => b.status!.size - a.status!.size)
  try {
    // Two processes may want the same one: renaming decides, the other starts from nothing.
    if (parts[0]) renameSync(parts[0].path, into)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') explainCacheError(error, cacheDir)
  }
  for (const { path } of mine) discard(path)
}

/** A system error while filling the cache, with what to do about it. */
export function explainCacheError(error: unknown, cacheDir: string): never {
  const { code } = error as NodeJS.ErrnoException
  const advice = ['ENOSPC', 'EDQUOT', 'EACCES', 'EPERM', 'EROFS', 'ENOTDIR'].includes(code ?? '')
  if (!advice) return explainSystemError(error, `cannot write to the cache ${cacheDir}`)
  const what: Record<string, string> = {
    ENOSPC: 'the disk is full',
    EDQUOT: 'the disk quota is used up',
    EROFS: 'the file system is read-only',
    ENOTDIR: 'a part of the path is a file',
  }
  const renamed = new Error(
    `${what[code!] ?? 'permission denied'}: ${code === 'ENOSPC' || code === 'EDQUOT' ? 'free some space or ' : ''}` +
      'set TREELINE_CACHE to a folder with room that you can write to',
    { cause: error },
  )
  return explainSystemError(renamed, `cannot write to the cache ${cacheDir}`)
}
