/**
 * @file The table of a search: lines of JSON, each on the disk before the next candidate begins. The first says what the
 * scores depend on, so that scores of two different searches never stand in one table.
 */
import { existsSync } from 'node:fs'
import { explainSystemError, writeAtomically } from '../../base/files.ts'
import { fail, isObject } from '../../base/index.ts'
import { appendJournal, type JournalKind, openJournal } from '../../base/journal.ts'
import type { SearchValue } from './grid.ts'
import { bootstrapMean } from './intervals.ts'

/** What every score of a table depends on, beside the values. */
interface Conditions {
  readonly recipe: string
  /** Sizes and times of the models' files, as one number. */
  readonly inputs: string
  readonly score: string
  readonly seed: number
  readonly lenient: boolean
  readonly arithmetic: 'float32' | 'dtype'
}

/** What one measure says of a candidate. */
export interface MeasuredScore {
  readonly name: string
  readonly score: number
  /** The score is the mean of these, one for each text, prompt or image. */
  readonly items?: readonly number[]
}

/** One candidate that was scored, or failed. */
export interface Row {
  /** A name for its recipe. */
  readonly candidate: string
  readonly values: Readonly<Record<string, SearchValue>>
  /** Null when it failed; `error` says why. */
  readonly score: number | null
  readonly error?: string
  /** All measures, the first of which is the score; absent where the score is a number alone. */
  readonly measures?: readonly MeasuredScore[]
  /** Merging and scoring. */
  readonly seconds: number
}

/** An open table. */
export interface Table {
  /** The last row of each candidate. */
  readonly rows: ReadonlyMap<string, Row>
  readonly append: (row: Row) => void
  /** The candidate that was being written to the output when the last run ended, or was written. */
  readonly published?: { readonly candidate: string; readonly isComplete: boolean }
  readonly publish: (candidate: string, isComplete: boolean) => void
}

const format = 'treeline-search/1'

const words: Readonly<Record<keyof Conditions, string>> = {
  recipe: 'another configuration',
  inputs: 'other inputs: files of the models have changed since',
  score: 'another --score command',
  seed: 'another --seed',
  lenient: 'another --lenient',
  arithmetic: 'another --arithmetic',
}

const lines: JournalKind<Record<string, unknown>> = {
  is: isObject,
  expected: "a line of a search's table",
  fix: 'remove the file to begin anew',
}

/** In what the conditions of a table differ, in words. Throws TL_BAD_FILE for a file that is no table. */
function differenceOf(
  path: string,
  head: Record<string, unknown> | undefined,
  conditions: Conditions,
): string | undefined {
  if (head?.['format'] !== format)
    fail('TL_BAD_FILE', `${path}: no table of a search (expected format ${format}); choose another folder`)
  // tables of before there was a choice computed in float32
  const stored: Record<string, unknown> = { arithmetic: 'float32', ...head }
  const key = (Object.keys(words) as (keyof Conditions)[]).find((one) => stored[one] !== conditions[one])
  return key && words[key]
}

/**
 * Open the table at `path`, or begin it. Throws TL_BAD_CONFIG when it was made under other conditions (with `force` it begins
 * anew then), TL_BAD_FILE, TL_IO.
 */
export function openTable(path: string, conditions: Conditions, force = false): Table {
  const write = (value: unknown): void => appendJournal(path, [value], true)
  const rows = new Map<string, Row>()
  let published: Table['published']
  try {
    const begin = (): void => writeAtomically(path, `${JSON.stringify({ format, ...conditions })}\n`)
    if (!existsSync(path)) begin()
    const [head, ...written] = openJournal(path, lines)
    let own = written
    const different = differenceOf(path, head, conditions)
    if (different !== undefined && !force)
      fail(
        'TL_BAD_CONFIG',
        `${path}: its scores belong to ${different}; scores are never mixed: choose another folder, or drop them with --force`,
      )
    if (different !== undefined) {
      begin()
      own = []
    }
    for (const line of own) {
      if ('published' in line) published = line['published'] as Table['published']
      else rows.set(String(line['candidate']), line as unknown as Row)
    }
  } catch (error) {
    return explainSystemError(error, `cannot read ${path}`)
  }
  return {
    rows,
    append(row) {
      rows.set(row.candidate, row)
      write(row)
    },
    ...(published ? { published } : {}),
    publish: (candidate, isComplete) => write({ published: { candidate, isComplete } }),
  }
}

const cell = (value: unknown): string => {
  const text = value === null || value === undefined ? '' : String(value)
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

/** The rows as CSV (RFC 4180): a column for each parameter, then score, seconds, error, and three for each measure. */
export function csvOf(names: readonly string[], rows: readonly Row[]): string {
  const measures = rows.find((row) => row.measures)?.measures?.map(({ name }) => name) ?? []
  const head = [
    ...names,
    'score',
    'seconds',
    'error',
    ...measures.flatMap((name) => [name, `${name} low`, `${name} high`]),
  ]
  const lines = rows.map(({ values, score, seconds, error, measures: own }) => [
    ...names.map((name) => values[name]),
    score,
    seconds,
    error,
    ...measures.flatMap((name) => {
      const found = own?.find((one) => one.name === name)
      const interval = found?.items && bootstrapMean(found.items)
      return [found?.score, interval?.low, interval?.high]
    }),
  ])
  return [head, ...lines].map((line) => `${line.map(cell).join(',')}\n`).join('')
}
