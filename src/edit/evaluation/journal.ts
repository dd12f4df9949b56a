/** @file What an evaluation has found so far, fact by fact, so that one that was cut goes on. */
import { createHash } from 'node:crypto'
import { appendFileSync, existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Fact } from '../facts/index.ts'
import type { Result } from './measure.ts'

/** Results of facts by their places. */
export interface Journal {
  readonly known: ReadonlyMap<number, Result>
  readonly keep: (place: number, result: Result) => void
  /** The evaluation is complete. */
  readonly remove: () => void
}

function readResults(path: string): Map<number, Result> {
  const known = new Map<number, Result>()
  if (!existsSync(path)) return known
  // a line that a kill has torn is no result
  for (const line of readFileSync(path, 'utf8').split('\n').slice(0, -1))
    try {
      const [place, result] = JSON.parse(line) as [number, Result]
      known.set(place, result)
    } catch {}
  return known
}

/**
 * The journal of these facts in the folder of a store, as the store is now. What cannot be written is not kept: an evaluation
 * only reads the store, and may work on one that it cannot change.
 */
export function openJournal(store: string, facts: readonly Fact[]): Journal {
  const hash = createHash('sha256')
  for (const name of ['config.json', 'edits.jsonl']) {
    const path = join(store, name)
    hash.update(existsSync(path) ? readFileSync(path) : '').update('\n')
  }
  hash.update(JSON.stringify(facts.map(({ source, ...fact }) => fact)))
  const path = join(store, `.evaluate-${hash.digest('hex').slice(0, 16)}.jsonl`)
  const known = readResults(path)
  // a torn line before it must not swallow the first new one
  let before = existsSync(path) ? '\n' : ''
  const attempt = (work: () => void): void => {
    try {
      work()
    } catch {}
  }
  return {
    known,
    keep(place, result) {
      attempt(() => appendFileSync(path, `${before}${JSON.stringify([place, result])}\n`))
      before = ''
    },
    remove: () => attempt(() => rmSync(path, { force: true })),
  }
}
