/** @file What stands against a merge: every mistake with its place, gathered before any work. */
import { type ErrorCode, fail, TreelineError } from '../base/index.ts'

/** A mistake that is known before work. */
export interface Problem {
  /** The line of the configuration (`merge.yaml:3`), else the model, tensor or folder that it is about. */
  readonly where: string
  readonly message: string
  /** What an error about it alone would have. */
  readonly code: ErrorCode
}

/** In one line; a message that names its place by itself does not name it twice. */
export const problemText = ({ where, message }: Problem): string =>
  message.includes(where) ? message : `${where}: ${message}`

/** A mistake that was thrown: what stands before `: ` is its place where that is a line of a file, else `where`. */
export function problemOf({ code, message }: TreelineError, where: string): Problem {
  const line = /^(.+?:\d+): (.*)$/s.exec(message)
  return line ? { where: line[1]!, message: line[2]!, code } : { where, message, code }
}

/** What `read` gives, or `otherwise` when it finds a mistake, which is noted. Other errors are thrown. */
export function attempt<Value, Other>(
  problems: Problem[],
  where: string,
  read: () => Value,
  otherwise: Other,
): Value | Other {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof TreelineError)) throw error
    problems.push(problemOf(error, where))
    return otherwise
  }
}

/** Throw problems as one error: the first in full, and how many others there are. */
export function assertNone([first, ...others]: readonly Problem[]): void {
  if (first === undefined) return
  const more = others.length > 0 ? ` (and ${others.length} more; --check lists them)` : ''
  fail(first.code, `${problemText(first)}${more}`)
}
