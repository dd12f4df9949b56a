/** @file What an experiment's `run` is given: its config, its folder, and ways to say how far it is. */
import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { explainSystemError, writeAtomically } from '../base/files.ts'
import { fail, prettyJson } from '../base/index.ts'
import type { Away } from './away.ts'
import { appendMetric, truncateMetrics } from './metrics.ts'

/** How far a run is. `done` and `total` share a unit of the experiment's choice; detail is shown beside the bar. */
export interface Progress {
  done: number
  total: number
  detail?: string
}

/** Everything `run` may use. */
export interface RunContext<Config> {
  readonly config: Config
  /** Threads for compiled programs. Not part of the config: it changes the time, not the meaning. */
  readonly threads: number
  readonly folder: string
  /** `state.safetensors` in the run folder. Write it atomically, after the metrics it covers. */
  readonly statePath: string
  /** True when an earlier process left a state to go on from: load it, then call `resumeFrom(step)`. */
  readonly resumed: boolean
  /** Aborted on Ctrl-C: finish the step, save the state, then call `stopIfInterrupted`. */
  readonly signal: AbortSignal
  /** Drop the metrics after this step, so that the file is as if the run had never been cut. */
  readonly resumeFrom: (step: number) => void
  /** Append one line to metrics.jsonl. */
  readonly metric: (values: { step: number; [name: string]: unknown }) => void
  /** Append one line to log.txt, with the time, and show it. */
  readonly log: (line: string) => void
  readonly progress: (progress: Progress) => void
  /** Write a JSON file into the run folder, for figures that need more than metrics: `write('confusion.json', …)`. */
  readonly write: (name: string, value: unknown) => void
  /** Where a study's measurements are made; on threads of this process when absent. */
  readonly away?: Away | undefined
  /** Throws TL_INTERRUPTED when the signal is aborted. */
  readonly stopIfInterrupted: () => void
}

/** Who listens to a run. */
export interface RunListeners {
  onProgress?: (progress: Progress) => void
  onLog?: (line: string) => void
}

/** The name of a data file of the run folder must stay inside it and not be one of the lab's own. */
const reserved = ['config.json', 'summary.json', 'sessions.json', 'metrics.jsonl', 'state.safetensors']

/** Append a line with the time to a log file. */
export function appendLog(folder: string, line: string): void {
  const path = join(folder, 'log.txt')
  try {
    appendFileSync(path, `${new Date().toISOString()} ${line}\n`)
  } catch (error) {
    explainSystemError(error, `cannot write ${path}`)
  }
}

/** The context of one run in `folder`. */
export function makeContext<Config>(
  given: Pick<RunContext<Config>, 'config' | 'threads' | 'folder' | 'resumed' | 'signal' | 'away'>,
  listeners: RunListeners = {},
): RunContext<Config> {
  const { folder, resumed, signal } = given
  const metricsPath = join(folder, 'metrics.jsonl')
  let mayAppend = !resumed
  return {
    ...given,
    statePath: join(folder, 'state.safetensors'),
    resumeFrom(step) {
      truncateMetrics(metricsPath, step)
      mayAppend = true
    },
    metric(values) {
      // a resumed run that forgot to say where it goes on would write every line twice
      if (!mayAppend)
        fail('TL_BAD_ARGUMENT', 'metric: a resumed run must call resumeFrom(step) before it appends metrics')
      appendMetric(metricsPath, values)
    },
    log(line) {
      appendLog(folder, line)
      listeners.onLog?.(line)
    },
    progress: (progress) => listeners.onProgress?.(progress),
    write(name, value) {
      if (!/^[a-z][\w-]*\.json$/.test(name) || reserved.includes(name))
        fail('TL_BAD_ARGUMENT', `write: expected a name such as confusion.json, got "${name}"`)
      writeAtomically(join(folder, name), prettyJson(value))
    },
    stopIfInterrupted() {
      if (signal.aborted) fail('TL_INTERRUPTED', 'interrupted')
    },
  }
}
