/**
 * @file The parts of a run that do not depend on each other: done on several threads, each kept in jobs.jsonl as soon as it
 * is finished, so that a run killed at any moment loses only the parts at work.
 */
import { join } from 'node:path'
import { isObject, type Json, toJson } from '../base/index.ts'
import { appendJournal, type JournalKind, openJournal } from '../base/journal.ts'
import { mapInWorkers, type Task } from '../base/workers.ts'
import type { Away } from './away.ts'
import { contentHash } from './canonical.ts'
import type { RunContext } from './context.ts'
import { appendMetrics, readMetrics } from './metrics.ts'

interface Kept {
  readonly key: string
  readonly result: Json
}

const lines: JournalKind<Kept> = {
  is: (value): value is Kept => isObject(value) && typeof value['key'] === 'string' && 'result' in value,
  expected: 'a finished job',
  fix: 'run again with --fresh',
}

/** What fits a line of metrics: numbers and words, in their groups. */
function withoutLists(node: Json): Json {
  if (node === null || typeof node !== 'object') return node
  if (Array.isArray(node)) return []
  return Object.fromEntries(
    Object.entries(node)
      .filter(([, child]) => !Array.isArray(child))
      .map(([key, child]) => [key, withoutLists(child)]),
  )
}

/** How jobs are shown and weighed. */
export interface JobsOptions<Job> {
  /** Shown beside the bar when a job is finished. */
  readonly label?: (job: Job) => string
  /** Relative cost, for the bar and the time left; 1 when absent. */
  readonly cost?: (job: Job) => number
  /** All that a result depends on, where a job holds more than that; it is kept under this name. */
  readonly identity?: (job: Job) => unknown
  /** Lines of metrics.jsonl for a finished job; by default one, with the job and its result. */
  readonly lines?: (job: Job, result: Json) => readonly object[]
  /** Does the jobs elsewhere than on threads. */
  readonly away?: Away | undefined
}

/** What a task reports of a job at work. */
export interface Advance {
  /** Done of this job, 0 … 1. */
  readonly share: number
  readonly detail?: string
}

/**
 * Run `task` (a module's exported function, see `Task`) on every job, on `context.threads` threads; results in the order of
 * the jobs. Jobs and results are plain JSON data; a job must be all that its result depends on. Finished jobs of an
 * interrupted run are not done again. When all are done, each becomes a line of metrics.jsonl, in order, lists left out.
 * Throws TL_INTERRUPTED when the signal is aborted, and what a job throws.
 */
export async function runJobs<Job, Result>(
  context: Pick<RunContext<unknown>, 'folder' | 'threads' | 'signal' | 'progress'>,
  task: Task,
  jobs: readonly Job[],
  { label, cost = () => 1, identity, lines: linesOf, away }: JobsOptions<Job> = {},
): Promise<Result[]> {
  const path = join(context.folder, 'jobs.jsonl')
  const kept = new Map(openJournal(path, lines).map(({ key, result }) => [key, result]))
  const keys = jobs.map((job) =>
    contentHash(identity ? identity(job) : { task: task.name, job }).slice(0, 24),
  )
  const total = jobs.reduce((sum, job) => sum + cost(job), 0)
  const waiting = jobs.map((_, index) => index).filter((index) => !kept.has(keys[index]!))
  let done = total - waiting.reduce((sum, index) => sum + cost(jobs[index]!), 0)
  // what jobs at work have done of themselves
  const shares = new Map<number, number>()
  const advance = (detail?: string) =>
    context.progress({
      done: done + [...shares.values()].reduce((sum, part) => sum + part, 0),
      total,
      detail,
    })
  advance()
  const items = waiting.map((index) => jobs[index]!)
  const listeners = {
    signal: context.signal,
    onResult(result: unknown, at: number, job: Job) {
      const key = keys[waiting[at]!]!
      const plain = toJson(result)
      kept.set(key, plain)
      appendJournal(path, [{ key, result: plain }])
      done += cost(job)
      shares.delete(at)
      advance(label?.(job))
    },
    onReport(news: unknown, at: number, job: Job) {
      const { share, detail } = news as Advance
      shares.set(at, Math.min(1, Math.max(0, share)) * cost(job))
      advance([label?.(job), detail].filter(Boolean).join(', '))
    },
  }
  if (items.length > 0 && away) await away(items, listeners)
  else await mapInWorkers<Job, Result>(task, items, { threads: context.threads, ...listeners })
  const results = keys.map((key) => kept.get(key) as Json)
  const metrics = join(context.folder, 'metrics.jsonl')
  const first = readMetrics(metrics).length
  const told = results.flatMap((result, i): readonly object[] =>
    linesOf
      ? linesOf(jobs[i]!, result)
      : [{ task: task.name, job: withoutLists(toJson(jobs[i])), result: withoutLists(result) }],
  )
  appendMetrics(
    metrics,
    told.map((line, i) => ({ step: first + i, ...(withoutLists(toJson(line)) as object) })),
  )
  return results as Result[]
}
