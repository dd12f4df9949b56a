/** @file Jobs as data: names by content, hostile ones refused; options, times and addresses; tasks that get lost or appear late. */
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { readMachines } from '../../../src/lab/machine.ts'
import { readTask, type Submission, taskJournal } from '../../../src/lab/remote/book.ts'
import { bundle } from '../../../src/lab/remote/bundle.ts'
import { checkTemplates } from '../../../src/lab/remote/command.ts'
import { type Done, type Job, makeJob, parseJob } from '../../../src/lab/remote/job.ts'
import { planAway } from '../../../src/lab/remote/plan.ts'
import { redisAddress } from '../../../src/lab/remote/redisAddress.ts'
import { type Scheduler, scheduledCarrier } from '../../../src/lab/remote/scheduled.ts'
import { aliveTasks, slurmOptions } from '../../../src/lab/remote/slurm.ts'
import { slurmSeconds } from '../../../src/lab/remote/slurmTime.ts'

let root = ''
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'treeline-jobs-'))
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

const jobOf = (replica: number, seconds: number | null = 1): Job =>
  makeJob({
    ...{ treeline: '0.1.0', experiment: 'plateaus', version: 1, threads: 1, seconds },
    work: { kind: 'cell', config: { seed: 1 }, cell: { m: 2 }, replica },
  })
const made = { node: '20', cpu: 'x', host: 'h' }
const resultOf = ({ id, work }: Job): Done => ({
  ...{ id, made, seconds: 1 },
  rows: [{ value: work.kind === 'cell' ? work.replica / 3 : 0 }],
})

describe('a job', () => {
  it('is named by what its result depends on, and nothing else', () => {
    const job = jobOf(1)
    expect(jobOf(1, 99).id).toBe(job.id)
    expect(jobOf(2).id).not.toBe(job.id)
    expect(parseJob(JSON.parse(JSON.stringify(job)))).toEqual(job)
  })

  it('is refused when anything in it was changed, whatever it is', () => {
    const { work } = jobOf(1)
    const hostile: unknown[] = [
      { ...jobOf(1), work: { ...work, replica: 2 } },
      { ...jobOf(1), experiment: '../../etc/passwd' },
      { ...jobOf(1), threads: 1e9 },
      { ...jobOf(1), module: 7 },
      { ...jobOf(1), place: { folder: 'a\0b' } },
      { ...jobOf(1), format: 'treeline-job/2' },
    ]
    for (const one of hostile) expect(() => parseJob(one)).toThrow(/^job: /)
    fc.assert(
      fc.property(fc.jsonValue(), fc.constantFrom(...Object.keys(jobOf(1))), (value, field) => {
        expect(() => parseJob(value)).toThrow(/^job: /)
        const changed = { ...jobOf(1), [field]: value }
        try {
          // what is not part of the name may be another valid value
          expect(parseJob(changed).id).toBe(jobOf(1).id)
        } catch (error) {
          expect((error as { code: string }).code).toBe('TL_BAD_FILE')
        }
      }),
      { numRuns: 200 },
    )
  })
})

describe('machines of a run', () => {
  it('are counted by kind in its folder; a damaged count is none', () => {
    expect(readMachines(root)).toEqual([])
    writeFileSync(join(root, 'machines.json'), JSON.stringify([{ node: '24', cpu: 'x', jobs: 2 }]))
    expect(readMachines(root)).toEqual([{ node: '24', cpu: 'x', jobs: 2 }])
    writeFileSync(join(root, 'machines.json'), '[{')
    expect(readMachines(root)).toEqual([])
  })
})

describe('words of schedulers', () => {
  it('takes options of sbatch, and lists the valid ones at a misspelling', () => {
    expect(slurmOptions(['partition=cpu,nodelist=a,b,time=1:00', 'exclusive'])).toEqual({
      partition: 'cpu',
      nodelist: 'a,b',
      time: '1:00',
      exclusive: true,
    })
    expect(() => slurmOptions(['tiem=5'])).toThrow('did you mean "time"? (valid: account,')
    expect(() => slurmOptions(['job-name=x'])).toThrow('Treeline sets it itself')
  })

  it('reads time limits as Slurm does', () => {
    const limits = {
      '5': 300,
      '5:30': 330,
      '1:00:00': 3600,
      '2-0': 172_800,
      '1-2:30': 95_400,
      UNLIMITED: undefined,
    }
    for (const [text, seconds] of Object.entries(limits))
      expect([text, slurmSeconds(text)]).toEqual([text, seconds])
  })

  it('knows tasks by the names of their arrays', () => {
    const submissions: Submission[] = [
      { name: 'treeline-a-0-0', from: 0, count: 3, id: '7' },
      { name: 'treeline-a-3-1', from: 3, count: 2, id: '8' },
    ]
    const out = 'treeline-a-0-0 2\ntreeline-a-3-1 0\nanother 1\ntreeline-a-0-0 N/A\n\n'
    expect([...aliveTasks(out, submissions)]).toEqual([2, 3])
  })

  it('never shows a password', () => {
    const { options, shown } = redisAddress('rediss://me:se%3Acret@queue.lab:6380/2', {})
    expect(options).toMatchObject({
      host: 'queue.lab',
      port: 6380,
      db: 2,
      username: 'me',
      password: 'se:cret',
      tls: {},
    })
    expect(shown).toBe('rediss://queue.lab:6380/2')
    expect(redisAddress('redis://h', { TREELINE_REDIS_PASSWORD: 'p' }).options.password).toBe('p')
    for (const text of ['', 'http://me:secret@h', 'redis://me:secret@h/x', 'redis:'])
      expect(() => redisAddress(text, {})).toThrow(/^(?!.*secret)redis: expected an address/)
  })

  it('refuses templates that say nothing of the task', () => {
    expect(() => checkTemplates({ command: 'qsub x' })).toThrow('expected {command} in it')
    expect(() => checkTemplates({ command: '{command}', ask: 'qstat' })).toThrow('expected {id} in it')
  })
})

