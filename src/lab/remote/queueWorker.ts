/** @file A worker of a queue on Redis: takes jobs, has them done in child processes, gives back what it cannot finish. */
import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { fail } from '../../base/index.ts'
import { whenLeaving } from '../../base/leave.ts'
import { pause } from '../sweep/pause.ts'
import { type Done, parseJob } from './job.ts'
import type { Workshop } from './perform.ts'
import type { FromQueueChild, ToQueueChild } from './queueChild.ts'
import { checkRedis, queueLibraries } from './queueLibraries.ts'
import type { RedisAddress } from './redisAddress.ts'

export interface WorkerOptions {
  readonly queue: string
  /** Jobs at once. */
  readonly parallel: number
  /** End when the queue is empty. */
  readonly drain: boolean
  readonly shop: Omit<Workshop, 'signal' | 'report'>
  readonly signal: AbortSignal
  readonly onNote?: (line: string) => void
}

/** A job whose workers vanished so often is not given to another. */
const mostStalls = 5
/** Milliseconds between looks whether the queue is empty. */
const drainEvery = 500

/** Milliseconds that leaving may take. */
const patience = 5000

/** Wait for something, but not for ever. */
const within = async (milliseconds: number, work: Promise<unknown>): Promise<void> => {
  const controller = new AbortController()
  await Promise.race([work.finally(() => controller.abort()), pause(milliseconds, controller.signal)])
}

/** What ended a child that did not answer. */
const endOf = (code: number | null, signal: NodeJS.Signals | null): string =>
  `the process of this job ${signal === null ? `ended with exit code ${code}` : `was ended by ${signal}`}`

/** Child processes, each kept for the next job. */
function openChildren() {
  const idle: ChildProcess[] = []
  const busy = new Set<ChildProcess>()
  const start = (): ChildProcess => {
    const entry = fileURLToPath(new URL('./queueChild.js', import.meta.url))
    const child = fork(entry, [], { execArgv: [], stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
    const forget = whenLeaving(() => child.kill('SIGKILL'))
    child.once('exit', forget)
    return child
  }
  return {
    /** Have a job done; undefined when it was stopped. Rejects with the job's reason. */
    async perform(
      job: unknown,
      shop: WorkerOptions['shop'],
      onNews: (news: unknown) => void,
    ): Promise<Done | undefined> {
      const child = idle.pop() ?? start()
      busy.add(child)
      try {
        return await new Promise((resolve, reject) => {
          const onMessage = (message: FromQueueChild): void => {
            if (message.kind === 'news') {
              onNews(message.news)
              return
            }
            child.off('message', onMessage).off('exit', onExit)
            if (message.kind === 'done') resolve(message.done)
            else if (message.kind === 'stopped') resolve(undefined)
            else reject(new Error(message.message))
          }
          const onExit = (code: number | null, signal: NodeJS.Signals | null): void =>
            reject(new Error(endOf(code, signal)))
          child.on('message', onMessage).once('exit', onExit)
          child.send({ kind: 'job', job, shop } satisfies ToQueueChild, () => {})
        })
      } finally {
        busy.delete(child)
        if (child.connected) idle.push(child)
      }
    },
    stop(): void {
      for (const child of busy)
        if (child.connected) child.send({ kind: 'stop' } satisfies ToQueueChild, () => {})
    },
    close(): void {
      for (const child of [...idle, ...busy]) if (child.connected) child.disconnect()
    },
  }
}

/** Work until the signal is aborted, or with `drain` until the queue is empty. The number of jobs that were done. */
export async function workQueue(address: RedisAddress, options: WorkerOptions): Promise<number> {
  const { queue: name, parallel, drain, shop, signal, onNote } = options
  const { bullmq } = await queueLibraries()
  await checkRedis(address)
  const connection = { ...address.options }
  const children = openChildren()
  let done = 0
  const worker = new bullmq.Worker(
    name,
    async (job, token) => {
      let id: string
      try {
        ;({ id } = parseJob(job.data, `job ${job.id}`))
        if (job.id !== id) fail('TL_BAD_FILE', `job ${job.id}: its content is that of ${id}`)
      } catch (error) {
        // it would be refused again
        throw new bullmq.UnrecoverableError((error as Error).message)
      }
      const result = await children.perform(
        job.data,
        shop,
        (news) => void job.updateProgress(news as object).catch(() => {}),
      )
      if (!result) {
        // back into the queue at once, for whoever is there
        await job.moveToDelayed(Date.now(), token)
        throw new bullmq.DelayedError()
      }
      done++
      return result
    },
    { connection, concurrency: parallel, maxStalledCount: mostStalls },
  )
  worker.on('error', (error) => {
    // a lock that another worker has now: the job is done there
    if (!/lock|ECONN|closed/i.test(error.message)) onNote?.(error.message)
  })
  worker.on('failed', (job, error) => onNote?.(`${job?.name ?? 'a job'} ${job?.id ?? ''}: ${error.message}`))
  const queue = new bullmq.Queue(name, { connection })
  queue.on('error', () => {})
  onNote?.(`waiting for jobs in the queue ${name} of ${address.shown}`)
  try {
    while (!signal.aborted) {
      await pause(drainEvery, signal)
      if (!drain) continue
      const counts = await queue.getJobCounts('waiting', 'active', 'delayed').catch(() => undefined)
      if (counts && Object.values(counts).every((count) => count === 0)) break
    }
    if (signal.aborted) children.stop()
    await within(patience, worker.close())
  } finally {
    children.close()
    // a Redis that is just away keeps nobody from leaving; what is at work is given to others when its lock ends
    await within(patience, Promise.allSettled([worker.close(true), queue.close()]))
  }
  return done
}
