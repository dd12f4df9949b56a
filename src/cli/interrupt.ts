/** @file Ctrl-C: the first asks politely, the second means it. */
import { exitCodes } from './errors.ts'

/** A signal that is aborted by the first SIGINT or SIGTERM; the second ends the process at once. */
export function interruption(onFirst: () => void): { signal: AbortSignal; stop: () => void } {
  const controller = new AbortController()
  const handle = () => {
    // a lock left behind by this exit is taken over by the next process
    if (controller.signal.aborted) process.exit(exitCodes.interrupted)
    controller.abort()
    onFirst()
  }
  const signals = ['SIGINT', 'SIGTERM'] as const
  for (const name of signals) process.on(name, handle)
  return {
    signal: controller.signal,
    stop: () => {
      for (const name of signals) process.off(name, handle)
    },
  }
}
