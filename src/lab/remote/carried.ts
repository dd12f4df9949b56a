/** @file The runs of a sweep as jobs that a carrier carries: an executor like `local`, whose runs are on their way together. */
import { join, resolve } from 'node:path'
import { writeAtomically } from '../../base/files.ts'
import { TreelineError } from '../../base/index.ts'
import { packageVersion } from '../../base/version.ts'
import { isFinished } from '../runFolder.ts'
import type { Ending, Executor, RunEvents, RunOrder } from '../sweep/executor.ts'
import { pause } from '../sweep/pause.ts'
import type { Carrier } from './carrier.ts'
import { type Done, type Job, makeJob } from './job.ts'
import { readsOf } from './reads.ts'

/** Milliseconds in which runs that start together are gathered. */
const gather = 50
/** Milliseconds for which a finished folder may stay invisible. */
const visible = 60_000

interface Waiting {
  readonly order: RunOrder
  readonly events: RunEvents
  readonly end: (ending: Ending) => void
}

/** What an order does not say of its job. */
interface AboutRun {
  /** The experiment's version. */
  readonly version: number
  /** Expected seconds. */
  readonly seconds: number | null
}

/** The job of a run. */
async function jobOfRun(
  { experiment, module, config, root, threads }: RunOrder,
  { version, seconds }: AboutRun,
): Promise<Job> {
  const reads = await readsOf(config)
  return makeJob({
    ...{ treeline: packageVersion(), experiment, version, threads, seconds },
    ...(module !== undefined && { module: resolve(module) }),
    ...(reads && { reads }),
    work: { kind: 'run', config },
    place: { folder: resolve(root) },
  })
}

/** Files that came through a queue; `done` last, as everywhere. */
function unpack(folder: string, files: Readonly<Record<string, string>>, hash: string): void {
  for (const [name, content] of Object.entries(files))
    if (/^[\w][\w.-]*$/.test(name) && name !== 'done' && name !== 'lock')
      writeAtomically(join(folder, name), Buffer.from(content, 'base64'))
  writeAtomically(join(folder, 'done'), `${hash}\n`)
}

const hashIn = (files: Readonly<Record<string, string>>): string => {
  const text = Buffer.from(files['config.json'] ?? '', 'base64').toString('utf8')
  return String((JSON.parse(text) as { hash?: unknown }).hash)
}

async function endingOf(done: Done, { folder }: RunOrder, signal: AbortSignal): Promise<Ending> {
  if ('failed' in done) return { kind: 'failed', message: done.failed }
  if ('files' in done && done.files && !isFinished(folder)) unpack(folder, done.files, hashIn(done.files))
  for (let waited = 0; !isFinished(folder) && waited < visible && !signal.aborted; waited += 500)
    await pause(500, signal)
  return { kind: 'finished' }
}

/** An executor whose runs a carrier carries. The signal is the sweep's: with its reason the carrier leaves or cancels. */
export function carriedExecutor(
  name: string,
  carrier: Carrier,
  {
    signal,
    about,
    onNote,
  }: {
    readonly signal: AbortSignal
    readonly about: (order: RunOrder) => AboutRun
    readonly onNote?: (line: string) => void
  },
): Executor {
  let waiting: Waiting[] = []
  let isGathering = false
  let before: Promise<void> = Promise.resolve()

  async function flush(all: readonly Waiting[]): Promise<void> {
    const jobs = new Map<string, Waiting>()
    const list: Job[] = []
    try {
      for (const one of all) {
        const job = await jobOfRun(one.order, about(one.order))
        jobs.set(job.id, one)
        list.push(job)
      }
      const endings: Promise<void>[] = []
      await carrier.carry(list, {
        signal,
        onNote,
        onDone(done, job) {
          const { order, end } = jobs.get(job.id)!
          jobs.delete(job.id)
          endings.push(
            endingOf(done, order, signal).then(end, (error: Error) =>
              end({ kind: 'failed', message: error.message }),
            ),
          )
        },
        onProgress: (job, share, detail) =>
          jobs.get(job.id)?.events.onProgress({ done: share, total: 1, detail }),
      })
      await Promise.all(endings)
    } catch (error) {
      const isStopped = error instanceof TreelineError && error.code === 'TL_INTERRUPTED'
      if (isStopped && !signal.aborted) onNote?.(error.message)
      for (const { end } of jobs.values())
        end(isStopped ? { kind: 'left' } : { kind: 'failed', message: (error as Error).message })
    }
  }
  return {
    name,
    description: '',
    parallel: () => Number.POSITIVE_INFINITY,
    isElsewhere: true,
    start(order, events) {
      const ended = new Promise<Ending>((end) => waiting.push({ order, events, end }))
      if (isGathering) return { interrupt: () => {}, ended }
      isGathering = true
      setTimeout(() => {
        const all = waiting
        ;[waiting, isGathering] = [[], false]
        // one after another: a carrier's folder belongs to one program
        before = before.then(() => flush(all))
      }, gather)
      return { interrupt: () => {}, ended }
    },
  }
}
