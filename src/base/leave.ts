/** @file Ending this process before its work is done, without taking native code by surprise (Node only). */
import { tidy } from './leaving.ts'
import { leaveNativeCode } from './workers.ts'

export { whenLeaving } from './leaving.ts'

/** Milliseconds that native calls of other threads get to come to their end. */
const patience = 3000

/**
 * End the process with this exit code: what must be undone is undone, and threads are out of native code. A call that takes
 * longer is cut off by the system as Ctrl-C would: nothing of the process runs any more, so nothing can abort.
 */
export async function leave(code: number): Promise<void> {
  tidy()
  if (await leaveNativeCode(patience)) process.exit(code)
  tidy()
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.removeAllListeners(name)
  process.kill(process.pid, 'SIGINT')
}
