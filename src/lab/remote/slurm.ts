/**
 * @file Slurm: one array for each chunk of tasks, states from one `squeue` for all of them. A task is told of the end of its time by
 * a signal, keeps what it has, and puts itself back into the queue.
 */
import { join } from 'node:path'
import { makeFolder, writeAtomically } from '../../base/files.ts'
import { didYouMean, fail } from '../../base/index.ts'
import type { Submission } from './book.ts'
import { listen, quoted, type Said } from './said.ts'
import { sbatchOptions } from './sbatchOptions.ts'
import type { Scheduler } from './scheduled.ts'

/** Exit code of a task that was stopped before its end: that of any interrupted command. */
const moreToDo = 130
/** Seconds before the end of its time at which a task is told. */
const warning = 60
/** Tasks of one array at most, whatever the controller allows: more room for others. */
const mostTasks = 1000

/** Options that Treeline sets itself. */
const ours = [
  'array',
  'parsable',
  'output',
  'error',
  'job-name',
  'chdir',
  'wrap',
  'requeue',
  'no-requeue',
  'wait',
  'test-only',
]

/** `partition=gpu,time=1:00:00` as options of sbatch. Throws TL_USAGE with the valid ones. */
export function slurmOptions(texts: readonly string[]): Readonly<Record<string, string | true>> {
  const options: Record<string, string | true> = {}
  // a comma belongs to the value unless an option follows: nodelist=a,b,time=5
  for (const part of texts.flatMap((text) => text.split(/,(?=[A-Za-z][\w-]*=)/))) {
    const [, name = '', value] = /^\s*(?:--)?([^=\s]+)(?:=(.*))?$/s.exec(part) ?? []
    if (!sbatchOptions.includes(name))
      fail(
        'TL_USAGE',
        `--slurm ${part.trim() || '""'}: sbatch has no such option: ${didYouMean(name, sbatchOptions)}`,
      )
    if (ours.includes(name)) fail('TL_USAGE', `--slurm ${name}: Treeline sets it itself; leave it out`)
    options[name] = value ?? true
  }
  return options
}

const absent = (program: string): never =>
  fail(
    'TL_UNSUPPORTED',
    `slurm: there is no ${program} on this machine: run this where Slurm’s commands are, such as a login node, or choose another --executor`,
  )

/** Refusals that pass when something of the user's has ended. */
const isFull = ({ err }: Said): boolean =>
  /submit limit|MaxSubmit|MaxJobCount|temporarily unable|JobsPerUser|JobPerUser|too many jobs|AssocMax|QOSMax/i.test(
    err,
  )

/** The batch script of a chunk. The shell waits for the task, passes signals on, and asks for another turn where there is more to do. */
export function batchScript(program: readonly string[], folder: string, { from }: Submission): string {
  const command = [...program, 'worker', folder, '--cwd', process.cwd(), '--task'].map(quoted).join(' ')
  return `#!/bin/sh
# made by treeline; a task of this array does the jobs of one task file
${command} $((SLURM_ARRAY_TASK_ID + ${from})) &
task=$!
trap 'kill -TERM $task 2>/dev/null' USR1 TERM
wait $task
code=$?
# a signal ends the waiting, not the task
while [ $code = 138 ] || [ $code = 143 ]; do wait $task; code=$?; done
if [ $code = ${moreToDo} ]; then
  scontrol requeue "\${SLURM_ARRAY_JOB_ID}_\${SLURM_ARRAY_TASK_ID}"
fi
exit $code
`
}

/** Array jobs in the lines of squeue: numbers of tasks that wait or work. */
export function aliveTasks(out: string, submissions: readonly Submission[]): Set<number> {
  const byName = new Map(submissions.map((one) => [one.name, one]))
  const alive = new Set<number>()
  for (const line of out.split('\n')) {
    // job name, index within the array
    const [name = '', index] = line.trim().split(/\s+/)
    const submission = byName.get(name)
    if (submission && /^\d+$/.test(index ?? '')) alive.add(submission.from + Number(index))
  }
  return alive
}

/** The scheduler. `program` starts Treeline on a node; `options` go to sbatch as they are. */
export function slurm(
  program: readonly string[],
  options: Readonly<Record<string, string | true>>,
  threads: number,
): Scheduler {
  const controller = async (words: readonly string[], tool = 'squeue'): Promise<Said> => {
    const said = await listen(tool, words)
    return said.isMissing ? absent(tool) : said
  }
  const defaults: Readonly<Record<string, string | true>> = {
    'cpus-per-task': String(threads),
    signal: `B:USR1@${warning}`,
  }
  return {
    name: 'slurm',
    async most() {
      const { out, code, err } = await controller(['show', 'config'], 'scontrol')
      if (code !== 0)
        fail(
          'TL_IO',
          `slurm: the controller does not answer: ${err} (nothing was submitted; try again later)`,
        )
      const read = (name: string): number =>
        Number(new RegExp(`^${name}\\s*=\\s*(\\d+)`, 'm').exec(out)?.[1] ?? 1001)
      // the largest index is one less, and an array may not be all that the controller holds
      return Math.max(1, Math.min(mostTasks, read('MaxArraySize') - 1, Math.floor(read('MaxJobCount') / 2)))
    },
    async submit(folder, submission) {
      const script = join(folder, `array-${submission.from}.sh`)
      writeAtomically(script, batchScript(program, folder, submission))
      makeFolder(join(folder, 'said'))
      const words = Object.entries({ ...defaults, ...options }).map(([name, value]) =>
        value === true ? `--${name}` : `--${name}=${value}`,
      )
      const said = await controller(
        [
          '--parsable',
          '--requeue',
          `--job-name=${submission.name}`,
          `--array=0-${submission.count - 1}`,
          `--output=${join(folder, 'said', '%A_%a.txt')}`,
          '--open-mode=append',
          `--chdir=${process.cwd()}`,
          ...words,
          script,
        ],
        'sbatch',
      )
      if (said.code === 0) return said.out.trim().split(';')[0]!
      if (isFull(said)) return 'full'
      return fail(
        'TL_IO',
        `slurm: sbatch refused: ${said.err.replace(/^sbatch: (error: )?/gm, '').replace(/\n/g, '; ')}`,
      )
    },
    async alive(_, submissions) {
      const names = submissions.map(({ name }) => name)
      const { code, out } = await controller(['-h', '-r', '-o', '%j %K', `--name=${names.join(',')}`])
      // a controller that is just being restarted says nothing about tasks
      return code === 0 ? aliveTasks(out, submissions) : undefined
    },
    async find({ name }) {
      const { code, out, err } = await controller(['-h', '-t', 'all', '-o', '%F', `--name=${name}`])
      if (code !== 0) fail('TL_IO', `slurm: the controller does not answer: ${err} (try again later)`)
      return out.trim().split(/\s+/)[0] || undefined
    },
    async cancel(submissions) {
      const ids = submissions.flatMap(({ id }) => (id === null ? [] : [id]))
      for (let i = 0; i < ids.length; i += 200) {
        const { code, err } = await controller(ids.slice(i, i + 200), 'scancel')
        if (code !== 0 && !/Invalid job id/.test(err)) fail('TL_IO', `slurm: scancel refused: ${err}`)
      }
    },
  }
}
