/**
 * @file The index of a folder of runs: what was read of each run, and how its folder looked then. It is a cache and nothing else:
 * it lies with the user's other caches, is believed only where the folder still looks the same, and made anew when it is
 * absent, damaged or another version's. Whoever lists runs replaces it whole; of several writers the last one wins.
 */
import { createHash } from 'node:crypto'
import { readFileSync, realpathSync } from 'node:fs'
import { join } from 'node:path'
import { defaultCacheDirectory } from '../../base/cacheFolder.ts'
import { writeAtomically } from '../../base/files.ts'
import { isObject, TreelineError } from '../../base/index.ts'
import type { RunRecord } from './record.ts'

/** Raised whenever entries mean something else than before. */
const format = 'treeline-runs/1'

/** How a run's folder looked when it was read: names in it come and go with its change time, a summary also with its own. */
export interface Look {
  readonly inode: number
  readonly changed: number
  readonly summary: number
}

/** A run that was read, by its path below the folder of runs. */
export interface Entry extends Look {
  readonly record: Omit<RunRecord, 'folder'>
}

export type Index = Map<string, Entry>

const digestOf = (text: string | Uint8Array): string => createHash('sha256').update(text).digest('hex')

/** Where the index of a folder of runs lies. */
const indexPath = (root: string): string =>
  join(defaultCacheDirectory(), 'runs', `${digestOf(realpathSync(root)).slice(0, 24)}.json`)

/** The entries in the bytes of an index; undefined when they are not whole, or those of another version. */
export function parseIndex(bytes: Uint8Array): Index | undefined {
  const end = bytes.indexOf(10)
  if (end < 0 || end > 200) return undefined
  const head = Buffer.from(bytes.subarray(0, end)).toString('utf8')
  const body = bytes.subarray(end + 1)
  if (head !== `${format} ${digestOf(body)}`) return undefined
  try {
    const entries = JSON.parse(Buffer.from(body).toString('utf8')) as unknown
    return isObject(entries)
      ? new Map(Object.entries(entries as unknown as Record<string, Entry>))
      : undefined
  } catch {
    return undefined
  }
}

/** What is remembered of a folder of runs; nothing where there is no index that can be believed. */
export function readIndex(root: string): Index {
  try {
    return parseIndex(readFileSync(indexPath(root))) ?? new Map()
  } catch {
    return new Map()
  }
}

/** Remember it. A cache that cannot be written costs time, and nothing else. */
export function writeIndex(root: string, index: Index): void {
  const body = Buffer.from(JSON.stringify(Object.fromEntries(index)))
  try {
    writeAtomically(indexPath(root), [Buffer.from(`${format} ${digestOf(body)}\n`), body])
  } catch (error) {
    if (!(error instanceof TreelineError)) throw error
  }
}
