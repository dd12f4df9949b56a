/** @file A sweep at work: on a terminal a block that renews itself, elsewhere one plain line for each run that ends. */
import { duration, percent } from '../base/index.ts'
import type { SweepRun } from '../lab/index.ts'
import type { Io } from './io.ts'
import { bar, timeLeft } from './progress.ts'

/** What the display is told. */
interface SweepDisplay {
  /** A run's state changed, or it advanced. */
  update: (runs: readonly SweepRun[], work: { done: number; total: number }) => void
  /** A run ended, or waits for somebody else. */
  ended: (run: SweepRun, runs: readonly SweepRun[], work: { done: number; total: number }) => void
  /** Show a line above. */
  line: (text: string) => void
  end: () => void
}

type Work = { done: number; total: number }
const clearLine = '\r\u001b[2K'

/** Words for the states that end a run, or hold it up. */
const words: Partial<Record<SweepRun['state'], string>> = {
  finished: 'done',
  failed: 'failed',
  busy: 'waits',
  interrupted: 'stopped',
}

const short = ({ planned }: SweepRun): string =>
  `${planned.experiment.name} ${planned.hash.slice(0, 12)}  ${planned.label}`

/** `12 done · 3 before · 2 running · 1 failed`, without what there is none of. */
export function tally(runs: readonly SweepRun[]): string {
  const count = (state: SweepRun['state']) => runs.filter((run) => run.state === state).length
  const parts: [number, string][] = [
    [count('finished'), 'done'],
    [count('skipped'), 'done before'],
    [count('running'), 'running'],
    [count('busy'), 'waiting for another process'],
    [count('waiting'), 'to do'],
    [count('interrupted'), 'stopped'],
    [count('failed'), 'failed'],
  ]
  return parts.flatMap(([n, word]) => (n > 0 ? [`${n} ${word}`] : [])).join(' · ')
}

/** `, about 3 min left` from the pace since the beginning; nothing before there is a pace. */
function rest(begun: { at: number; done: number }, { done, total }: Work): string {
  const left = timeLeft(begun, performance.now(), { done, total })
  return left === undefined || done >= total ? '' : `, about ${duration(Math.max(0, left))} left`
}

/** What a run's end looks like in a line. */
function endLine(run: SweepRun, runs: readonly SweepRun[]): string {
  const open = runs.filter(({ state }) => ['waiting', 'running', 'busy'].includes(state)).length
  const took = run.seconds === undefined ? '' : ` (${duration(run.seconds)})`
  const why = run.message ? `: ${run.message}` : ''
  return `[${runs.length - open}/${runs.length}] ${words[run.state] ?? run.state} ${short(run)}${took}${why}`
}

const silent: SweepDisplay = { update: () => {}, ended: () => {}, line: () => {}, end: () => {} }

/** A display of a sweep; `begun` is the work done before it. Nothing at all when `quiet`. */
export function makeSweepDisplay(io: Io, before: Work, quiet = false): SweepDisplay {
  if (quiet) return silent
  const begun = { at: performance.now(), done: before.done }
  if (!io.terminal)
    return {
      ...silent,
      ended: (run, runs, work) => io.err(`${endLine(run, runs)}${rest(begun, work)}\n`),
      line: (text) => io.err(`${text}\n`),
    }
  return movingDisplay(io, begun)
}

function movingDisplay(io: Io, begun: { at: number; done: number }): SweepDisplay {
  let drawn: string[] = []
  let drawnAt = Number.NEGATIVE_INFINITY
  const { green, red, dim, bold } = io.colors
  const clear = (): void => {
    if (drawn.length > 0) io.err(`${`${clearLine}\u001b[1A`.repeat(drawn.length - 1)}${clearLine}`)
  }
  const draw = (lines: string[]): void => {
    clear()
    io.err(lines.join('\n'))
    drawn = lines
  }
  const block = (runs: readonly SweepRun[], work: Work): string[] => {
    const width = io.columns() - 1
    const share = work.total > 0 ? work.done / work.total : 1
    const { filled, empty } = bar(share, 24)
    // full only when all is done
    const done = percent(Math.floor(share * 100) / 100, 0).padStart(5)
    const text = `${tally(runs)}${rest(begun, work)}`.slice(0, Math.max(0, width - 32))
    const running = runs
      .filter(({ state }) => state === 'running')
      .slice(0, 12)
      .map((run) => {
        const { progress } = run
        const part = progress && progress.total > 0 ? progress.done / progress.total : 0
        const small = bar(part, 10)
        const about = `${short(run)}${progress?.detail ? ` · ${progress.detail}` : ''}`
        return `  ${dim(small.filled + small.empty.replaceAll('─', ' '))} ${about.slice(0, Math.max(0, width - 13))}`
      })
    return [`${bold(green(filled))}${dim(empty)} ${done}  ${text}`, ...running]
  }
  return {
    update(runs, work) {
      const now = performance.now()
      if (now - drawnAt < 80) return
      drawnAt = now
      draw(block(runs, work))
    },
    ended(run, runs, work) {
      clear()
      drawn = []
      // finished runs are in the tally; what went wrong stays to be read
      if (run.state === 'failed' || run.state === 'busy') io.err(`${red(endLine(run, runs))}\n`)
      draw(block(runs, work))
    },
    line(text) {
      const lines = drawn
      clear()
      drawn = []
      io.err(`${text}\n`)
      if (lines.length > 0) draw(lines)
    },
    end() {
      clear()
      drawn = []
    },
  }
}
