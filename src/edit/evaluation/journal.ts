/** @file What an evaluation has found so far, fact by fact, so that one that was cut goes on. */
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { isObject } from '../../base/index.ts'
import { appendJournal, type JournalKind, openJournal } from '../../base/journal.ts'
import type { Fact } from '../facts/index.ts'
import type { Result } from './measure.ts'

/** Results of facts by their places. */
export interface Journal {
  readonly known: ReadonlyMap<number, Result>
  readonly keep: (place: number, result: Result) => void
  /** The evaluation is complete. */
  readonly remove: () => void
}

type Line = readonly [place: number, result: Result]

const lines: JournalKind<Line> = {
  is: (value): value is Line => Array.isArray(value) && Number.isInteger(value[0]) && isObject(value[1]),
  expected: 'the place of a fact and its result',
  fix: 'remove the file to begin anew',
}

/**
 * The journal of these facts in the folder of a store, as the store is now. What cannot be written is not kept: an evaluation
 * only reads the store, and may work on one that it cannot change.
 */
export function evaluationJournal(store: string, facts: readonly Fact[]): Journal {
  const hash = createHash('sha256')
  for (const name of ['config.json', 'edits.jsonl']) {
    const path = join(store, name)
    hash.update(existsSync(path) ? readFileSync(path) : '').update('\n')
  }
  hash.update(JSON.stringify(facts.map(({ source, ...fact }) => fact)))
  const path = join(store, `.evaluate-${hash.digest('hex').slice(0, 16)}.jsonl`)
  const known = new Map(openJournal(path, lines))
  const attempt = (work: () => void): void => {
    try {
      work()
    } catch {}
  }
  return {
    known,
    keep(place, result) {
      attempt(() => appendJournal(path, [[place, result]]))
    },
    remove: () => attempt(() => rmSync(path, { force: true })),
  }
}
