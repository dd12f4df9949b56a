/**
 * @file The same function over many items on several threads (Node only). A task is named by its module and export, for a
 * closure cannot cross threads; items and results are structured clones, typed arrays included.
 */
import { Worker } from 'node:worker_threads'
import { breathe } from './breathe.ts'
import { type ErrorCode, fail, TreelineError } from './errors.ts'
import { isInside, makeGate, shutGate } from './native.ts'

/**
 * A function that a worker can find: `export async function <name>(item, signal, report)` in the module at `module` (a file:
 * URL). It may report how far it is, as often as it likes: what it passes to `report` arrives at `onReport`. A
 * task that runs native code of its own does so through `native`: a thread that is ended within it takes the process down.
 */
export interface Task {
  readonly module: string
  readonly name: string
}

/** Sends word of an item at work: a structured clone. */
export type Report = (news: unknown) => void

/** How to carry it out. */
export interface WorkersOptions<Item, Result> {
  /** Worker threads; 1 (or a single item) works on this thread. */
  readonly threads: number
  /** Aborted: no more items are begun, tasks get the signal, workers are ended, TL_INTERRUPTED is thrown. */
  readonly signal?: AbortSignal
  /** Items at hand in each worker (default 1). With 2 it need not wait for this thread between two short ones. */
  readonly ahead?: number
  /** Called on this thread as results come, in any order. */
  readonly onResult?: (result: Result, index: number, item: Item) => void
  /** Called on this thread with what a task reports while it is at an item. */
  readonly onReport?: (news: unknown, index: number, item: Item) => void
}

/** What a worker is told: an item of a task, a task to be ready for, or to leave what it is at. */
export type Order = { task: Task; index: number; item: unknown } | { ready: Task } | 'stop'

/** What a worker sends back. */
export type Reply =
  | { index: number; result: unknown }
  | { index: number; news: unknown }
  | { index: number; error: { code?: ErrorCode; message: string; stack?: string } }

const interrupted = (done: number, total: number): never =>
  fail('TL_INTERRUPTED', `interrupted after ${done} of ${total} parts`)

type Work<Item, Result> = (
  item: Item,
  signal: AbortSignal | undefined,
  report: Report,
) => Promise<Result> | Result

async function here<Item, Result>(
  task: Task,
  items: readonly Item[],
  { signal, onResult, onReport }: WorkersOptions<Item, Result>,
): Promise<Result[]> {
  const module = (await import(task.module)) as Record<string, Work<Item, Result>>
  const results: Result[] = []
  for (const [index, item] of items.entries()) {
    await breathe()
    if (signal?.aborted) interrupted(index, items.length)
    let result: Result
    try {
      result = await module[task.name]!(item, signal, (news) => onReport?.(news, index, item))
    } catch (error) {
      if (signal?.aborted) interrupted(index, items.length)
      throw error
    }
    results.push(result)
    onResult?.(result, index, item)
  }
  return results
}

/** Milliseconds that a worker gets to leave what it is at. */
const patience = 2000

/** Gates of the threads that live: nobody may end them, or the process, while they are in native code. */
const gates = new Map<Worker, Int32Array>()

const pause = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds))

/**
 * Let no thread begin another native call, and wait for those that are in one, so that the process can end. False when one
 * is still in it after so many milliseconds.
 */
export async function leaveNativeCode(milliseconds: number): Promise<boolean> {
  const all = [...gates.values()]
  for (const gate of all) shutGate(gate)
  for (const last = performance.now() + milliseconds; all.some(isInside); await pause(5))
    if (performance.now() > last) return false
  return true
}

/** End a worker; one that is at work is asked first. */
async function end(worker: Worker, isBusy: boolean): Promise<void> {
  const gate = gates.get(worker)
  if (!gate) return
  shutGate(gate)
  if (isBusy) {
    worker.postMessage('stop' satisfies Order)
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, patience)
      for (const event of ['message', 'exit'])
        worker.once(event, () => {
          clearTimeout(timer)
          resolve()
        })
    })
  }
  while (isInside(gate) && gates.has(worker)) await pause(5)
  await worker.terminate()
}

/** How threads are opened. */
export interface OpenOptions {
  /** A task whose module they load at once, while this thread still prepares the items. */
  readonly readyFor?: Task
  /**
   * The calling thread is one of them: it takes runs of items from the end of the list while the others take items from
   * the beginning, and looks after messages in between. For items that take milliseconds, the longest first.
   */
  readonly takesPart?: boolean
}

/** Threads that stay for several tasks, one after the other. */
export interface Workers {
  /** As `mapInWorkers`, on at most as many threads as there are. After a failure or an interruption there are none left. */
  readonly map: <Item, Result>(
    task: Task,
    items: readonly Item[],
    options: Omit<WorkersOptions<Item, Result>, 'threads'>,
  ) => Promise<Result[]>
  readonly close: () => Promise<void>
}

