/**
 * @file Carrying out a plan: so many runs at once, each as an executor's process, what fails noted and passed over. The run
 * folders are the only memory: started again after any end whatever, a sweep does what is not done.
 */
import { fail, TreelineError } from '../../base/index.ts'
import { lockHolder } from '../../base/lock.ts'
import type { Progress } from '../context.ts'
import { isFinished, readSummary } from '../runFolder.ts'
import type { Ending, Executor, Handle } from './executor.ts'
import { pause } from './pause.ts'
import type { PlannedRun } from './plan.ts'

/** What a run of a sweep is at. `skipped`: it was finished before. */
export type SweepRunState =
  | 'waiting'
  | 'running'
  | 'finished'
  | 'skipped'
  | 'failed'
  | 'interrupted'
  /** Another process works in its folder; the sweep waits for it. */
  | 'busy'

/** One run of a sweep, as it is now. */
export interface SweepRun {
  readonly planned: PlannedRun
  /** Relative cost, for progress and the time left. */
  readonly weight: number
  state: SweepRunState
  progress?: Progress
  /** Why it failed or waits, in one line. */
  message?: string
  /** Seconds of work on it, all sessions, when finished. */
  seconds?: number
}

/** How to carry out a plan. */
export interface SweepOptions {
  readonly executor: Executor
  /** The folder that holds all runs. */
  readonly root: string
  /** Runs at once. */
  readonly parallel: number
  /** Threads of each run. */
  readonly threads: number
  /** Where a run's process finds experiments by name (see `RunOrder`). */
  readonly registry?: string
  /** Relative costs in the order of the runs; all alike when absent. */
  readonly weights?: readonly number[]
  /** Aborted: nothing more is begun, the runs at work are asked to stop and keep what they have. */
  readonly signal?: AbortSignal
  /** Called when a run's state changes. */
  readonly onState?: (run: SweepRun, all: readonly SweepRun[]) => void
  /** Called as a run advances. */
  readonly onProgress?: (run: SweepRun, all: readonly SweepRun[]) => void
  readonly onLog?: (run: SweepRun, line: string) => void
}

/** What became of a sweep. */
export interface SweepOutcome {
  readonly runs: readonly SweepRun[]
  readonly interrupted: boolean
}

/** A run whose process is ended from outside goes on in a new one, but not for ever: a lack of memory does not pass. */
const mostStarts = 3
/** Milliseconds between looks at a folder in which somebody else works. */
const lookAgain = 250

/** Share of the whole work that is done, parts of runs included; by weight. */
export function workDone(runs: readonly SweepRun[]): { done: number; total: number } {
  let [done, total] = [0, 0]
  for (const { weight, state, progress } of runs) {
    total += weight
    const part = progress && progress.total > 0 ? Math.min(1, progress.done / progress.total) : 0
    if (state === 'finished' || state === 'skipped' || state === 'failed') done += weight
    else if (state === 'running') done += weight * part
  }
  return { done, total }
}

/** The seconds of a finished run; a folder that cannot be read is not finished, whatever `done` says. */
function finishedSeconds(run: SweepRun): number | undefined {
  try {
    return readSummary(run.planned.folder).timing.seconds
  } catch (error) {
    if (!(error instanceof TreelineError)) throw error
    run.message = error.message
    return undefined
  }
}

/**
 * Carry out all runs of a plan that are not done. A run that fails does not stop the others. Never rejects for a run's
 * sake; rejects with TL_BAD_ARGUMENT when `parallel` is no positive number.
 */
