/** @file Programs of a scheduler, and what they say. */
import { execFile } from 'node:child_process'

/** What a program said. */
export interface Said {
  /** Null when a signal ended it, or it could not be started. */
  readonly code: number | null
  readonly out: string
  readonly err: string
  /** True when there is no such program. */
  readonly isMissing: boolean
}

/** Run a program and listen; never rejects. */
export const listen = (program: string, words: readonly string[], cwd?: string): Promise<Said> =>
  new Promise((resolve) => {
    execFile(program, [...words], { cwd, maxBuffer: 1 << 28, timeout: 120_000 }, (error, out, err) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : null
      const isMissing = (error as NodeJS.ErrnoException | null)?.code === 'ENOENT'
      resolve({ code, out, err: err.trim() || (error && code === null ? error.message : ''), isMissing })
    })
  })

/** A word as the shell reads it back. */
export const quoted = (word: string): string =>
  /^[\w.,:=+/@%-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
