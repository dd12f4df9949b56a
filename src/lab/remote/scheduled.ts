/**
 * @file Carrying jobs by a scheduler over a shared folder: jobs become tasks, tasks are submitted in chunks as room appears,
 * results are read from the tasks' journals. The scheduler is asked seldom, and for everything at once; what it says only tells
 * which tasks are gone without having finished.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { basename } from 'node:path'
import { fail } from '../../base/index.ts'
import { journalLines } from '../../base/journal.ts'
import { lockFolder } from '../../base/lock.ts'
import { pause } from '../sweep/pause.ts'
import { type Book, openBook, readTask, type Submission, taskJournal } from './book.ts'
import { bundle } from './bundle.ts'
import type { Carrier, CarryOptions } from './carrier.ts'
import type { Job } from './job.ts'
import { taskLines } from './task.ts'

/** Who hands tasks to machines. */
export interface Scheduler {
  readonly name: string
  /** Tasks in one submission at most. Throws when there is no such scheduler here. */
  readonly most: () => Promise<number>
  /** Whether it takes another submission just now, where that is known without asking. */
  readonly room?: () => boolean
  /** Submit tasks; what the scheduler calls them, or `full` where it takes no more just now. Throws with the scheduler's words. */
  readonly submit: (folder: string, submission: Submission) => Promise<string | 'full'>
  /** Which tasks wait or work; undefined when that cannot be known just now. */
  readonly alive: (folder: string, submissions: readonly Submission[]) => Promise<Set<number> | undefined>
  /** The scheduler's name of a submission whose answer was lost; undefined when it knows none. */
  readonly find: (submission: Submission) => Promise<string | undefined>
  readonly cancel: (submissions: readonly Submission[]) => Promise<void>
}

/** Milliseconds; tests take others. */
export interface Patience {
  /** Between looks at journals. */
  readonly look: number
  /** Between questions to the scheduler, at first and at most. */
  readonly ask: number
  readonly askMost: number
  /** That a task may be gone before its journal is believed to be all there is. */
  readonly visible: number
}
export const patience: Patience = { look: 1000, ask: 10_000, askMost: 60_000, visible: 60_000 }

/** Tasks that vanished without having begun, one after another, before their folder is believed to be out of their sight. */
const mostBlind = 3
/** How often jobs are sent again after their task was gone. */
const mostSends = 5

interface Sent {
  readonly task: number
  /** Jobs without a result. */
  readonly open: Map<string, Job>
  /** Bytes of the journal that were read. */
  read: number
  begun: boolean
  goneSince?: number
}

/** New whole lines of a task's journal. */
function news(folder: string, sent: Sent) {
  const path = taskJournal(folder, sent.task)
  let descriptor: number
  try {
    descriptor = openSync(path, 'r')
  } catch {
    return []
  }
  try {
    const { size } = fstatSync(descriptor)
    if (size <= sent.read) return []
    const bytes = Buffer.alloc(size - sent.read)
    const length = readSync(descriptor, bytes, 0, bytes.length, sent.read)
    const found = journalLines(bytes.subarray(0, length), path, taskLines)
    sent.read += found.length
    if (found.lines.length > 0) sent.begun = true
    return found.lines
  } finally {
    closeSync(descriptor)
  }
}

class Carrying {
  readonly open = new Map<string, Job>()
  readonly sent = new Map<number, Sent>()
  readonly sends = new Map<string, number>()
  /** Tasks that are written and not submitted. */
  readonly unsubmitted: number[] = []
  blind = 0
  askedAt = Number.NEGATIVE_INFINITY
  between: number
  most = 0
  isFull = false

  constructor(
    readonly scheduler: Scheduler,
    readonly book: Book,
    readonly options: CarryOptions,
    readonly taskSeconds: number,
    readonly patience: Patience,
  ) {
    this.between = patience.ask
  }

  /** Know again what was sent before, by whomever. */
  async attach(): Promise<void> {
    for (const submission of [...this.book.submissions.values()])
      if (submission.id === null && !submission.void) {
        const id = await this.scheduler.find(submission)
        this.book.note({ ...submission, id: id ?? null, void: id === undefined })
      }
    for (const task of this.book.tasks()) {
      const open = new Map(
        readTask(this.book.folder, task).flatMap((job) =>
          this.open.has(job.id) ? [[job.id, job] as const] : [],
        ),
      )
      const sent: Sent = { task, open, read: 0, begun: false }
      if (open.size > 0) this.sent.set(task, sent)
    }
    this.harvest()
    for (const [task, { open }] of this.sent) {
      const submission = this.submissionOf(task)
      if (!submission) {
        // written, and never handed over: its jobs go into a new task
        this.sent.delete(task)
        continue
      }
      for (const id of open.keys()) this.sends.set(id, 1)
    }
  }

  submissionOf(task: number): Submission | undefined {
    return [...this.book.submissions.values()].find(
      ({ from, count, void: isVoid }) => !isVoid && task >= from && task < from + count,
    )
  }

  /** Jobs that are in no task that may still do them. */
  waiting(): Job[] {
    const out = new Set([...this.sent.values()].flatMap(({ open }) => [...open.keys()]))
    return [...this.open.values()].filter(({ id }) => !out.has(id))
  }

  harvest(): boolean {
    let isNews = false
    for (const [task, sent] of this.sent) {
      for (const line of news(this.book.folder, sent)) {
        isNews = true
        if (!('id' in line)) continue
        const job = this.open.get(line.id)
        sent.open.delete(line.id)
        // a job done twice is one result
        if (!job) continue
        this.open.delete(line.id)
        this.options.onDone(line, job)
      }
      if (sent.begun) this.blind = 0
      if (sent.open.size === 0) this.sent.delete(task)
    }
    return isNews
  }

