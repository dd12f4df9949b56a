/**
 * @file Temporary files beside those that they will become. Their names say which process they belong to: one that ends early
 * removes its own, and what a killed process has left in a folder is removed by the next that writes there.
 */
import { createHash, randomBytes } from 'node:crypto'
import { readdirSync, rmSync } from 'node:fs'
import { hostname } from 'node:os'
import { dirname, join } from 'node:path'
import { whenLeaving } from './leaving.ts'

/** Four digits for this machine: processes of another cannot be asked whether they live. */
const host = createHash('sha256').update(hostname()).digest('hex').slice(0, 4)

const ending = /\.(\d+)-([0-9a-f]{4})[0-9a-f]{6}\.tmp$/

/** Whether a process of this machine lives. */
function lives(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH'
  }
}

/** Folders that were looked through; once is enough for a process. Exported for tests that play several in one. */
export const cleared = new Set<string>()

/** Remove temporary files that dead processes have left in a folder. */
function clearTemporaries(folder: string): void {
  if (cleared.has(folder)) return
  cleared.add(folder)
  let names: string[]
  try {
    names = readdirSync(folder)
  } catch {
    return
  }
  for (const name of names) {
    const [, pid, on] = ending.exec(name) ?? []
    if (pid === undefined || on !== host || lives(Number(pid))) continue
    try {
      rmSync(join(folder, name), { force: true })
    } catch {
      // not ours to remove
    }
  }
}

/** A sibling name that no reader will take for the finished file. `remove` when it is renamed, or when the work has failed. */
export function temporaryFile(path: string): { readonly name: string; readonly remove: () => void } {
  clearTemporaries(dirname(path))
  const name = `${path}.${process.pid}-${host}${randomBytes(3).toString('hex')}.tmp`
  const remove = (): void => rmSync(name, { force: true })
  const forget = whenLeaving(remove)
  return {
    name,
    remove: () => {
      forget()
      // below a file that is no folder even looking for it fails
      try {
        remove()
      } catch {}
    },
  }
}
