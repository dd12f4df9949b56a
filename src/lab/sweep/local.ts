/** @file The local executor: each run in a process of its own on this machine. */
import { type ChildProcess, fork } from 'node:child_process'
import { appendFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Ending, Executor, Handle, RunEvents, RunOrder } from './executor.ts'
import type { FromChild, ToChild } from './messages.ts'

/** What a process said last on its own is kept for the case that it dies without a word to us. */
const mostOutput = 4000

/** Signals that say nothing about the run itself: it may go on where it was. */
const fromOutside: readonly (NodeJS.Signals | null)[] = ['SIGKILL', 'SIGTERM', 'SIGHUP']

const alive = new Set<ChildProcess>()
let watching = false

/** When this process ends at once, no child outlives it. (After SIGKILL, children notice by themselves.) */
function endWithUs(child: ChildProcess): void {
  alive.add(child)
  child.once('exit', () => alive.delete(child))
  if (watching) return
  watching = true
  process.once('exit', () => {
    for (const each of alive) each.kill('SIGKILL')
  })
}

/** Note in the run's log how its process died; the folder may not even exist. */
function noteDeath(folder: string, message: string, output: string): void {
  try {
    const said = output.trim() === '' ? '' : `; it said last:\n${output.trimEnd()}`
    appendFileSync(join(folder, 'log.txt'), `${new Date().toISOString()} ${message}${said}\n`)
  } catch {
    // the message reaches the user all the same
  }
}

/** Resolves when the process has ended and everything it sent has arrived. */
function whenGone(child: ChildProcess): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
  const disconnected = new Promise<void>((resolve) => child.once('disconnect', resolve))
  return new Promise((resolve) => {
    child.once('exit', (code, signal) => {
      if (!child.connected) resolve({ code, signal })
      else void disconnected.then(() => resolve({ code, signal }))
    })
  })
}

function start(entry: string, order: RunOrder, { onProgress, onLog }: RunEvents): Handle {
  const child = fork(entry, [], { execArgv: [], stdio: ['ignore', 'pipe', 'pipe', 'ipc'] })
  endWithUs(child)
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(-mostOutput)
    })
  let last: Ending | undefined
  child.on('message', (message: FromChild) => {
    if (message.kind === 'progress') onProgress(message.progress)
    else if (message.kind === 'log') onLog(message.line)
    else last = message
  })
  const send = (message: ToChild): void => {
    // a process that is just dying cannot be told anything; its end is dealt with below
    if (child.connected) child.send(message, () => {})
  }
  send({ kind: 'order', order })

  const failedToStart = new Promise<Ending>((resolve) => {
    child.once('error', (error) =>
      resolve({ kind: 'failed', message: `the process of this run could not be started: ${error.message}` }),
    )
  })
  const gone = whenGone(child).then(({ code, signal }): Ending => {
    if (last) return last
    const how = signal === null ? `ended with exit code ${code}` : `was ended by ${signal}`
    const message = `the process of this run ${how}`
    noteDeath(order.folder, message, output)
    return { kind: fromOutside.includes(signal) && signal !== null ? 'killed' : 'failed', message }
  })
  return { interrupt: () => send({ kind: 'interrupt' }), ended: Promise.race([failedToStart, gone]) }
}

/** The executor. `entry` is the program of one run's process. */
export const localExecutor = (entry = fileURLToPath(new URL('./child.js', import.meta.url))): Executor => ({
  name: 'local',
  description: 'one process for each run, on this machine',
  parallel: (threads) => Math.max(1, Math.floor(availableParallelism() / threads)),
  start: (order, events) => start(entry, order, events),
})
