/**
 * @file Append-only files of JSON lines: what a run has done so far. A last line without its end was cut by a kill: it counts as
 * not there, and is cut off before the next line. A whole line that is not what the file holds is no accident of a kill: it is
 * refused with its number.
 */
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, truncateSync, writeSync } from 'node:fs'
import { fail } from './errors.ts'
import { explainSystemError } from './files.ts'

/** What the lines of a journal are. */
export interface JournalKind<T> {
  readonly is: (value: unknown) => value is T
  /** `a JSON object with a step` */
  readonly expected: string
  /** What to do about a damaged one: `run again with --fresh` */
  readonly fix: string
}

/** Whole lines of a journal's bytes, and how many bytes they take. Throws TL_BAD_FILE with the number of a damaged line. */
export function journalLines<T>(
  bytes: Uint8Array,
  path: string,
  { is, expected, fix }: JournalKind<T>,
): { readonly lines: T[]; readonly length: number } {
  const length = bytes.lastIndexOf(10) + 1
  const texts = new TextDecoder().decode(bytes.subarray(0, length)).split('\n').slice(0, -1)
  const lines = texts.flatMap((text, index): T[] => {
    if (text === '') return []
    let value: unknown
    try {
      value = JSON.parse(text)
    } catch {
      value = undefined
    }
    if (is(value)) return [value]
    return fail(
      'TL_BAD_FILE',
      `${path}:${index + 1}: expected ${expected}, got ${text.slice(0, 60)} (${fix})`,
    )
  })
  return { lines, length }
}

/** Lines of a journal; none where there is no file. */
export const readJournal = <T>(path: string, kind: JournalKind<T>): T[] =>
  existsSync(path) ? journalLines(readFileSync(path), path, kind).lines : []

/** Read a journal and cut off what a kill has torn, so that lines can be appended. */
export function openJournal<T>(path: string, kind: JournalKind<T>): T[] {
  if (!existsSync(path)) return []
  const bytes = readFileSync(path)
  const { lines, length } = journalLines(bytes, path, kind)
  if (length < bytes.length)
    try {
      truncateSync(path, length)
    } catch (error) {
      explainSystemError(error, `cannot write ${path}`)
    }
  return lines
}

/** Append lines; with `sync` they are on the disk when this returns. Throws TL_IO in one line. */
export function appendJournal(path: string, values: readonly unknown[], sync = false): void {
  try {
    const descriptor = openSync(path, 'a')
    try {
      writeSync(descriptor, values.map((value) => `${JSON.stringify(value)}\n`).join(''))
      if (sync) fsyncSync(descriptor)
    } finally {
      closeSync(descriptor)
    }
  } catch (error) {
    explainSystemError(error, `cannot write ${path}`)
  }
}
