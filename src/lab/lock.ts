/** @file One process per run folder: a lock file with the owner's pid; locks of dead processes are taken over. */
import { randomBytes } from 'node:crypto'
import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { explainSystemError } from '../base/files.ts'
import { fail } from '../base/index.ts'

interface Owner {
  pid: number
  host: string
  /** When the process started, in clock ticks since boot where the system tells it: a pid may be used again. */
  birth: string | null
  since: string
  token: string
}

/** Start time of a process on Linux, null elsewhere or when there is no such process. */
function birthOf(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // the second field is the program's name in brackets and may hold spaces; the start time is field 22
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null
  } catch {
    return null
  }
}

function isAlive(owner: Owner): boolean {
  if (owner.host !== hostname()) return true // cannot be known from here: leave it alone
  try {
    process.kill(owner.pid, 0)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false
  }
  const birth = birthOf(owner.pid)
  return owner.birth === null || birth === null || birth === owner.birth
}

/** The owner written in a lock file: undefined when there is no lock, null when it cannot be read. */
function readOwner(path: string): Owner | null | undefined {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
  try {
    const owner = JSON.parse(text) as Owner
    return typeof owner.pid === 'number' && typeof owner.host === 'string' ? owner : null
  } catch {
    return null
  }
}

/** Create `path` only if it is not there; false when it is. */
function create(path: string, text: string): boolean {
  try {
    writeFileSync(path, text, { flag: 'wx' })
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    return explainSystemError(error, `cannot lock ${path}`)
  }
}

const youngerThan = (path: string, milliseconds: number): boolean => {
  try {
    return Date.now() - statSync(path).mtimeMs < milliseconds
  } catch {
    return false
  }
}

/**
 * Lock a folder for this process. Returns the function that unlocks it. Throws TL_IO when a live process holds it,
 * naming the process and the way out.
 */
export function lockFolder(folder: string): () => void {
  const path = join(folder, 'lock')
  const token = randomBytes(8).toString('hex')
  const me: Owner = {
    pid: process.pid,
    host: hostname(),
    birth: birthOf(process.pid),
    since: new Date().toISOString(),
    token,
  }
  const text = `${JSON.stringify(me)}\n`
  const release = () => {
    if (readOwner(path)?.token === token) rmSync(path, { force: true })
  }
  if (create(path, text)) return release

  // Taking over is itself guarded, or two processes that both see a dead owner could delete each other's new lock.
  const guard = `${path}.takeover`
  if (!youngerThan(guard, 10_000)) rmSync(guard, { force: true })
  if (!create(guard, text))
    fail('TL_IO', `${folder}: another process is just taking over this run; try again in a few seconds`)
  try {
    const owner = readOwner(path)
    // an unreadable lock is being written right now, or was cut while being written
    const held = owner === null ? youngerThan(path, 10_000) : owner !== undefined && isAlive(owner)
    if (held) {
      const who = owner ? `process ${owner.pid} on ${owner.host} (since ${owner.since})` : 'another process'
      fail(
        'TL_IO',
        `${folder}: in use by ${who}; wait for it, or if it is surely gone delete ${path} and run again`,
      )
    }
    rmSync(path, { force: true })
    if (!create(path, text))
      fail('TL_IO', `${folder}: another process was faster; try again when it has finished`)
    return release
  } finally {
    rmSync(guard, { force: true })
  }
}
