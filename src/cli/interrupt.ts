/**
 * @file Ctrl-C and SIGTERM, in one place for all commands. A command that says nothing of its own is ended at once, with what
 * it has begun undone. One that must finish a step first asks for a signal (`interruption`): the first Ctrl-C aborts it, the
 * second ends the process. Work that never lets the event loop turn hears of neither; see `inSteps`.
 */
import { leave } from '../base/leave.ts'
import { exitCodes } from './errors.ts'
import type { Io } from './io.ts'

/** End the process at once, with one line that says what is kept and how to go on. */
type End = (line: string) => void

/** Who is asked what an interrupt means, the latest first. */
const handlers: ((end: End) => void)[] = []

/** What is kept when the command is ended at once, and how to go on. */
const kept: (() => string)[] = []

function within<T>(list: T[], entry: T): () => void {
  list.push(entry)
  return () => {
    const at = list.lastIndexOf(entry)
    if (at >= 0) list.splice(at, 1)
  }
}

const signals = ['SIGINT', 'SIGTERM'] as const
let isLeaving = false

/** Watch for interrupts while a command works. Returns the function that stops it. */
export function watchInterrupts({ err, terminal }: Pick<Io, 'err' | 'terminal'>): () => void {
  const end: End = (line) => {
    if (isLeaving) return
    isLeaving = true
    err(`${terminal ? '\r\u001b[2K' : ''}treeline: ${line}\n`)
    void leave(exitCodes.interrupted)
  }
  const handle = (): void => {
    const own = handlers.at(-1)
    if (own) own(end)
    else end(kept.at(-1)?.() ?? 'interrupted; nothing was written')
  }
  for (const name of signals) process.on(name, handle)
  return () => {
    for (const name of signals) process.off(name, handle)
  }
}

/** Take interrupts over. Returns the function that gives them back. */
export const whenInterrupted = (handler: (end: End) => void): (() => void) => within(handlers, handler)

/** What to say when an interrupt ends the command at once. Returns the function that takes it back. */
export const ifEnded = (line: () => string): (() => void) => within(kept, line)

/**
 * Count the tensors of a folder that are kept when the command is ended at once, and say so then. A single file begins again:
 * of it nothing is kept.
 */
export function keepingTensors(out: string): { onKept: (tensors: number) => void; stop: () => void } {
  let kept = 0
  const stop = ifEnded(() =>
    kept === 0
      ? 'interrupted; nothing was written'
      : `interrupted; ${kept} finished tensor${kept === 1 ? ' is' : 's are'} kept in ${out}, and the same command goes on`,
  )
  const onKept = (tensors: number): void => {
    kept = tensors
  }
  return { onKept, stop }
}

/** A signal that is aborted by the first interrupt; the second ends the process at once. */
export function interruption(onFirst: () => void): { signal: AbortSignal; stop: () => void } {
  const controller = new AbortController()
  const stop = whenInterrupted((end) => {
    if (controller.signal.aborted)
      return end('stopped at once; what was finished before is kept, and the same command goes on')
    controller.abort()
    onFirst()
  })
  return { signal: controller.signal, stop }
}