/** The program of a thread, compiled or, in tests, a source as this module is. */
const program = new URL(`./worker${import.meta.url.slice(-3)}`, import.meta.url)

const start = (): Worker => {
  const gate = makeGate()
  const worker = new Worker(program, { workerData: { gate } })
  gates.set(worker, gate)
  worker.once('exit', () => gates.delete(worker))
  // threads without work do not keep the program from ending
  worker.unref()
  return worker
}

/** Threads for what comes; without a task to be ready for they are started when they are needed. */
export function openWorkers(threads: number, { readyFor, takesPart = false }: OpenOptions = {}): Workers {
  const workers: Worker[] = []
  const add = (): void => {
    workers.push(start())
  }
  if (readyFor && threads > 1)
    for (let i = takesPart ? 1 : 0; i < threads; i++) {
      add()
      workers.at(-1)!.postMessage({ ready: readyFor } satisfies Order)
    }
  const close = async (busy: ReadonlyMap<Worker, number> = new Map()): Promise<void> => {
    await Promise.all(workers.splice(0).map((worker) => end(worker, (busy.get(worker) ?? 0) > 0)))
  }

  const map: Workers['map'] = async <Item, Result>(
    task: Task,
    items: readonly Item[],
    options: Omit<WorkersOptions<Item, Result>, 'threads'>,
  ) => {
    const { signal, onResult, onReport, ahead = 1 } = options
    const wanted = Math.min(threads, items.length)
    if (wanted <= 1) return await here(task, items, { ...options, threads: 1 })
    const others = takesPart ? wanted - 1 : wanted
    while (workers.length < others) add()
    const results = new Array<Result>(items.length)
    // orders that a worker has not answered
    const busy = new Map<Worker, number>()
    const listening: (() => void)[] = []
    let begun = 0
    let end = items.length
    let done = 0
    let isOver = false
    let stop = (): void => {}
    try {
      await new Promise<void>((resolve, reject) => {
        stop = () => {
          try {
            interrupted(done, items.length)
          } catch (error) {
            reject(error)
          }
        }
        if (signal?.aborted) return stop()
        signal?.addEventListener('abort', stop, { once: true })
        const finish = (result: Result, index: number): void => {
          results[index] = result
          done++
          onResult?.(result, index, items[index]!)
          if (done === items.length) resolve()
        }
        const takePart = async (): Promise<void> => {
          const module = (await import(task.module)) as Record<string, Work<Item, Result>>
          while (!isOver && begun < end) {
            // a run in the order of the list: what lies one after another in a file is read so
            const from = end - Math.max(1, Math.floor((end - begun) / (4 * wanted)))
            const to = end
            end = from
            for (let index = from; index < to && !isOver; index++) {
              const item = items[index]!
              const result = await module[task.name]!(item, signal, (news) => onReport?.(news, index, item))
              if (isOver) return
              finish(result, index)
              await breathe()
            }
          }
        }
        const next = (worker: Worker): void => {
          if (begun === end) return
          busy.set(worker, (busy.get(worker) ?? 0) + 1)
          worker.postMessage({ task, index: begun, item: items[begun++] } satisfies Order)
        }
        for (const worker of workers.slice(0, others)) {
          const onExit = (code: number): void => {
            busy.delete(worker)
            if (done < items.length) reject(new Error(`a worker thread ended with code ${code}`))
          }
          const onMessage = (reply: Reply): void => {
            if ('news' in reply) {
              if (!isOver) onReport?.(reply.news, reply.index, items[reply.index]!)
              return
            }
            busy.set(worker, busy.get(worker)! - 1)
            if (isOver) return
            if ('error' in reply) {
              const { code, message, stack } = reply.error
              reject(code ? new TreelineError(code, message) : Object.assign(new Error(message), { stack }))
              return
            }
            try {
              finish(reply.result as Result, reply.index)
              next(worker)
            } catch (error) {
              reject(error)
            }
          }
          worker.on('error', reject).on('exit', onExit).on('message', onMessage)
          worker.ref()
          listening.push(() => {
            worker.off('error', reject).off('exit', onExit).off('message', onMessage)
            worker.unref()
          })
        }
        for (let round = 0; round < ahead; round++)
          for (const worker of workers.slice(0, others)) next(worker)
        if (takesPart) takePart().catch(reject)
      })
    } catch (error) {
      isOver = true
      await close(busy)
      throw error
    } finally {
      signal?.removeEventListener('abort', stop)
      for (const leave of listening) leave()
    }
    return results
  }
  return { map, close: () => close() }
}

/**
 * Results in the order of the items, whatever the number of threads. The first failure ends the workers and is thrown.
 */
export async function mapInWorkers<Item, Result>(
  task: Task,
  items: readonly Item[],
  options: WorkersOptions<Item, Result>,
): Promise<Result[]> {
  const workers = openWorkers(options.threads)
  try {
    return await workers.map(task, items, options)
  } finally {
    await workers.close()
  }
}
