/** @file One process per run folder: a lock file with the owner's pid; locks of dead processes are taken over. */
import { randomBytes } from 'node:crypto'
import { existsSync, linkSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { dirname, join } from 'node:path'
import { fail } from './errors.ts'
import { explainSystemError, noLinks } from './files.ts'
import { whenLeaving } from './leaving.ts'
import { temporaryFile } from './temporaries.ts'

interface Owner {
  pid: number
  host: string
  /** When the process started, in clock ticks since boot where the system tells it: a pid may be used again. */
  birth: string | null
  since: string
  token: string
  /** The work that a lock is held for, where others may be sent to go on with it. */
  work?: string
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

/**
 * Create `path` only if it is not there, whole from the first moment on: a process killed while writing leaves no lock
 * that nobody can read. False when somebody else has it.
 */
function create(path: string, text: string): boolean {
  const temporary = temporaryFile(path)
  try {
    writeFileSync(temporary.name, text, { flag: 'wx' })
    try {
      linkSync(temporary.name, path)
    } catch (error) {
      if (!noLinks.includes((error as NodeJS.ErrnoException).code ?? '')) throw error
      writeFileSync(path, text, { flag: 'wx' })
    }
    return true
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    // the owner clears away temporary files of processes before it: ours may have been among them
    if (code === 'EEXIST' || (code === 'ENOENT' && existsSync(dirname(path)))) return false
    return explainSystemError(error, `cannot lock ${path}`)
  } finally {
    temporary.remove()
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
 * Who holds a folder, as far as can be seen without locking it: `process 12 on host (since …)`. `here` is false for an
 * owner on another machine, of which nothing else can be known.
 */
export function lockHolder(folder: string): { who: string; here: boolean } | undefined {
  const path = join(folder, 'lock')
  const owner = readOwner(path)
  if (owner === undefined) return undefined
  if (owner === null) return youngerThan(path, 10_000) ? { who: 'another process', here: true } : undefined
  if (!isAlive(owner)) return undefined
  return {
    who: `process ${owner.pid} on ${owner.host} (since ${owner.since})`,
    here: owner.host === hostname(),
  }
}

/**
 * Lock a folder for this process by the file `name` in it. A lock that a process of another machine holds for the same `work` is taken over:
 * whoever sends work again knows that its worker is gone. Returns the function that unlocks it. Throws TL_BUSY when a live process holds it,
 * naming the process and the way out.
 */
export function lockFolder(folder: string, name = 'lock', work?: string): () => void {
  const path = join(folder, name)
  const token = randomBytes(8).toString('hex')
  const me: Owner = {
    pid: process.pid,
    host: hostname(),
    birth: birthOf(process.pid),
    since: new Date().toISOString(),
    token,
    ...(work !== undefined && { work }),
  }
  const text = `${JSON.stringify(me)}\n`
  const release = () => {
    if (readOwner(path)?.token === token) rmSync(path, { force: true })
  }
  // a process that is interrupted gives its locks back
  const held = (): (() => void) => {
    const forget = whenLeaving(release)
    return () => {
      forget()
      release()
    }
  }
  if (create(path, text)) return held()

  // Taking over is itself guarded, or two processes that both see a dead owner could delete each other's new lock.
  const guard = `${path}.takeover`
  if (!youngerThan(guard, 10_000)) rmSync(guard, { force: true })
  if (!create(guard, text))
    fail('TL_BUSY', `${folder}: another process is just taking over this folder; try again in a few seconds`)
  try {
    const owner = readOwner(path)
    // an unreadable lock is being written right now, or was cut while being written
    const isHeld = owner === null ? youngerThan(path, 10_000) : owner !== undefined && isAlive(owner)
    const isPassedOn = work !== undefined && owner?.work === work && owner.host !== hostname()
    if (isHeld && !isPassedOn) {
      const who = owner ? `process ${owner.pid} on ${owner.host} (since ${owner.since})` : 'another process'
      fail(
        'TL_BUSY',
        `${folder}: in use by ${who}; wait for it, or if it is surely gone delete ${path} and run again`,
      )
    }
    rmSync(path, { force: true })
    if (!create(path, text))
      fail('TL_BUSY', `${folder}: another process was faster; try again when it has finished`)
    return held()
  } finally {
    rmSync(guard, { force: true })
  }
}
