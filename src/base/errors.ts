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

/** An error with a stable code and a message fit to be shown to a user as it is, in one line. */
export class TreelineError extends Error {
  override readonly name = 'TreelineError'
  constructor(
    readonly code: ErrorCode,
    message: string,
    options?: { cause?: unknown },
  ) {
    super(message, options)
  }
}

/** Throw a `TreelineError`; returns `never` so that it can end an expression. */
export function fail(code: ErrorCode, message: string, cause?: unknown): never {
  throw new TreelineError(code, message, cause === undefined ? undefined : { cause })
}
