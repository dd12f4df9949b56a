/** @file Progress with time left: one line that renews itself on a terminal, a few plain lines elsewhere. */
import { duration } from '../base/index.ts'
import type { Io } from './io.ts'

/** How far a piece of work is. */
export interface Step {
  done: number
  total: number
  detail?: string
}

/** A display of one piece of work. */
export interface Display {
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
export function makeDisplay(title: string, io: Io, quiet = false): Display {
  if (quiet) return silent
  return io.terminal ? movingDisplay(title, io) : plainDisplay(title, io)
}

function describe(first: { at: number; done: number }, now: number, step: Step): string {
  const left = timeLeft(first, now, step)
  const rest = left === undefined ? undefined : `${duration(Math.max(0, left))} left`
  return [step.detail, step.done >= step.total ? undefined : rest].filter(Boolean).join(' · ')
}

function movingDisplay(title: string, io: Io): Display {
  let first: Phase | undefined
  let drawnAt = Number.NEGATIVE_INFINITY
  let shown = ''
  return {
    update(step) {
      const now = performance.now()
      first = inPhase(first, now, step)
      if (now - drawnAt < 80 && step.done < step.total) return
      drawnAt = now
      const share = step.total > 0 ? step.done / step.total : 0
      const { filled, empty } = bar(share, Math.max(8, Math.min(28, io.columns() - 60)))
      const { green, dim, bold } = io.colors
      const percent = `${String(Math.floor(share * 100)).padStart(3)} %`
      const room = io.columns() - title.length - filled.length - empty.length - percent.length - 5
      const text = describe(first, now, step).slice(0, Math.max(0, room))
      shown = `${bold(title)} ${green(filled)}${dim(empty)} ${percent}  ${text}`
      io.err(`${clearLine}${shown}`)
    },
    line(text) {
      io.err(`${clearLine}${text}\n${shown}`)
    },
    end() {
      if (shown) io.err(clearLine)
      shown = ''
    },
  }
}

function plainDisplay(title: string, io: Io): Display {
  let first: Phase | undefined
  let printedShare = Number.NEGATIVE_INFINITY
  let printedAt = 0
  return {
    update(step) {
      const now = performance.now()
      const phase = inPhase(first, now, step)
      if (phase !== first) [printedShare, printedAt] = [Number.NEGATIVE_INFINITY, 0]
      first = phase
      const share = step.total > 0 ? step.done / step.total : 0
      // a line each tenth, or each half minute when it goes slowly; an unchanged share is no news
      if (share < printedShare + 0.1 && (now - printedAt < 30_000 || share === printedShare)) return
      if (share < 1 && now - printedAt < 1000 && printedAt > 0) return
      printedShare = share
      printedAt = now
      io.err(`${title}: ${Math.floor(share * 100)} %  ${describe(first, now, step)}\n`)
    },
    line: (text) => io.err(`${text}\n`),
    end: () => {},
  }
}