describe('a plan', () => {
  it('bundles in order, loses nothing, and fills tasks', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 0, max: 100, noNaN: true })),
        fc.integer({ min: 0, max: 200 }),
        (list, seconds) => {
          const jobs = list.map((cost, i) => ({ i, seconds: cost }))
          const tasks = bundle(jobs, seconds)
          expect(tasks.flat()).toEqual(jobs)
          for (const task of tasks) {
            const total = task.reduce((sum, job) => sum + job.seconds, 0)
            expect(task.length === 1 || total <= seconds + 1e-9).toBe(true)
          }
        },
      ),
    )
  })

  it('counts, and names what does not fit', () => {
    const jobs = [10, 700, 20].map((seconds, i) => ({ label: `job ${i}`, seconds }))
    expect(planAway(jobs, { taskSeconds: 600, limit: 600 })).toMatchObject({
      ...{ jobs: 3, tasks: 3, submissions: 1, longestSeconds: 700, tooLong: [{ label: 'job 1' }] },
      wall: expect.arrayContaining([{ cores: 64, seconds: 700 }]),
    })
    expect(planAway([{ label: 'x', seconds: null }], { taskSeconds: 1 }).coreHours).toBeNull()
  })
})

/** A scheduler that does tasks as the test says: what is in the journals, and which tasks it still knows. */
function scripted(
  work: (folder: string, task: number, turn: number) => void,
): Scheduler & { asked: number; turns: number } {
  const scheduler = {
    ...{ name: 'scripted', asked: 0, turns: 0 },
    most: async () => 3,
    async submit(folder: string, { from, count }: Submission) {
      for (let task = from; task < from + count; task++) work(folder, task, scheduler.turns)
      return String(++scheduler.turns)
    },
    async alive() {
      scheduler.asked++
      return new Set<number>()
    },
    find: async () => undefined,
    cancel: async () => {},
  }
  return scheduler
}
const write = (folder: string, task: number, lines: readonly object[]): void =>
  appendFileSync(taskJournal(folder, task), lines.map((line) => `${JSON.stringify(line)}\n`).join(''))
const carried = async (scheduler: Scheduler, jobs: readonly Job[]): Promise<Map<string, Done>> => {
  const found = new Map<string, Done>()
  const times = { look: 5, ask: 20, askMost: 40, visible: 300 }
  await scheduledCarrier(scheduler, join(root, 'sent'), { taskSeconds: 2, times }).carry(jobs, {
    signal: new AbortController().signal,
    onDone(done, { id }) {
      expect(found.has(id)).toBe(false)
      found.set(id, done)
    },
  })
  return found
}

describe('tasks', () => {
  const jobs = Array.from({ length: 7 }, (_, i) => jobOf(i))
  const expected = new Map(jobs.map((job) => [job.id, resultOf(job)]))

  it('are waited for when their journals become visible late, line by line, and not sent again', async () => {
    const scheduler = scripted((folder, task) => {
      for (const [i, job] of readTask(folder, task).entries()) {
        const line = `${JSON.stringify(resultOf(job))}\n`
        const half = line.length >> 1
        setTimeout(() => appendFileSync(taskJournal(folder, task), line.slice(0, half)), 60 + 60 * i)
        setTimeout(() => appendFileSync(taskJournal(folder, task), line.slice(half)), 90 + 60 * i)
      }
    })
    expect(await carried(scheduler, jobs)).toEqual(expected)
    expect(scheduler.turns).toBe(2)
  })

  it('are sent again when they were lost, with what they had kept, and a job done twice counts once', async () => {
    const scheduler = scripted((folder, task, turn) => {
      const list = readTask(folder, task)
      write(folder, task, [{ begun: list[0]!.id }])
      // the first time each loses what it had not kept
      for (const job of turn < 2 ? list.slice(0, 1) : list)
        write(folder, task, [resultOf(job), resultOf(job)])
    })
    expect(await carried(scheduler, jobs)).toEqual(expected)
    expect(scheduler.turns).toBe(3)
  })

  it('end the program with a reason when the nodes do not see the folder', async () => {
    await expect(
      carried(
        scripted(() => {}),
        jobs,
      ),
    ).rejects.toThrow('the nodes must see this folder')
  })
})
