/** @file `audits.jsonl` of a store: what was found of its edits when they were asked. The last of an edit is the one that counts. */
import { join } from 'node:path'
import { isObject } from '../../base/index.ts'
import { appendJournal, type JournalKind, openJournal, readJournal } from '../../base/journal.ts'

/** What was found of one edit. */
export interface Audit {
  readonly number: number
  /** Its own prompt is answered by it, greedily with the whole target. */
  readonly isLearned: boolean
  /** Of prompts that put its own into other words, how many it answers, of how many. */
  readonly otherWords: { readonly answered: number; readonly of: number }
  /** Another question about its subject is answered as before; null for an edit about nothing in particular. */
  readonly keepsSubject: boolean | null
  /** A prompt that has nothing to do with it is answered as before. */
  readonly keepsRest: boolean
}

/** An audit that a store keeps. */
export interface KeptAudit extends Audit {
  /** UTC, ISO 8601. */
  readonly at: string
}

const isCount = (value: unknown): boolean => Number.isInteger(value) && (value as number) >= 0

const auditLines: JournalKind<KeptAudit> = {
  is(value): value is KeptAudit {
    if (!isObject(value)) return false
    const { number, isLearned, otherWords, keepsSubject, keepsRest, at } = value
    return (
      isCount(number) &&
      typeof isLearned === 'boolean' &&
      typeof at === 'string' &&
      isObject(otherWords) &&
      isCount(otherWords['answered']) &&
      isCount(otherWords['of']) &&
      (keepsSubject === null || typeof keepsSubject === 'boolean') &&
      typeof keepsRest === 'boolean'
    )
  },
  expected: 'an audit of an edit',
  fix: 'remove the file: edit … audit makes it anew',
}

const fileOf = (store: string): string => join(store, 'audits.jsonl')

/** The last audit of each edit of the store at `path`. Throws `TL_BAD_FILE`. */
export const readAudits = (path: string): Map<number, KeptAudit> =>
  new Map(readJournal(fileOf(path), auditLines).map((audit) => [audit.number, audit]))

/** Keep an audit. Throws `TL_IO`. */
export function keepAudit(path: string, audit: KeptAudit): void {
  // what a killed process left of a line is cut off
  openJournal(fileOf(path), auditLines)
  appendJournal(fileOf(path), [audit], true)
}
