/** @file The local executor: a pool of processes on this machine. Each is kept and given one run after another; one that dies is replaced. */
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

/** The run that a process is at. */
interface Work {
  readonly order: RunOrder
  readonly events: RunEvents
  readonly end: (ending: Ending) => void
}

/** A process of the pool. */
interface Member {
  readonly child: ChildProcess
  work?: Work
  output: string
}

const tell = ({ child }: Member, message: ToChild): void => {
  // a process that is just dying cannot be told anything; its end is dealt with elsewhere
  if (child.connected) child.send(message, () => {})
}

function conclude(member: Member, ending: Ending): void {
  const { work } = member
  member.work = undefined
  work?.end(ending)
}

/** Start a process; `gone` is called when it has ended. */
function startMember(entry: string, gone: (member: Member) => void): Member {
  const child = fork(entry, [], { execArgv: [], stdio: ['ignore', 'pipe', 'pipe', 'ipc'] })
  endWithUs(child)
  const member: Member = { child, output: '' }
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (chunk: Buffer) => {
      member.output = (member.output + chunk.toString()).slice(-mostOutput)
    })
  child.on('message', (message: FromChild) => {
    if (message.kind === 'progress') member.work?.events.onProgress(message.progress)
    else if (message.kind === 'log') member.work?.events.onLog(message.line)
    else conclude(member, message)
  })
  child.once('error', (error) => {
    gone(member)
    conclude(member, {
      kind: 'failed',
      message: `the process of this run could not be started: ${error.message}`,
    })
  })
  void whenGone(child).then(({ code, signal }) => {
    gone(member)
    const { work } = member
    if (!work) return
    const how = signal === null ? `ended with exit code ${code}` : `was ended by ${signal}`
    const message = `the process of this run ${how}`
    noteDeath(work.order.folder, message, member.output)
    conclude(member, {
      kind: fromOutside.includes(signal) && signal !== null ? 'killed' : 'failed',
      message,
    })
  })
  return member
}

/** Processes that are started when they are needed, and kept for the next run. */
function openPool(entry: string): Required<Pick<Executor, 'start' | 'close'>> {
  const members = new Set<Member>()
  const start = (order: RunOrder, events: RunEvents): Handle => {
    let member = [...members].find(({ work, child }) => !work && child.connected)
    if (!member) {
      member = startMember(entry, (gone) => members.delete(gone))
      members.add(member)
    }
    const own = member
    own.output = ''
    const ended = new Promise<Ending>((end) => {
      own.work = { order, events, end }
    })
    tell(own, { kind: 'order', order })
    return {
      interrupt: () => {
        if (own.work?.order === order) tell(own, { kind: 'interrupt' })
      },
      ended,
    }
  }
  const close = async (): Promise<void> => {
    const idle = [...members].filter(({ work }) => !work)
    const gone = idle.map(({ child }) => new Promise((resolve) => child.once('exit', resolve)))
    for (const { child } of idle) if (child.connected) child.disconnect()
    await Promise.all(gone)
  }
  return { start, close }
}

/** The executor. `entry` is the program of the processes. */
export const localExecutor = (entry = fileURLToPath(new URL('./child.js', import.meta.url))): Executor => ({
  name: 'local',
  description: 'a pool of processes on this machine',
  parallel: (threads) => Math.max(1, Math.floor(availableParallelism() / threads)),
  ...openPool(entry),
})
