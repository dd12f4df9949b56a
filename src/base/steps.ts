/** @file Long synchronous work that can be left between two steps, for signals, timers and progress. */
import { breathe } from './breathe.ts'
import { fail } from './errors.ts'

/** A generator that yields wherever the work may be left; its `finally` blocks clean up. */
export type Steps<Result> = Generator<unknown, Result, unknown>

/** Do all steps at once. */
export function finish<Result>(steps: Steps<Result>): Result {
  for (;;) {
    const { done, value } = steps.next()
    if (done) return value
  }
}

/** Milliseconds of steps between two breaths. */
const stretch = 20

/** When the last one was: also many short pieces of work, one after the other, must breathe. */
let last = 0

/** Do all steps, and let the event loop turn every few of them. Throws `TL_INTERRUPTED` when the signal is aborted. */
export async function inSteps<Result>(
  steps: Steps<Result>,
  { signal }: { readonly signal?: AbortSignal } = {},
): Promise<Result> {
  try {
    for (;;) {
      const { done, value } = steps.next()
      if (done) return value
      if (performance.now() - last < stretch) continue
      // twice: in the midst of a turn the first comes before the loop has looked for signals again
      await breathe()
      await breathe()
      if (signal?.aborted) fail('TL_INTERRUPTED', 'interrupted')
      last = performance.now()
    }
  } finally {
    // after a failure or an interruption: its own finally blocks
    steps.return(undefined as never)
  }
}
