/** @file What runs in a worker thread of `openWorkers`: named functions, item after item. */
import { parentPort, workerData } from 'node:worker_threads'
import { TreelineError } from './errors.ts'
import { inWords } from './files.ts'
import { useGate } from './native.ts'
import { importOwn, isOurs } from './ownModules.ts'
import type { Order, Reply, Report, Task } from './workers.ts'

type Module = Record<string, (item: unknown, signal: AbortSignal, report: Report) => unknown>

const loaded = new Map<string, Promise<Module>>()
function load({ module }: Task): Promise<Module> {
  const found =
    loaded.get(module) ?? ((isOurs(module) ? import(module) : importOwn(module, module)) as Promise<Module>)
  loaded.set(module, found)
  return found
}

useGate((workerData as { gate: Int32Array }).gate)

const stopped = new AbortController()

async function carryOut({ task, index, item }: Exclude<Order, 'stop' | { ready: Task }>): Promise<void> {
  if (stopped.signal.aborted) return
  const reply = (message: Reply): void => parentPort!.postMessage(message)
  try {
    const report: Report = (news) => reply({ index, news })
    reply({ index, result: await (await load(task))[task.name]!(item, stopped.signal, report) })
  } catch (thrown) {
    // the code of a system error does not cross threads
    const error = inWords(thrown)
    const { message, stack } = error instanceof Error ? error : new Error(String(error))
    reply({ index, error: { code: error instanceof TreelineError ? error.code : undefined, message, stack } })
  }
}

// one after the other, also where a task waits for something
let last: Promise<void> = Promise.resolve()

parentPort!.on('message', (order: Order) => {
  if (order === 'stop') stopped.abort()
  // a module that cannot be loaded is reported with the first item
  else if ('ready' in order) load(order.ready).catch(() => {})
  else last = last.then(() => carryOut(order))
})
