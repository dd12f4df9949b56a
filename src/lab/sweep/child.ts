/**
 * @file A process that carries out runs: told by its parent what to do, it does it, says how it ended, and waits for the next.
 * Loads as little as it can. When the parent is gone it keeps what it has and ends.
 */
import { oneLine, TreelineError } from '../../base/index.ts'
import { leave } from '../../base/leave.ts'
import { completeConfig } from '../config.ts'
import type { Progress } from '../context.ts'
import { executeRun } from '../execute.ts'
import type { AnyExperiment } from '../experiment.ts'
import { importExperiment } from '../importExperiment.ts'
import type { RunOrder } from './executor.ts'
import type { FromChild, ToChild } from './messages.ts'

/** Milliseconds between two reports of progress. */
const pace = 100
/** An orphan gets this long to come to a stop by itself. */
const grace = 60_000

/** A process that has grown beyond this makes room for a new one after its run. */
const mostBytes = 2e9

/** Of the run at work. */
let controller: AbortController | undefined
const interrupt = (): void => controller?.abort()

const send = (message: FromChild): Promise<void> =>
  new Promise((resolve) => {
    if (process.connected) process.send!(message, undefined, undefined, () => resolve())
    else resolve()
  })

/** Every step would be far more than anybody reads. */
function paced(): (progress: Progress) => void {
  let sentAt = Number.NEGATIVE_INFINITY
  return (progress) => {
    const now = performance.now()
    if (now - sentAt < pace && progress.done < progress.total) return
    sentAt = now
    void send({ kind: 'progress', progress })
  }
}

async function experimentOf({ experiment, module, registry }: RunOrder): Promise<AnyExperiment> {
  if (module || !registry) return importExperiment(module ?? experiment)
  const { loadExperiment } = (await import(registry)) as {
    loadExperiment: (name: string) => Promise<AnyExperiment>
  }
  return loadExperiment(experiment)
}

function explain(error: unknown): FromChild {
  if (!(error instanceof TreelineError))
    return { kind: 'failed', message: oneLine(error instanceof Error ? error.message : String(error)) }
  if (error.code === 'TL_INTERRUPTED') return { kind: 'interrupted' }
  return { kind: error.code === 'TL_BUSY' ? 'busy' : 'failed', message: error.message }
}

/** Experiments stay loaded from run to run. */
const loaded = new Map<string, Promise<AnyExperiment>>()

function experimentFor(order: RunOrder): Promise<AnyExperiment> {
  const name = `${order.module} ${order.registry} ${order.experiment}`
  const known = loaded.get(name) ?? experimentOf(order)
  loaded.set(name, known)
  return known
}

async function carryOut(order: RunOrder, signal: AbortSignal): Promise<FromChild> {
  try {
    const experiment = await experimentFor(order)
    await executeRun(experiment, completeConfig(experiment, order.config), {
      root: order.root,
      threads: order.threads,
      module: order.module,
      signal,
      onProgress: paced(),
      onLog: (line) => void send({ kind: 'log', line }),
    })
    return { kind: 'finished' }
  } catch (error) {
    return explain(error)
  }
}

process.on('disconnect', () => {
  if (!controller) void leave(0)
  interrupt()
  setTimeout(() => void leave(1), grace).unref()
})
// Ctrl-C in a terminal reaches the children as well as the sweep; the sweep decides what the second one means
process.on('SIGINT', interrupt)
process.on('SIGTERM', () => {
  if (controller) interrupt()
  else void leave(0)
})
process.on('message', (message: ToChild) => {
  if (message.kind === 'interrupt') {
    interrupt()
    return
  }
  process.title = `treeline ${message.order.experiment} ${message.order.folder}`
  const own = new AbortController()
  controller = own
  void carryOut(message.order, own.signal).then(async (ending) => {
    await send(ending)
    if (controller === own) controller = undefined
    if (!process.connected || process.memoryUsage.rss() > mostBytes) await leave(0)
  })
})
