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

/** The audits of a store. */
interface Audits {
  /** The last of an edit. */
  of(number: number): KeptAudit | undefined
  /** Keep one, with the store unless that is only looked at. Throws `TL_IO`. */
  keep(audit: KeptAudit): void
}

/** The audits of the store at `path`, read when they are first needed: whoever only asks a store needs none. Throws `TL_BAD_FILE`. */
export function openAudits(path: string, { readOnly }: { readonly readOnly: boolean }): Audits {
  let last: Map<number, KeptAudit> | undefined
  const all = (): Map<number, KeptAudit> => {
    // for writing, what a killed process left of a line is cut off
    const read = readOnly ? readJournal : openJournal
    last ??= new Map(read(fileOf(path), auditLines).map((audit) => [audit.number, audit]))
    return last
  }
  return {
    of: (number) => all().get(number),
    keep(audit) {
      all().set(audit.number, audit)
      if (!readOnly) appendJournal(fileOf(path), [audit], true)
    },
  }
}
