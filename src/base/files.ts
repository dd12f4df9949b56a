/** @file Atomic writes: a file is either absent, old, or complete – never half-written. */
import { randomBytes } from 'node:crypto'
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { fail, TreelineError } from './errors.ts'

/** A sibling name that no reader will take for the finished file. */
export const temporaryName = (path: string): string => `${path}.${randomBytes(4).toString('hex')}.tmp`

/** What a file system without hard links answers. */
export const noLinks = ['EPERM', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP', 'EMLINK']

/** Turn a system error into one line that says what to do. */
export function explainSystemError(error: unknown, action: string): never {
  if (error instanceof TreelineError) throw error
  const { code, message } = error as NodeJS.ErrnoException
  const advice: Record<string, string> = {
    ENOSPC: 'the disk is full: free some space or choose another folder',
    EACCES: 'permission denied: choose a folder you can write to',
    EPERM: 'not permitted there: choose a folder you can write to',
    EFBIG: 'larger than a file may be: raise the limit (ulimit -f) or write smaller files',
    EROFS: 'the file system is read-only: choose another folder',
    ENOENT: 'no such file or folder: check the path',
    EISDIR: 'that is a folder, a file was expected',
    ENOTDIR: 'a part of the path is a file, a folder was expected',
    EMFILE: 'too many open files: raise the limit (ulimit -n) or use fewer workers',
    EDQUOT: 'the disk quota is used up: free some space or choose another folder',
  }
  return fail('TL_IO', `${action}: ${(code && advice[code]) ?? message}`, error)
}

const isFolder = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false

/**
 * Make a folder and those above it. Not `mkdir` with `recursive`: that calls a read-only file system a missing folder, and
 * where no folder can be made at all (below /proc) it never comes back. Throws system errors.
 */
export function makeFolder(path: string): void {
  if (isFolder(path)) return
  const parent = dirname(path)
  if (parent !== path) makeFolder(parent)
  try {
    mkdirSync(path)
  } catch (error) {
    // another process may have been faster
    if (!isFolder(path)) throw error
  }
}

/**
 * Write chunks to a temporary sibling, flush to disk, rename over `path`; on any failure the old file stays. `publish` gives
 * the finished temporary its name in another way (see `writeOutput`).
 */
export function writeAtomically(
  path: string,
  chunks: string | Uint8Array | Iterable<Uint8Array>,
  publish: (temporary: string) => void = (temporary) => renameSync(temporary, path),
): void {
  const temporary = temporaryName(path)
  let descriptor: number | undefined
  try {
    makeFolder(dirname(path))
    descriptor = openSync(temporary, 'w')
    const list =
      typeof chunks === 'string'
        ? [new TextEncoder().encode(chunks)]
        : chunks instanceof Uint8Array
          ? [chunks]
          : chunks
    for (const chunk of list)
      for (let offset = 0; offset < chunk.byteLength; ) offset += writeSync(descriptor, chunk, offset)
    fsyncSync(descriptor)
    closeSync(descriptor)
    descriptor = undefined
    publish(temporary)
  } catch (error) {
    if (descriptor !== undefined) closeSync(descriptor)
    // below a file that is no folder even looking for the temporary fails
    if (existsSync(temporary)) rmSync(temporary, { force: true })
    explainSystemError(error, `cannot write ${path}`)
  }
}
