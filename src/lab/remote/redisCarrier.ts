/**
 * @file Jobs in a queue on Redis (BullMQ). A job's name in the queue is its content's, so that a job is there once, whoever adds it;
 * results come back with it. Events tell of them at once, and every job is looked at now and then, for events can be missed.
 */
import { join } from 'node:path'
import { makeFolder } from '../../base/files.ts'
import { fail, isObject, TreelineError } from '../../base/index.ts'
import { appendJournal, type JournalKind, readJournal } from '../../base/journal.ts'
import { lockFolder } from '../../base/lock.ts'
import { pause } from '../sweep/pause.ts'
import type { Carrier } from './carrier.ts'
import { isDone, type Job } from './job.ts'
import { checkRedis, queueLibraries } from './queueLibraries.ts'
import type { RedisAddress } from './redisAddress.ts'

/** Milliseconds between looks at jobs, and how many are looked at. */
const look = { every: 5000, jobs: 500 }
/** Seconds for which results wait for whoever attaches again. */
const keep = 14 * 86_400
const chunk = 500

const lines: JournalKind<{ readonly id: string }> = {
  is: (value): value is { readonly id: string } => isObject(value) && typeof value['id'] === 'string',
  expected: 'the name of a job',
  fix: 'delete the file: only --cancel needs it',
}

const queueSettings = {
  removeOnComplete: { age: keep },
  removeOnFail: { age: keep },
} as const

/** A carrier over a queue. `folder` remembers what was put there. `detach`: leave when everything is in it. */
export function redisCarrier(
  address: RedisAddress,
  queueName: string,
  folder: string,
  { detach = false, every = look.every }: { detach?: boolean; every?: number } = {},
): Carrier {
  const journal = join(folder, 'queued.jsonl')
  const open = async () => {
    const { bullmq } = await queueLibraries()
    await checkRedis(address)
    const connection = { ...address.options }
    const queue = new bullmq.Queue(queueName, { connection })
    // a Redis that is being restarted comes back; until then there is nothing to say
    queue.on('error', () => {})
    return { bullmq, connection, queue }
  }
  return {
    async carry(jobs, { signal, onDone, onProgress, onNote }) {
      makeFolder(folder)
      const unlock = lockFolder(folder)
      const { bullmq, connection, queue } = await open().catch((error: unknown) => {
        unlock()
        throw error
      })
      const events = new bullmq.QueueEvents(queueName, { connection })
      events.on('error', () => {})
      const waiting = new Map(jobs.map((job) => [job.id, job]))
      let broken: unknown
      const end = new AbortController()
      const take = (id: string, result: unknown): void => {
        const job = waiting.get(id)
        if (!job || broken) return
        waiting.delete(id)
        try {
          // another job's result, or nonsense, is a failure of this one
          onDone(
            isDone(result) && result.id === id ? result : { id, failed: 'the worker sent no result' },
            job,
          )
        } catch (error) {
          broken = error
        }
        if (waiting.size === 0 || broken) end.abort()
      }
      const parsed = (value: unknown): unknown => {
        if (typeof value !== 'string') return value
        try {
          return JSON.parse(value)
        } catch {
          return undefined
        }
      }
      events.on('completed', ({ jobId, returnvalue }) => take(jobId, parsed(returnvalue)))
      events.on('failed', ({ jobId, failedReason }) => take(jobId, { id: jobId, failed: failedReason }))
      events.on('progress', ({ jobId, data }) => {
        const job = waiting.get(jobId)
        const { share, detail } = data as { share?: unknown; detail?: unknown }
        if (job && typeof share === 'number')
          onProgress?.(job, share, typeof detail === 'string' ? detail : undefined)
      })
      const add = async (list: readonly Job[]): Promise<void> => {
        appendJournal(
          journal,
          list.map(({ id }) => ({ id })),
        )
        for (let i = 0; i < list.length; i += chunk)
          await queue.addBulk(
            list.slice(i, i + chunk).map((job) => ({
              name: job.experiment,
              data: job,
              opts: { jobId: job.id, ...queueSettings },
            })),
          )
      }
      /** Look at some jobs whatever events say; those that a restarted Redis has lost are added again. */
      const inspect = async (some: readonly Job[], isFirst: boolean): Promise<void> => {
        const absent: Job[] = []
        for (const job of some) {
          const found = await bullmq.Job.fromId(queue, job.id)
          if (!found) absent.push(job)
          else if (found.finishedOn === undefined) continue
          else if (found.failedReason === undefined) take(job.id, found.returnvalue)
          else if (isFirst) {
            // what failed before is tried again
            await found.remove()
            absent.push(job)
          } else take(job.id, { id: job.id, failed: found.failedReason })
        }
        await add(absent)
      }
      try {
        await events.waitUntilReady()
        await inspect([...waiting.values()], true)
        onNote?.(`${jobs.length} jobs are in the queue ${queueName} of ${address.shown}`)
        if (detach && waiting.size > 0)
          fail('TL_INTERRUPTED', 'submitted; the same command without --detach attaches again')
        const any = AbortSignal.any([signal, end.signal])
        let from = 0
        while (waiting.size > 0 && !broken && !signal.aborted) {
          await pause(every, any)
          if (any.aborted) break
          const all = [...waiting.values()]
          if (from >= all.length) from = 0
          await inspect(all.slice(from, from + look.jobs), false).catch((error: unknown) => {
            if (error instanceof TreelineError) throw error
          })
          from += look.jobs
        }
        if (broken || signal.reason === 'cancel') await remove(queue, [...waiting.keys()])
        if (broken) throw broken
        if (signal.aborted) fail('TL_INTERRUPTED', 'interrupted')
      } finally {
        await Promise.allSettled([events.close(), queue.close()])
        unlock()
      }
    },
    async cancel() {
      const { queue } = await open()
      try {
        return await remove(
          queue,
          readJournal(journal, lines).map(({ id }) => id),
        )
      } finally {
        await queue.close()
      }
    },
  }
}

/** Take jobs out of the queue that nobody has begun; how many there were. One at work comes to its end, and is kept. */
async function remove(
  queue: { getJob: (id: string) => Promise<{ remove: () => Promise<void> } | undefined> },
  ids: readonly string[],
): Promise<number> {
  let removed = 0
  for (const id of ids)
    try {
      const job = await queue.getJob(id)
      if (!job) continue
      await job.remove()
      removed++
    } catch {
      // a worker holds it
    }
  return removed
}
