/** @file A piece of work that is ended at each of its changes of files, one after the other, and then done again. */
import { existsSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { type Life, live } from './countedFiles.ts'

export interface Work {
  /** What it writes: a file or a folder. */
  readonly out: string
  /** What is removed before each attempt, when that is more than `out`. */
  readonly place?: string
  /** Prepare the place anew. */
  readonly prepare?: () => void
  /** Do it, as a process would from its beginning. It throws when it fails. */
  readonly run: () => Promise<unknown>
  /** Files that are appended to: after an end they hold the beginning of what they will hold. */
  readonly grows?: RegExp
  /** Files that are never the same twice (times): they are there at the end, and JSON is never torn. */
  readonly varies?: RegExp
  /** What is there before the work is what it makes. */
  readonly isMadeAgain?: boolean
  /** What counts as the same in files that hold times, by name and text. */
  readonly same?: (name: string, text: string) => string
}

/** Matches no name. */
const never = /^(?!)/

/** Hidden files are unfinished work and records of it, temporaries say so, and a lock is not a result. */
const isProduct = (name: string): boolean =>
  !/(^|\/)\.|\.tmp$|(^|\/)lock(\.takeover)?$/.test(name.replaceAll('\\', '/'))

/** Files by name below a path, those that a user takes for results. */
export function productsIn(path: string): Map<string, string> {
  if (!existsSync(path)) return new Map()
  if (statSync(path).isFile()) return new Map([['', readFileSync(path, 'latin1')]])
  return new Map(
    readdirSync(path, { recursive: true, encoding: 'utf8' })
      .filter((name) => isProduct(name) && statSync(join(path, name)).isFile())
      .sort()
      .map((name) => [name, readFileSync(join(path, name), 'latin1')]),
  )
}

const succeeded = <R>(life: Life<R>, what: string): void => {
  if (life.error !== undefined) throw new Error(`${what}: ${String(life.error)}`, { cause: life.error })
  expect(life.isCut, what).toBe(false)
}

/** Is this one of many writes in a row to one file, and not among the first or the last of them, nor every hundredth? */
function isAmongMany(changes: readonly string[], index: number): boolean {
  const own = changes[index]
  const isAlike = (at: number): boolean => own !== undefined && changes[at] === own
  return (
    own?.startsWith('write ') === true &&
    [-3, -2, -1, 1, 2, 3].every((d) => isAlike(index + d)) &&
    index % 100 > 0
  )
}

/**
 * Do the work undisturbed; then, for each of its changes, let it end there, look at what it has left, and do it again. Every
 * file with a final name is then absent, as it was before, or whole; and the second attempt ends with the bytes of the
 * undisturbed one. Of many writes in a row to one file some are left out. Returns the number of changes.
 */
export async function endAtEveryChange(work: Work): Promise<number> {
  const { out, place = out, prepare = () => {}, run } = work
  const { grows = never, varies = never, same = (_, text) => text } = work
  const fresh = (): void => {
    rmSync(place, { recursive: true, force: true })
    prepare()
  }
  const products = (): Map<string, string> =>
    new Map([...productsIn(out)].map(([name, text]) => [name, varies.test(name) ? '' : same(name, text)]))

  fresh()
  const before = products()
  // every text that a file has had after a whole change, such as the states of a run
  const texts = new Map([...before].map(([name, text]) => [name, new Set([text])]))
  const note = (): void => {
    for (const [name, text] of products()) texts.set(name, (texts.get(name) ?? new Set()).add(text))
  }
  const calm = await live(run, Number.POSITIVE_INFINITY, 'before', note)
  succeeded(calm, 'undisturbed')
  const whole = products()
  if (!work.isMadeAgain) expect([...whole], 'the work makes something').not.toEqual([...before])

  const untorn = (what: string): void => {
    for (const [name, text] of productsIn(out)) {
      if (varies.test(name)) {
        if (name.endsWith('.json')) expect(() => JSON.parse(text), `${what}: ${name}`).not.toThrow()
      } else if (grows.test(name)) {
        const lines = same(name, text.slice(0, text.lastIndexOf('\n') + 1))
        expect(whole.get(name)?.startsWith(lines), `${what}: ${name} holds something else`).toBe(true)
      } else
        expect(texts.get(name)?.has(same(name, text)) === true, `${what}: ${name} is not whole`).toBe(true)
    }
  }
  for (let number = 1; ; number++) {
    if (isAmongMany(calm.changes, number - 1)) continue
    for (const manner of ['before', 'torn'] as const) {
      fresh()
      const cut = await live(run, number, manner)
      const change = cut.changes.at(-1)
      if (!cut.isCut) {
        succeeded(cut, 'with no change left to end at')
        expect([...products()], 'with no change left to end at').toEqual([...whole])
        return number - 1
      }
      const what = `ended ${manner} change ${number} (${change})`
      untorn(what)
      succeeded(await live(run), `done again after it had ${what}`)
      expect([...products()], what).toEqual([...whole])
      // other changes have no half
      if (!/^(write|append) /.test(change!)) break
    }
  }
}
