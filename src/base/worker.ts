/** @file What runs in a worker thread of `mapInWorkers`: one named function, item after item. */
import { parentPort, workerData } from 'node:worker_threads'
import { TreelineError } from './errors.ts'
import type { Reply, Task } from './workers.ts'

const { module, name } = workerData as Task
const loaded = import(module) as Promise<Record<string, (item: unknown) => unknown>>

parentPort!.on('message', async ({ index, item }: { index: number; item: unknown }) => {
  const reply = (message: Reply): void => parentPort!.postMessage(message)
  try {
    reply({ index, result: await (await loaded)[name]!(item) })
  } catch (error) {
    const { message, stack } = error instanceof Error ? error : new Error(String(error))
    reply({ index, error: { code: error instanceof TreelineError ? error.code : undefined, message, stack } })
  }
})
