/**
 * @file One rule for every file that a command writes: what is there stays, unless `force` is given or the bytes are the
 * same; an input is never an output, whatever it is called; a missing parent folder is a mistyped path.
 */
import {
  closeSync,
  fstatSync,
  linkSync,
  lstatSync,
  openSync,
  readdirSync,
  readSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs'
import { dirname, extname, join, resolve } from 'node:path'
import { fail } from './errors.ts'
import { explainSystemError, noLinks, writing } from './files.ts'
import { finish, type Steps } from './steps.ts'

/** What an output may touch. */
export interface OutputRule {
  /** Files and folders that the work reads. None of them is ever replaced, not even with `force`. */
  readonly inputs?: readonly string[]
  /** Replace what is there. */
  readonly force?: boolean
}

/** What is at a path; written out because the package's types must not need those of Node. */
export interface Status {
  readonly size: number
  readonly dev: number
  readonly ino: number
  readonly mtimeMs: number
  isFile(): boolean
  isDirectory(): boolean
}

/** The status of what a path leads to; undefined when there is nothing. */
export const statusOf = (path: string): Status | undefined => {
  try {
    return statSync(path, { throwIfNoEntry: false })
  } catch {
    // a part of the path is a file, or may not be looked into
    return undefined
  }
}

/** Is there anything under this name, be it a link that leads nowhere? */
export const isTaken = (path: string): boolean => {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) !== undefined
  } catch {
    return false
  }
}

/** What a file is, whatever it is called: device and inode, or the real path where a file system has no inodes. */
function identity(path: string): string | undefined {
  try {
    const { dev, ino } = statSync(path, { bigint: true })
    return ino === 0n ? realpathSync.native(path) : `${dev}:${ino}`
  } catch {
    return undefined
  }
}

/** Do two paths lead to the same file or folder, through links, other spellings and other cases? */
export function isSame(a: string, b: string): boolean {
  const first = identity(a)
  return first !== undefined && first === identity(b)
}

/** Is an existing path somewhere below a folder? */
function isBelow(path: string, folder: string): boolean {
  const wanted = identity(folder)
  for (let at = realpathSync(path); dirname(at) !== at; at = dirname(at))
    if (identity(dirname(at)) === wanted) return true
  return false
}

/** The input that a file is, or is a part of: itself, below a folder, or by a hard link beside other files of a folder. */
export function inputOf(path: string, inputs: readonly string[]): string | undefined {
  const own = identity(path)
  if (own === undefined) return undefined
  return inputs.find((input) => {
    if (identity(input) === own) return true
    if (!statusOf(input)?.isDirectory()) return false
    return isBelow(path, input) || readdirSync(input).some((name) => identity(join(input, name)) === own)
  })
}

/** Refuse an output in a folder that does not exist. Throws TL_IO. */
export function requireParent(path: string): void {
  const parent = dirname(resolve(path))
  const status = statusOf(parent)
  if (status?.isDirectory()) return
  // as it was written, where that has a parent
  const shown = dirname(path) === '.' ? parent : dirname(path)
  if (status) fail('TL_IO', `${path}: ${shown} is a file, expected a folder`)
  fail(
    'TL_IO',
    `${path}: there is no folder ${shown}: correct the path, or make it first (mkdir -p ${shown})`,
  )
}

/** Refuse an output that is an input. Throws TL_USAGE. */
export function refuseInput(path: string, inputs: readonly string[] = []): void {
  const input = inputOf(path, inputs)
  if (input === undefined) return
  const what = isSame(path, input) ? `the input itself (${input})` : `a part of the input ${input}`
  fail('TL_USAGE', `${path}: this is ${what}, which is never replaced: write the output somewhere else`)
}

/** Devices and pipes (/dev/stdout, >(gzip)) take bytes and have nothing to lose; renaming a file over them would remove them. */
const isStream = (status: Status | undefined): boolean =>
  status !== undefined && !status.isFile() && !status.isDirectory()

/**
 * The format that a name asks for: one of `endings`, or `folder` where a name has no ending (numbers such as `.5B` are part
 * of a model's name), ends in a slash, or is a folder already. Throws TL_USAGE for any other ending; `folder` says whether
 * one can be written at all.
 */
export function formatOf(path: string, endings: readonly string[], { folder = false } = {}): string {
  if (folder && (/[/\\]$/.test(path) || statusOf(path)?.isDirectory())) return 'folder'
  // a device has no ending, and one format needs none
  if (endings.length === 1 && isStream(statusOf(path))) return endings[0]!
  const ending = extname(path).toLowerCase()
  if (endings.includes(ending)) return ending
  const isEnding = /^\.[a-z]/.test(ending)
  if (folder && !isEnding) return 'folder'
  const names = `a name ending in ${endings.join(' or ')}`
  const expected = folder ? `${names}, or a folder (no ending, or a slash at the end: ${path}/)` : names
  return fail('TL_USAGE', `${path}: ${isEnding ? `cannot write ${ending}: ` : ''}expected ${expected}`)
}