  /** Give up tasks that the scheduler does not know any more and whose journals have had time to appear. */
  drop(alive: Set<number>, now: number): void {
    for (const [task, sent] of this.sent) {
      if (alive.has(task) || this.unsubmitted.includes(task)) {
        sent.goneSince = undefined
        continue
      }
      sent.goneSince ??= now
      if (now - sent.goneSince < this.patience.visible) continue
      this.sent.delete(task)
      if (!sent.begun && ++this.blind >= mostBlind)
        fail(
          'TL_IO',
          `${this.book.folder}: ${this.blind} tasks left ${this.scheduler.name} without having begun: the nodes must see this folder and be able to start Treeline; what they said is in ${this.book.folder}/said`,
        )
      for (const job of sent.open.values())
        if ((this.sends.get(job.id) ?? 0) >= mostSends) {
          this.open.delete(job.id)
          this.options.onDone(
            { id: job.id, failed: `its task was lost ${mostSends} times; see ${this.book.folder}/said` },
            job,
          )
        }
    }
  }

  async ask(now: number): Promise<void> {
    if (now - this.askedAt < this.between || this.sent.size === 0) return
    this.askedAt = now
    const tasks = [...this.sent.keys()]
    const current = [...this.book.submissions.values()].filter(
      ({ id, void: isVoid, from, count }) =>
        id !== null && !isVoid && tasks.some((task) => task >= from && task < from + count),
    )
    const alive = await this.scheduler.alive(this.book.folder, current)
    if (alive) this.drop(alive, performance.now())
    this.between = Math.min(this.patience.askMost, this.between * 1.5)
    this.isFull = false
  }

  async submit(): Promise<void> {
    const waiting = this.waiting()
    if (waiting.length > 0)
      for (const jobs of bundle(waiting, this.taskSeconds)) {
        const task = this.book.add(jobs)
        this.sent.set(task, { task, open: new Map(jobs.map((job) => [job.id, job])), read: 0, begun: false })
        for (const { id } of jobs) this.sends.set(id, (this.sends.get(id) ?? 0) + 1)
        this.unsubmitted.push(task)
      }
    const { room = () => true } = this.scheduler
    while (this.unsubmitted.length > 0 && !this.isFull && room() && !this.options.signal.aborted) {
      this.most ||= await this.scheduler.most()
      const [from] = this.unsubmitted as [number]
      let count = 1
      while (count < this.most && this.unsubmitted[count] === from + count) count++
      // unique, also when the same tasks are submitted once more
      const name = `treeline-${basename(this.book.folder)}-${from}-${this.book.submissions.size}`
      const submission: Submission = { name, from, count, id: null }
      this.book.note(submission)
      let id: string
      try {
        id = await this.scheduler.submit(this.book.folder, submission)
      } catch (error) {
        this.book.note({ ...submission, void: true })
        const before = [...this.book.submissions.values()].filter((one) => one.id !== null && !one.void)
        const told =
          before.length === 0
            ? 'nothing was submitted'
            : `submitted before, and at work: ${before.map((one) => one.id).join(', ')}`
        fail('TL_IO', `${(error as Error).message} (${told})`, error)
      }
      if (id === 'full') {
        this.book.note({ ...submission, void: true })
        if (count === 1 && this.sent.size === this.unsubmitted.length)
          this.options.onNote?.(`${this.scheduler.name} takes no more jobs just now; waiting for room`)
        this.most = Math.max(1, count >> 1)
        this.isFull = count === 1 || this.sent.size > this.unsubmitted.length
        continue
      }
      this.book.note({ ...submission, id })
      this.unsubmitted.splice(0, count)
      this.between = this.patience.ask
      this.options.onNote?.(`submitted ${count} task${count === 1 ? '' : 's'} as ${id}`)
    }
  }
}

/** A carrier over a scheduler. `folder` is where tasks are written; tasks last about `taskSeconds`. `detach`: leave after submission. */
export function scheduledCarrier(
  scheduler: Scheduler,
  folder: string,
  {
    taskSeconds,
    detach = false,
    times = patience,
  }: { taskSeconds: number; detach?: boolean; times?: Patience },
): Carrier {
  const cancelAll = async (book: Book): Promise<number> => {
    const open = [...book.submissions.values()].filter(({ id, void: isVoid }) => id !== null && !isVoid)
    await scheduler.cancel(open)
    for (const submission of open) book.note({ ...submission, void: true })
    return open.length
  }
  return {
    async carry(jobs, options) {
      const book = openBook(folder)
      const unlock = lockFolder(folder)
      const carrying = new Carrying(scheduler, book, options, taskSeconds, times)
      for (const job of jobs) carrying.open.set(job.id, job)
      try {
        await carrying.attach()
        let look = times.look
        while (carrying.open.size > 0) {
          await carrying.submit()
          if (detach && carrying.unsubmitted.length === 0)
            fail('TL_INTERRUPTED', 'submitted; the same command without --detach attaches again')
          if (options.signal.aborted) {
            if (options.signal.reason === 'cancel') await cancelAll(book)
            fail('TL_INTERRUPTED', 'interrupted')
          }
          await pause(look, options.signal)
          look = carrying.harvest() ? times.look : Math.min(times.look * 5, look * 1.2)
          await carrying.ask(performance.now())
        }
      } catch (error) {
        const { code } = error as { code?: string }
        // a job that failed ends the others, as it does on this machine
        if (code !== 'TL_INTERRUPTED' && code !== 'TL_IO') await cancelAll(book).catch(() => 0)
        throw error
      } finally {
        unlock()
      }
    },
    async cancel() {
      const unlock = lockFolder(folder)
      try {
        return await cancelAll(openBook(folder))
      } finally {
        unlock()
      }
    },
  }
}
