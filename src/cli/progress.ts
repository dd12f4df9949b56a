/** @file Progress with time left: one line that renews itself on a terminal, a few plain lines elsewhere. */
import { duration, percent } from '../base/index.ts'
import type { Io } from './io.ts'

/** How far a piece of work is. */
interface Step {
  done: number
  total: number
  detail?: string
  /** Seconds left, where the caller knows better than the pace so far tells. */
  secondsLeft?: number
}

/** How a display behaves. */
interface DisplayOptions {
  /** Nothing is shown. */
  readonly quiet?: boolean
  /** Seconds after which a log file gets a line although nothing has changed (default 30). */
  readonly heartbeat?: number
}

/** A display of one piece of work. */
interface Display {
  update: (step: Step) => void
  /** Show a line above the bar. */
  line: (text: string) => void
  /** Remove the bar. */
  end: () => void
}

const clearLine = '\r\u001b[2K'

/** Where the present phase began. Work that begins anew with another total (download, then training) is a new phase. */
interface Phase {
  at: number
  done: number
  total: number
  last: number
}

function inPhase(phase: Phase | undefined, now: number, { done, total }: Step): Phase {
  if (!phase || phase.total !== total || done < phase.last) return { at: now, done, total, last: done }
  phase.last = done
  return phase
}

/** Seconds left from the mean pace since the first update; undefined until there is one. */
export function timeLeft(first: { at: number; done: number }, now: number, step: Step): number | undefined {
  const advanced = step.done - first.done
  if (advanced <= 0) return undefined
  return ((now - first.at) / 1000 / advanced) * (step.total - step.done)
}

/** `━━━━━────`, `share` of it filled. */
export function bar(share: number, width: number): { filled: string; empty: string } {
  const filled = Math.round(Math.min(1, Math.max(0, share)) * width)
  return { filled: '━'.repeat(filled), empty: '─'.repeat(width - filled) }
}

const silent: Display = { update: () => {}, line: () => {}, end: () => {} }

/** A display titled `title`; nothing at all when `quiet`. */
export function makeDisplay(
  title: string,
  io: Io,
  options: boolean | DisplayOptions | undefined = {},
): Display {
  const { quiet = false, heartbeat = 30 } = typeof options === 'boolean' ? { quiet: options } : options
  if (quiet) return silent
  return io.terminal ? movingDisplay(title, io) : plainDisplay(title, io, heartbeat)
}

/** Call `beat` every so many seconds; the timer does not keep the program from ending. */
function every(seconds: number, beat: () => void): () => void {
  const timer = setInterval(beat, seconds * 1000)
  timer.unref()
  return () => clearInterval(timer)
}

function describe(first: { at: number; done: number }, now: number, step: Step): string {
  const left = step.secondsLeft ?? timeLeft(first, now, step)
  const rest = left === undefined ? undefined : `${duration(Math.max(0, left))} left`
  return [step.detail, step.done >= step.total ? undefined : rest].filter(Boolean).join(' · ')
}

function movingDisplay(title: string, io: Io): Display {
  let first: Phase | undefined
  let last: Step | undefined
  let drawnAt = Number.NEGATIVE_INFINITY
  let shown = ''
  const draw = (now: number): void => {
    if (!first || !last) return
    drawnAt = now
    const share = last.total > 0 ? last.done / last.total : 0
    const { filled, empty } = bar(share, Math.max(8, Math.min(28, io.columns() - 60)))
    const { green, dim, bold } = io.colors
    // full only when all is done
    const done = percent(Math.floor(share * 100) / 100, 0).padStart(5)
    const room = io.columns() - title.length - filled.length - empty.length - done.length - 5
    const text = describe(first, now, last).slice(0, Math.max(0, room))
    shown = `${bold(title)} ${green(filled)}${dim(empty)} ${done}  ${text}`
    io.err(`${clearLine}${shown}`)
  }
  let isOver = false
  // the time left goes on while the work says nothing
  const stop = every(1, () => {
    const now = performance.now()
    if (now - drawnAt > 900) draw(now)
  })
  return {
    update(step) {
      if (isOver) return
      const now = performance.now()
      first = inPhase(first, now, step)
      last = step
      if (now - drawnAt >= 80 || step.done >= step.total) draw(now)
    },
    line(text) {
      io.err(`${clearLine}${text}\n${shown}`)
    },
    end() {
      stop()
      isOver = true
      if (shown) io.err(clearLine)
      shown = ''
    },
  }
}

function plainDisplay(title: string, io: Io, heartbeat: number): Display {
  let first: Phase | undefined
  let last: Step | undefined
  let printedShare = Number.NEGATIVE_INFINITY
  let printedAt = 0
  const print = (now: number, share: number): void => {
    printedShare = share
    printedAt = now
    io.err(`${title}: ${Math.floor(share * 100)} %  ${describe(first!, now, last!)}`.trimEnd() + '\n')
  }
  const shareOf = ({ done, total }: Step): number => (total > 0 ? done / total : 0)
  const stop = every(1, () => {
    const now = performance.now()
    if (last && last.done < last.total && now - printedAt > (heartbeat - 1) * 1000) print(now, shareOf(last))
  })
  return {
    update(step) {
      const now = performance.now()
      const phase = inPhase(first, now, step)
      if (phase !== first) [printedShare, printedAt] = [Number.NEGATIVE_INFINITY, 0]
      first = phase
      last = step
      const share = shareOf(step)
      // a line each tenth, or at each heartbeat when it goes slowly
      if (share < printedShare + 0.1 && now - printedAt < heartbeat * 1000) return
      if (share < 1 && now - printedAt < 1000 && printedAt > 0) return
      if (share === printedShare) return
      print(now, share)
    },
    line(text) {
      printedAt = performance.now()
      io.err(`${text}\n`)
    },
    end: stop,
  }
}
