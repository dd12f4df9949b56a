/**
 * @file How far parts at work are, told from their threads to the one that shows it: a part takes minutes, and between threads
 * there is only the run folder. The files are called .tmp, which a run clears away when it begins.
 */
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { threadId } from 'node:worker_threads'
import type { Progress } from '../../lab/index.ts'

const isNote = (name: string): boolean => /^at-\d+\.tmp$/.test(name)

/** A function that notes in a folder what this thread is at; what cannot be written is not said. */
export function noteIn(folder: string, what: string): (where: string) => void {
  const path = join(folder, `at-${threadId}.tmp`)
  return (where) => {
    try {
      writeFileSync(path, `${what}: ${where}`)
    } catch {}
  }
}

/** All notes of a folder, in order. */
export function readNotes(folder: string): string[] {
  const texts = readdirSync(folder)
    .filter(isNote)
    .map((name) => {
      try {
        return readFileSync(join(folder, name), 'utf8')
      } catch {
        return ''
      }
    })
  return texts.filter((text) => text !== '').sort()
}

/**
 * Show the notes beside the progress of parts while `work` goes on, every few seconds. `work` gets the function to report with.
 */
export async function showingNotes<R>(
  { folder, progress }: { readonly folder: string; readonly progress: (progress: Progress) => void },
  work: (progress: (progress: Progress) => void) => Promise<R>,
  milliseconds = 5000,
): Promise<R> {
  let last: Progress | undefined
  const timer = setInterval(() => {
    const notes = readNotes(folder)
    if (last && notes.length > 0) progress({ ...last, detail: notes.join('; ') })
  }, milliseconds)
  try {
    return await work((now) => {
      last = now
      progress(now)
    })
  } finally {
    clearInterval(timer)
    for (const name of readdirSync(folder).filter(isNote)) rmSync(join(folder, name), { force: true })
  }
}
