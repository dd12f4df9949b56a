/** @file Atomic writes: a file is either absent, old, or complete – never half-written. */
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  renameSync,
  type Stats,
  statSync,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { fail, TreelineError } from './errors.ts'
import { finish, type Steps } from './steps.ts'
import { temporaryFile } from './temporaries.ts'

export { temporaryFile }

/** What a file system without hard links answers. */
export const noLinks = ['EPERM', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP', 'EMLINK']

/** Turn a system error into one line that says what to do. */
export function explainSystemError(error: unknown, action: string): never {
  if (error instanceof TreelineError) throw error
  return fail('TL_IO', `${action}: ${systemAdvice(error) ?? (error as Error).message}`, error)
}

const advice: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full: free some space or choose another folder',
  EACCES: 'permission denied: choose a folder you can write to',
  EPERM: 'not permitted there: choose a folder you can write to',
  EFBIG: 'larger than a file may be: raise the limit (ulimit -f) or write smaller files',
  EROFS: 'the file system is read-only: choose another folder',
  ENOENT: 'no such file or folder: check the path',
  EISDIR: 'that is a folder, a file was expected',
  ENOTDIR: 'a part of the path is a file, a folder was expected',
  EEXIST: 'there is something of that name: choose another name',
  EMFILE: 'too many open files: raise the limit (ulimit -n) or use fewer workers',
  EDQUOT: 'the disk quota is used up: free some space or choose another folder',
}

/** What to do about an error of the system, if it is one that a user can do something about. */
function systemAdvice(error: unknown): string | undefined {
  const code = (error as NodeJS.ErrnoException | undefined)?.code
  return code !== undefined && Object.hasOwn(advice, code) ? advice[code] : undefined
}

/** An error of the system in words, whoever let it through; any other error as it is. */
export function inWords(error: unknown): unknown {
  const what = error instanceof TreelineError ? undefined : systemAdvice(error)
  if (what === undefined) return error
  const { syscall = 'use', path = 'a file' } = error as NodeJS.ErrnoException
  return new TreelineError('TL_IO', `cannot ${syscall} ${path}: ${what}`, { cause: error })
}

/** What is at a path; undefined where nothing is, which below a file is an error in some versions of Node. Throws system errors. */
export function statusOf(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOTDIR') return undefined
    throw error
  }
}

const isFolder = (path: string): boolean => statusOf(path)?.isDirectory() ?? false

/**
 * Make a folder and those above it. Not `mkdir` with `recursive`: that calls a read-only file system a missing folder, and
 * where no folder can be made at all (below /proc) it never comes back. Throws system errors.
 */
export function makeFolder(path: string): void {
  if (isFolder(path)) return
  const parent = dirname(path)
  // below a file it is the last step that says so, not the attempt to make a folder in the file's place
  if (parent !== path && !statusOf(parent)) makeFolder(parent)
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
  publish?: (temporary: string) => void,
): void {
  const list =
    typeof chunks === 'string'
      ? [new TextEncoder().encode(chunks)]
      : chunks instanceof Uint8Array
        ? [chunks]
        : chunks
  finish(writing(path, list, publish))
}

/** The same in steps, one for each chunk. What ends in between leaves nothing behind. */
export function* writing(
  path: string,
  chunks: Iterable<Uint8Array>,
  publish: (temporary: string) => void = (temporary) => renameSync(temporary, path),
): Steps<void> {
  let temporary: ReturnType<typeof temporaryFile> | undefined
  let descriptor: number | undefined
  try {
    makeFolder(dirname(path))
    temporary = temporaryFile(path)
    descriptor = openSync(temporary.name, 'w')
    for (const chunk of chunks) {
      for (let offset = 0; offset < chunk.byteLength; ) offset += writeSync(descriptor, chunk, offset)
      yield
    }
    fsyncSync(descriptor)
    closeSync(descriptor)
    descriptor = undefined
    publish(temporary.name)
  } catch (error) {
    explainSystemError(error, `cannot write ${path}`)
  } finally {
    if (descriptor !== undefined) closeSync(descriptor)
    temporary?.remove()
  }
}
