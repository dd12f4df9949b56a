/**
 * @file The same function over many items on several threads (Node only). A task is named by its module and export, for a
 * closure cannot cross threads; items and results are structured clones, typed arrays included.
 */
import { Worker } from 'node:worker_threads'
import { type ErrorCode, fail, TreelineError } from './errors.ts'

/**
 * A function that a worker can find: `export async function <name>(item, signal)` in the module at `module` (a file: URL). A
 * task that runs native code must heed the signal: a thread that is ended within it takes the whole process down.
 */
export interface Task {
  readonly module: string
  readonly name: string
}

/** How to carry it out. */
export interface WorkersOptions<Item, Result> {
  /** Worker threads; 1 (or a single item) works on this thread. */
  readonly threads: number
  /** Aborted: no more items are begun, tasks get the signal, workers are ended, TL_INTERRUPTED is thrown. */
  readonly signal?: AbortSignal
  /** Called on this thread as results come, in any order. */
  readonly onResult?: (result: Result, index: number, item: Item) => void
}

/** What a worker is told. */
export type Order = { index: number; item: unknown } | 'stop'

/** What a worker sends back. */
export type Reply =
  | { index: number; result: unknown }
  | { index: number; error: { code?: ErrorCode; message: string; stack?: string } }

const interrupted = (done: number, total: number): never =>
  fail('TL_INTERRUPTED', `interrupted after ${done} of ${total} parts`)

/** Let signals in between two items. */
const breathe = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

async function here<Item, Result>(
  task: Task,
  items: readonly Item[],
  { signal, onResult }: WorkersOptions<Item, Result>,
): Promise<Result[]> {
  type Work = (item: Item, signal: AbortSignal | undefined) => Promise<Result> | Result
  const module = (await import(task.module)) as Record<string, Work>
  const results: Result[] = []
  for (const [index, item] of items.entries()) {
    await breathe()
    if (signal?.aborted) interrupted(index, items.length)
    let result: Result
    try {
      result = await module[task.name]!(item, signal)
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

/** End a worker; one that is at work is asked first. */
async function end(worker: Worker, isBusy: boolean): Promise<void> {
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
  await worker.terminate()
}

/**
 * Results in the order of the items, whatever the number of threads. The first failure ends the workers and is thrown.
 * From TypeScript sources (tests) everything runs on this thread: workers need the compiled modules.
 */
export async function mapInWorkers<Item, Result>(
  task: Task,
  items: readonly Item[],
  options: WorkersOptions<Item, Result>,
): Promise<Result[]> {
  const { signal, onResult } = options
  const threads = Math.min(options.threads, items.length)
  if (threads <= 1 || import.meta.url.endsWith('.ts')) return await here(task, items, options)
  const results = new Array<Result>(items.length)
  const workers: Worker[] = []
  const busy = new Set<Worker>()
  let begun = 0
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
      const next = (worker: Worker): void => {
        if (begun === items.length) return
        busy.add(worker)
        worker.postMessage({ index: begun, item: items[begun++] } satisfies Order)
      }
      for (let i = 0; i < threads; i++) {
        const worker = new Worker(new URL('./worker.js', import.meta.url), { workerData: task })
        workers.push(worker)
        worker.on('error', reject)
        worker.on('exit', (code) => {
          busy.delete(worker)
          if (done < items.length) reject(new Error(`a worker thread ended with code ${code}`))
        })
        worker.on('message', (reply: Reply) => {
          busy.delete(worker)
          if (isOver) return
          if ('error' in reply) {
            const { code, message, stack } = reply.error
            reject(code ? new TreelineError(code, message) : Object.assign(new Error(message), { stack }))
            return
          }
          try {
            results[reply.index] = reply.result as Result
            done++
            onResult?.(reply.result as Result, reply.index, items[reply.index]!)
          } catch (error) {
            reject(error)
            return
          }
          if (done === items.length) resolve()
          else next(worker)
        })
        next(worker)
      }
    })
  } finally {
    isOver = true
    signal?.removeEventListener('abort', stop)
    await Promise.all(workers.map((worker) => end(worker, busy.has(worker))))
  }
  return results
}
