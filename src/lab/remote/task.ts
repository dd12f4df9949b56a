/**
 * @file The jobs of a task, one after another, in this process: what a node of a cluster runs. Every result is on the disk before
 * the next job begins. Stopped by a signal it keeps what it has and says that there is more to do.
 */
import { writeFileSync } from 'node:fs'
import { TreelineError } from '../../base/index.ts'
import { appendJournal, openJournal } from '../../base/journal.ts'
import { readTask, type TaskNote, taskBeat, taskJournal } from './book.ts'
import { type Done, isDone } from './job.ts'
import { closeShop, performJob, type Workshop } from './perform.ts'

/** A job that ended its process so often is not begun again. */
const mostDeaths = 3
/** A job that was stopped so often before its end does not fit the time that it is given. */
const mostStops = 6
const beat = 5000

type Line = Done | TaskNote
export const taskLines = {
  is: (value: unknown): value is Line =>
    isDone(value) ||
    (typeof value === 'object' && value !== null && ['begun', 'stopped', 'end'].some((key) => key in value)),
  expected: 'a result or a note of a task',
  fix: 'delete the file: its jobs are done again',
}

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

/** Why a job is not begun once more, by what the journal says of it. */
function tooOften(id: string, before: readonly Line[]): string | undefined {
  const begun = before.filter((line) => 'begun' in line && line.begun === id).length
  const stopped = before.filter((line) => 'stopped' in line && line.stopped === id).length
  if (begun - stopped >= mostDeaths) return `the process of this job was ended ${begun - stopped} times`
  if (stopped >= mostStops)
    return `stopped ${stopped} times before its end: the time limit is too short for it (--slurm time=…)`
  return undefined
}

/** Do what is left of a task. `stopped`: there is more to do, and the task should be begun again. */
export async function workTask(
  folder: string,
  task: number,
  workshop: Workshop,
): Promise<'finished' | 'stopped'> {
  const journal = taskJournal(folder, task)
  const before = openJournal<Line>(journal, taskLines)
  const done = new Set(before.flatMap((line) => ('id' in line ? [line.id] : [])))
  const note = (line: Line): void => appendJournal(journal, [line], true)
  let beats = 0
  const pulse = (): void => {
    try {
      writeFileSync(taskBeat(folder, task), `${process.pid} ${beats++}`)
    } catch {
      // the next one may succeed
    }
  }
  pulse()
  const timer = setInterval(pulse, beat)
  try {
    for (const job of readTask(folder, task)) {
      if (done.has(job.id)) continue
      if (workshop.signal.aborted) return 'stopped'
      const refusal = tooOften(job.id, before)
      if (refusal !== undefined) {
        note({ id: job.id, failed: refusal })
        continue
      }
      note({ begun: job.id })
      try {
        note(await performJob(job, workshop))
      } catch (error) {
        const isStopped = error instanceof TreelineError && error.code === 'TL_INTERRUPTED'
        if (isStopped || workshop.signal.aborted) {
          note({ stopped: job.id })
          return 'stopped'
        }
        note({ id: job.id, failed: reasonOf(error) })
      }
    }
    note({ end: true })
    return 'finished'
  } finally {
    clearInterval(timer)
    await closeShop()
  }
}
