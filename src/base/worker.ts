/** @file What runs in a worker thread of `mapInWorkers`: one named function, item after item. */
import { parentPort, workerData } from 'node:worker_threads'
import { TreelineError } from './errors.ts'
import type { Order, Reply, Task } from './workers.ts'

const { module, name } = workerData as Task
const loaded = import(module) as Promise<Record<string, (item: unknown, signal: AbortSignal) => unknown>>

const stopped = new AbortController()

parentPort!.on('message', async (order: Order) => {
  if (order === 'stop') return stopped.abort()
  const { index, item } = order
  const reply = (message: Reply): void => parentPort!.postMessage(message)
  try {
    reply({ index, result: await (await loaded)[name]!(item, stopped.signal) })
  } catch (error) {
    const { message, stack } = error instanceof Error ? error : new Error(String(error))
    reply({ index, error: { code: error instanceof TreelineError ? error.code : undefined, message, stack } })
  }
})