/**
 * Refuse a file that can never be written: in a missing folder, a folder itself, or an input. For before the work; that the
 * file is free is settled when it is written. Throws TL_IO, TL_EXISTS, TL_USAGE.
 */
export function checkFile(path: string, { inputs }: OutputRule = {}): void {
  if (path === '') fail('TL_USAGE', 'expected the name of a file to write, got an empty one')
  if (statusOf(path)?.isDirectory() || /[/\\]$/.test(path))
    fail(
      'TL_EXISTS',
      `${path}: a folder, expected the name of a file: add a name, such as ${join(path, 'out')}`,
    )
  requireParent(path)
  refuseInput(path, inputs)
}

type Chunks = string | Uint8Array | Iterable<Uint8Array>

const listOf = (chunks: Chunks): Iterable<Uint8Array> => {
  if (typeof chunks === 'string') return [new TextEncoder().encode(chunks)]
  return chunks instanceof Uint8Array ? [chunks] : chunks
}

/** Does a file hold exactly these bytes? Chunks are taken as far as they agree. */
export const holds = (path: string, chunks: Chunks): boolean => finish(comparing(path, chunks))

/** The same in steps. */
function* comparing(path: string, chunks: Chunks): Steps<boolean> {
  const descriptor = openSync(path, 'r')
  try {
    let at = 0
    for (const chunk of listOf(chunks)) {
      const own = new Uint8Array(chunk.byteLength)
      let got = 0
      while (got < own.byteLength) {
        const more = readSync(descriptor, own, got, own.byteLength - got, at + got)
        if (more === 0) return false
        got += more
      }
      if (Buffer.compare(own, chunk) !== 0) return false
      at += chunk.byteLength
      yield
    }
    return fstatSync(descriptor).size === at
  } finally {
    closeSync(descriptor)
  }
}

/** The bytes of a file, a megabyte at a time. */
function* bytesOf(path: string): Generator<Uint8Array> {
  const descriptor = openSync(path, 'r')
  try {
    const piece = new Uint8Array(1 << 20)
    for (let got = readSync(descriptor, piece); got > 0; got = readSync(descriptor, piece))
      yield piece.subarray(0, got)
  } finally {
    closeSync(descriptor)
  }
}

const refuseTaken = (path: string): never =>
  fail(
    'TL_EXISTS',
    `${path}: there is another ${statusOf(path) ? 'file' : 'link'} of this name: choose another name, or replace it with --force`,
  )

function* writingStream(path: string, chunks: Chunks): Steps<void> {
  const descriptor = openSync(path, 'w')
  try {
    for (const chunk of listOf(chunks)) {
      for (let at = 0; at < chunk.byteLength; ) at += writeSync(descriptor, chunk, at)
      yield
    }
  } finally {
    closeSync(descriptor)
  }
}

/** Give a finished file its name if nobody has it. False when somebody was faster. */
function takeName(temporary: string, path: string): boolean {
  try {
    linkSync(temporary, path)
    rmSync(temporary, { force: true })
    return true
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException
    if (code === 'EEXIST') return false
    if (!noLinks.includes(code)) throw error
  }
  // no way to do it in one step on this file system
  if (isTaken(path)) return false
  renameSync(temporary, path)
  return true
}

/**
 * Write an output file: atomically, and never over another one unless `force` is given. A file that holds exactly these
 * bytes is left as it is. Throws TL_EXISTS, TL_USAGE for an input, TL_IO for a missing parent folder and what the disk says.
 */
export const writeOutput = (path: string, chunks: Chunks, rule: OutputRule = {}): Outcome =>
  finish(writingOutput(path, chunks, rule))

type Outcome = 'written' | 'unchanged'

/** The same in steps, one for each chunk. */
export function* writingOutput(path: string, chunks: Chunks, rule: OutputRule = {}): Steps<Outcome> {
  checkFile(path, rule)
  const status = statusOf(path)
  try {
    if (isStream(status)) {
      yield* writingStream(path, chunks)
      return 'written'
    }
    if (rule.force) {
      yield* writing(path, listOf(chunks))
      return 'written'
    }
    if (isTaken(path)) return status && (yield* comparing(path, chunks)) ? 'unchanged' : refuseTaken(path)
    let outcome: Outcome = 'written'
    yield* writing(path, listOf(chunks), (temporary) => {
      if (takeName(temporary, path)) return
      // another process has written it meanwhile
      if (!statusOf(path)?.isFile() || !holds(path, bytesOf(temporary))) refuseTaken(path)
      rmSync(temporary, { force: true })
      outcome = 'unchanged'
    })
    return outcome
  } catch (error) {
    return explainSystemError(error, `cannot write ${path}`)
  }
}
