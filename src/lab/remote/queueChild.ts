/** @file The process in which a worker of a queue does its jobs: the worker itself stays free to renew their locks. */
import { oneLine } from '../../base/index.ts'
import { leave } from '../../base/leave.ts'
import { type Done, parseJob } from './job.ts'
import { closeShop, performJob, type Workshop } from './perform.ts'

/** To the child. */
export type ToQueueChild =
  | { readonly kind: 'job'; readonly job: unknown; readonly shop: Omit<Workshop, 'signal' | 'report'> }
  | { readonly kind: 'stop' }

/** From the child. */
export type FromQueueChild =
  | { readonly kind: 'done'; readonly done: Done }
  | { readonly kind: 'failed'; readonly message: string }
  | { readonly kind: 'stopped' }
  | { readonly kind: 'news'; readonly news: unknown }

let controller: AbortController | undefined
const send = (message: FromQueueChild): void => {
  if (process.connected) process.send!(message, undefined, undefined, () => {})
}

process.on('disconnect', () => {
  controller?.abort()
  setTimeout(() => void leave(1), controller ? 60_000 : 0).unref()
})
// the worker decides what an interrupt means
for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, () => {})
process.on('message', (message: ToQueueChild) => {
  if (message.kind === 'stop') {
    controller?.abort()
    return
  }
  const own = new AbortController()
  controller = own
  let sentAt = Number.NEGATIVE_INFINITY
  const report = (news: unknown): void => {
    if (performance.now() - sentAt < 1000) return
    sentAt = performance.now()
    send({ kind: 'news', news })
  }
  void (async () => {
    try {
      const done = await performJob(parseJob(message.job), { ...message.shop, signal: own.signal, report })
      send({ kind: 'done', done })
    } catch (error) {
      if (own.signal.aborted) send({ kind: 'stopped' })
      else send({ kind: 'failed', message: oneLine(error instanceof Error ? error.message : String(error)) })
    }
    if (controller === own) controller = undefined
    if (!process.connected) {
      await closeShop()
      await leave(0)
    }
  })()
})
