/** @file Removing runs: never what is at work, and never so that half of a run looks like a whole one. */
import { lstatSync, readdirSync, rmdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { explainSystemError } from '../../base/files.ts'
import { fail } from '../../base/index.ts'
import { lockFolder, lockHolder } from '../../base/lock.ts'
import { holdsRun } from '../runFolder.ts'

/** Refuse what is no run folder, or at work. Throws TL_IO, TL_BAD_FILE or TL_BUSY. */
export function checkRemovable(folder: string): void {
  const status = lstatSync(folder, { throwIfNoEntry: false })
  if (!status?.isDirectory()) fail('TL_IO', `${folder}: expected a run folder; there is no such folder`)
  if (!holdsRun(folder))
    fail(
      'TL_BAD_FILE',
      `${folder}: no run folder (it has no config.json of a run); name the run folders themselves`,
    )
  const holder = lockHolder(folder)
  if (holder) fail('TL_BUSY', `${folder}: in use by ${holder.who}; it is not removed: stop it first`)
}

/** Remove a run folder. Ended anywhere, what is left is an unfinished run. Throws as `checkRemovable` does. */
export function removeRun(folder: string): void {
  checkRemovable(folder)
  const unlock = lockFolder(folder)
  try {
    rmSync(join(folder, 'done'), { force: true })
    for (const name of readdirSync(folder))
      if (name !== 'config.json' && name !== 'lock')
        rmSync(join(folder, name), { recursive: true, force: true })
    rmSync(join(folder, 'config.json'), { force: true })
  } catch (error) {
    explainSystemError(error, `cannot remove ${folder}`)
  } finally {
    unlock()
  }
  try {
    rmdirSync(folder)
  } catch (error) {
    explainSystemError(error, `cannot remove ${folder}`)
  }
}
