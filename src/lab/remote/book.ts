/**
 * @file What was sent to a scheduler, as files in a folder that the nodes see: a task is a list of jobs and a journal of its own,
 * so that nobody shares a file and no lock crosses a network. Submissions are noted before and after, so that a program killed
 * between the two finds what it has submitted by its name.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { makeFolder, writeAtomically } from '../../base/files.ts'
import { fail, isObject } from '../../base/index.ts'
import { appendJournal, type JournalKind, openJournal } from '../../base/journal.ts'
import { type Job, parseJob } from './job.ts'

/** A chunk of tasks that was handed to a scheduler at once. */
export interface Submission {
  /** What the scheduler knows it by, chosen here. */
  readonly name: string
  /** Numbers of tasks: `from`, …, `from + count − 1`. */
  readonly from: number
  readonly count: number
  /** What the scheduler calls it; null before it has answered. */
  readonly id: string | null
  /** Refused or cancelled: nothing of it is at work. */
  readonly void?: boolean
}

/** A line of a task's journal besides results. */
export type TaskNote = { readonly begun: string } | { readonly stopped: string } | { readonly end: true }

const number = (task: number): string => String(task).padStart(6, '0')
const taskFile = (folder: string, task: number): string => join(folder, `task-${number(task)}.json`)
export const taskJournal = (folder: string, task: number): string =>
  join(folder, `task-${number(task)}.jsonl`)
/** A number in a file that grows while a task lives. */
export const taskBeat = (folder: string, task: number): string => join(folder, `task-${number(task)}.beat`)

const lines: JournalKind<Submission> = {
  is: (value): value is Submission =>
    isObject(value) &&
    typeof value['name'] === 'string' &&
    Number.isInteger(value['from']) &&
    Number.isInteger(value['count']),
  expected: 'a submission',
  fix: 'delete the folder to submit everything again; finished jobs are kept elsewhere',
}

/** The jobs of a task. Throws TL_BAD_FILE, TL_IO. */
export function readTask(folder: string, task: number): Job[] {
  const path = taskFile(folder, task)
  let list: unknown
  try {
    list = JSON.parse(readFileSync(path, 'utf8'))
  } catch (error) {
    fail(
      'TL_IO',
      `${path}: cannot be read: is ${folder} a folder that this machine sees? (${(error as Error).message})`,
    )
  }
  if (!Array.isArray(list)) fail('TL_BAD_FILE', `${path}: expected a list of jobs`)
  return list.map((job, i) => parseJob(job, `${path}[${i}]`))
}

/** The book of what was sent from a folder. */
export function openBook(folder: string) {
  makeFolder(folder)
  const journal = join(folder, 'submitted.jsonl')
  const submissions = new Map<string, Submission>()
  for (const one of openJournal(journal, lines)) submissions.set(one.name, one)
  let next = readdirSync(folder).reduce((most, name) => {
    const [, digits] = /^task-(\d{6})\.json$/.exec(name) ?? []
    return digits === undefined ? most : Math.max(most, Number(digits) + 1)
  }, 0)
  return {
    folder,
    submissions,
    /** Tasks that were ever written. */
    tasks: () =>
      Array.from({ length: next }, (_, task) => task).filter((task) => existsSync(taskFile(folder, task))),
    /** Write a task; its number. */
    add(jobs: readonly Job[]): number {
      writeAtomically(taskFile(folder, next), JSON.stringify(jobs))
      return next++
    },
    note(submission: Submission): void {
      submissions.set(submission.name, submission)
      appendJournal(journal, [submission], true)
    },
  }
}

export type Book = ReturnType<typeof openBook>