export async function runSweep(plan: readonly PlannedRun[], options: SweepOptions): Promise<SweepOutcome> {
  const { executor, root, threads, weights, onState, onProgress, onLog } = options
  if (!(options.parallel >= 1))
    fail('TL_BAD_ARGUMENT', `parallel: expected a number >= 1, got ${options.parallel}`)
  const signal = options.signal ?? new AbortController().signal
  const runs: SweepRun[] = plan.map((planned, i) => ({
    planned,
    weight: weights?.[i] ?? 1,
    state: 'waiting',
  }))
  const handles = new Set<Handle>()
  const starts = new Map<SweepRun, number>()

  const become = (run: SweepRun, state: SweepRunState, message?: string): void => {
    run.state = state
    run.message = message
    onState?.(run, runs)
  }
  /** Believe `done` only together with a summary that can be read. */
  const becomeFinished = (run: SweepRun, state: 'finished' | 'skipped'): void => {
    run.seconds = finishedSeconds(run)
    if (run.seconds === undefined) become(run, 'failed', run.message)
    else become(run, state)
  }
  const order = ({ planned }: SweepRun) => ({
    experiment: planned.experiment.name,
    module: planned.module,
    registry: options.registry,
    config: { ...planned.config },
    root,
    folder: planned.folder,
    threads,
  })

  function conclude(run: SweepRun, ending: Ending): void {
    const mayGoOn = ending.kind === 'killed' || ending.kind === 'interrupted'
    if (isFinished(run.planned.folder)) becomeFinished(run, 'finished')
    else if (ending.kind === 'left' || signal.aborted) become(run, 'interrupted')
    else if (ending.kind === 'busy') become(run, 'busy', ending.message)
    else if (mayGoOn && (starts.get(run) ?? 0) < mostStarts) become(run, 'waiting')
    else if (ending.kind === 'failed' || ending.kind === 'killed') become(run, 'failed', ending.message)
    else become(run, 'failed', 'it stopped before it was finished')
  }

  async function work(run: SweepRun): Promise<void> {
    starts.set(run, (starts.get(run) ?? 0) + 1)
    run.progress = undefined
    become(run, 'running')
    const handle = executor.start(order(run), {
      onProgress(progress) {
        run.progress = progress
        onProgress?.(run, runs)
      },
      onLog: (line) => onLog?.(run, line),
    })
    handles.add(handle)
    const ending = await handle.ended
    handles.delete(handle)
    conclude(run, ending)
  }

  /** Whether a run can begin now; settles those that need no beginning. */
  function ready(run: SweepRun): boolean {
    const { folder } = run.planned
    if (isFinished(folder)) {
      becomeFinished(run, 'finished')
      return false
    }
    const holder = executor.isElsewhere ? undefined : lockHolder(folder)
    if (!holder) return true
    const message = `${folder}: in use by ${holder.who}`
    // of another machine's process nothing can be known from here: it may be gone for years
    if (!holder.here)
      become(
        run,
        'failed',
        `${message}; run the sweep again when it has ended, or delete ${folder}/lock if it is gone`,
      )
    else if (run.state !== 'busy') become(run, 'busy', message)
    return false
  }

  const stopAll = (): void => {
    for (const handle of handles) handle.interrupt()
  }
  signal.addEventListener('abort', stopAll, { once: true })
  const active = new Set<Promise<void>>()
  for (const run of runs) if (isFinished(run.planned.folder)) becomeFinished(run, 'skipped')
  while (!signal.aborted) {
    for (const run of runs) {
      if (active.size >= options.parallel) break
      if ((run.state !== 'waiting' && run.state !== 'busy') || !ready(run)) continue
      const job: Promise<void> = work(run).finally(() => active.delete(job))
      active.add(job)
    }
    const open = runs.some(({ state }) => state === 'waiting' || state === 'busy')
    if (active.size === 0 && !open) break
    const busy = runs.some(({ state }) => state === 'busy')
    await Promise.race([...active, ...(busy || active.size === 0 ? [pause(lookAgain, signal)] : [])])
  }
  await Promise.all(active)
  signal.removeEventListener('abort', stopAll)
  await executor.close?.()
  return { runs, interrupted: signal.aborted || runs.some(({ state }) => state === 'interrupted') }
}
