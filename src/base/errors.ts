/** @file One error type for everything a user can do wrong or a machine can refuse: value, expectation, fix. */

/** Stable codes; scripts may match on them. Add one here when a new kind of mistake appears. */
export type ErrorCode =
  | 'TL_SHAPE_MISMATCH'
  | 'TL_DTYPE_MISMATCH'
  | 'TL_BAD_ARGUMENT'
  | 'TL_NOT_CONCRETE'
  | 'TL_NOT_DIFFERENTIABLE'
  | 'TL_UNSUPPORTED'
  | 'TL_BAD_CONFIG'
  | 'TL_BAD_FILE'
  | 'TL_IO'
  | 'TL_EXISTS'
  | 'TL_BUSY'
  | 'TL_NETWORK'
  | 'TL_CHECKSUM'
  | 'TL_NOT_FINITE'
  | 'TL_SCORE'
  | 'TL_MODULE'
  | 'TL_USAGE'
  | 'TL_INTERRUPTED'

/** Characters a message may have; a value from a file can be as long as the file. */
const longest = 1500
const kept = { head: 900, tail: 500 }
const unprintable = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g

const escaped = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`

/**
 * A message as one line a terminal can be sent: line ends become spaces, other control characters their escapes, and
 * the middle of a message that shows a whole file is left out, with the number of its characters.
 */
export function oneLine(message: string): string {
  const flat = message.replace(/[\r\n\t\u2028\u2029]\s*/g, ' ').replace(unprintable, escaped)
  if (flat.length <= longest) return flat
  const left = flat.length - kept.head - kept.tail
  const halves = [flat.slice(0, kept.head), flat.slice(-kept.tail)]
  // a pair of surrogates may have been cut in two
  const [head, tail] = halves.map((half) => half.replace(/\p{Surrogate}/gu, ''))
  return `${head} … [${left.toLocaleString('en-US')} characters] … ${tail}`
}

/** An error with a stable code and a message fit to be shown to a user as it is, in one line (`oneLine`). */
export class TreelineError extends Error {
  override readonly name = 'TreelineError'
  constructor(
    readonly code: ErrorCode,
    message: string,
    options?: { cause?: unknown },
  ) {
    super(oneLine(message), options)
  }
}

/** Throw a `TreelineError`; returns `never` so that it can end an expression. */
export function fail(code: ErrorCode, message: string, cause?: unknown): never {
  throw new TreelineError(code, message, cause === undefined ? undefined : { cause })
}
