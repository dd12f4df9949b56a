/** @file A value of the file with its line: every message of the reader begins with one. */
import { fail } from '../../base/index.ts'
import type { WrittenFile } from '../../base/written.ts'
import { attempt, type Problem } from '../problems.ts'

/** A value within the file. */
export interface Place {
  readonly value: unknown
  /** `merge.yaml:3` */
  readonly where: () => string
  readonly path: readonly (string | number)[]
  readonly file: WrittenFile
  /** A mistake that `--lenient` lets pass: kept as a problem, or as a warning. */
  readonly problem: (where: string, message: string) => void
  readonly warn: (where: string, message: string) => void
  /** What `read` gives, or `otherwise` when what is written there cannot be read, which is kept as a problem. */
  readonly attempt: <Value, Other>(read: () => Value, otherwise: Other) => Value | Other
  /** Number of problems until now. */
  readonly found: () => number
}

/** A YAML mapping as `yaml` gives it. */
export const isMapping = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** A value within a message, cut to a readable length. */
export function show(value: unknown): string {
  const isOdd = typeof value === 'number' && !Number.isFinite(value)
  const text = isOdd ? String(value) : (JSON.stringify(value) ?? 'nothing')
  return text.length > 80 ? `${text.slice(0, 79)}…` : text
}

/** The place of one entry. */
export function child(place: Place, key: string | number): Place {
  const path = [...place.path, key]
  const { value } = place
  const has = Array.isArray(value) || (isMapping(value) && Object.hasOwn(value, key))
  const inner: unknown = has ? (value as Record<string | number, unknown>)[key] : undefined
  return { ...place, value: inner, path, where: () => place.file.where(path) }
}

/** What is said of a file as it is read. */
export interface Remarks {
  readonly problems: Problem[]
  readonly warnings: string[]
}

/** The top of a file. `lenient`: unknown keys and keys without effect are warnings. */
export function top(file: WrittenFile, lenient: boolean, { problems, warnings }: Remarks): Place {
  const warn = (where: string, message: string): void => void warnings.push(`${where}: ${message}`)
  const note = (where: string, message: string): void =>
    void problems.push({ where, message, code: 'TL_BAD_CONFIG' })
  return {
    value: file.value,
    path: [],
    file,
    where: () => file.where([]),
    problem: lenient ? warn : note,
    warn,
    attempt: (read, otherwise) => attempt(problems, file.path, read, otherwise),
    found: () => problems.length,
  }
}

/** Stop at a value that cannot be what it should: `merge.yaml:3: message, got VALUE`. */
export const refuse = (place: Place, message: string): never =>
  fail('TL_BAD_CONFIG', `${place.where()}: ${message}, got ${show(place.value)}`)
