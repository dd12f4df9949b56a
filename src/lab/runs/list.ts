/** @file All runs below some folders, at work or not, in a fraction of the time that reading them takes. */
import { existsSync, readdirSync, type Stats, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { explainSystemError, statusOf } from '../../base/files.ts'
import { fail, TreelineError } from '../../base/index.ts'
import { holdsRun } from '../runFolder.ts'
import { type Entry, type Index, type Look, readIndex, writeIndex } from './cache.ts'
import { type RunRecord, readRecord } from './record.ts'

/** A folder that changed so many milliseconds ago may change once more without looking another. */
const unsettled = 3000
/** As deep as `findRunFolders` goes. */
const deepest = 3

/** A list of runs, and what was left out of it. */
export interface Listing {
  readonly runs: RunRecord[]
  /** Folders whose `config.json` cannot be read, with the reason. */
  readonly damaged: { readonly folder: string; readonly message: string }[]
}

const looksLike = (folder: string, { ino, ctimeMs }: Stats): Look => ({
  inode: ino,
  changed: ctimeMs,
  summary: statSync(join(folder, 'summary.json'), { throwIfNoEntry: false })?.mtimeMs ?? 0,
})

const same = (a: Look, b: Look): boolean =>
  a.inode === b.inode && a.changed === b.changed && a.summary === b.summary

/** Whether what was read of a folder holds until the folder looks another: nobody works there, and its change is not too fresh. */
const isSettled = (folder: string, { changed }: Look, now: number): boolean =>
  Math.abs(now - changed) > unsettled && !existsSync(join(folder, 'lock'))

interface Walk extends Listing {
  readonly root: string
  readonly before: Index
  readonly after: Index
  readonly now: number
}

function read(walk: Walk, folder: string, name: string, look: Look): void {
  // the look is from before the reading: what changes in between makes the folder look another
  const settled = isSettled(folder, look, walk.now)
  try {
    const { folder: _, ...record } = readRecord(folder)
    walk.runs.push({ folder, ...record })
    if (settled) walk.after.set(name, { ...look, record })
  } catch (error) {
    if (!(error instanceof TreelineError)) throw error
    // removed since its parent was read
    if (!existsSync(folder)) return
    walk.damaged.push({ folder, message: error.message })
  }
}

function visit(walk: Walk, folder: string, name: string, status: Stats, depth: number): void {
  const known: Entry | undefined = walk.before.get(name)
  if (known) {
    const look = looksLike(folder, status)
    if (same(known, look)) {
      walk.after.set(name, known)
      walk.runs.push({ folder, ...known.record })
      return
    }
  }
  if (holdsRun(folder)) {
    read(walk, folder, name, looksLike(folder, status))
    return
  }
  if (depth === 0) return
  let names: string[]
  try {
    names = readdirSync(folder).sort()
  } catch (error) {
    explainSystemError(error, `cannot read ${folder}`)
  }
  for (const child of names) {
    const path = join(folder, child)
    const below = statusOf(path)
    if (below?.isDirectory()) visit(walk, path, name === '' ? child : `${name}/${child}`, below, depth - 1)
  }
}

function listRoot(root: string): Listing {
  const status = statusOf(root)
  if (!status?.isDirectory())
    fail('TL_IO', `${root}: expected a run folder, or a folder of runs; there is no such folder`)
  const before = readIndex(root)
  const walk: Walk = { root, before, after: new Map(), runs: [], damaged: [], now: Date.now() }
  visit(walk, root, '', status, deepest)
  const { after } = walk
  const isNews = [...after].some(([name, entry]) => before.get(name) !== entry)
  if (isNews || after.size !== before.size) writeIndex(root, after)
  return walk
}

/** All runs in the given folders, each once, by folder. Throws TL_IO for a path that is no folder. */
export function listRuns(roots: readonly string[]): Listing {
  const found = roots.map(listRoot)
  const seen = new Set<string>()
  const runs = found.flatMap(({ runs }) => runs)
  return {
    runs:
      roots.length === 1
        ? runs
        : runs.filter(({ folder }) => {
            const path = resolve(folder)
            return seen.has(path) ? false : seen.add(path)
          }),
    damaged: found.flatMap(({ damaged }) => damaged),
  }
}
