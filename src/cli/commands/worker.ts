/** @file `treeline worker`: does what others submit, from a queue or from a folder that a scheduler's task is given. */
import { rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { Command, Option } from 'commander'
import { fail } from '../../base/index.ts'
import { leave } from '../../base/leave.ts'
import { exitCodes } from '../errors.ts'
import { interruption } from '../interrupt.ts'
import type { Io } from '../io.ts'
import { laboratory } from '../laboratory.ts'
import { examples, integerOption, quietOption } from '../options.ts'

interface WorkerFlags {
  task?: number
  queue?: string
  parallel: number
  drain?: boolean
  out?: string
  shared?: string
  cwd?: string
  modules?: string
  quiet?: boolean
}

/** Work from a queue until Ctrl-C, or until it is empty. */
async function workFromQueue(where: string, flags: WorkerFlags, io: Io): Promise<void> {
  const lab = await laboratory()
  const address = lab.redisAddress(where, io.env)
  const say = (line: string): void => {
    if (!flags.quiet) io.err(`${line}\n`)
  }
  const interrupt = interruption(() => say('giving jobs back, and stopping'))
  try {
    const { out = join(tmpdir(), `treeline-work-${process.pid}`), modules, shared } = flags
    const done = await lab.workQueue(address, {
      queue: flags.queue ?? lab.defaultQueue,
      parallel: flags.parallel,
      drain: flags.drain ?? false,
      shop: { registry: lab.registry, out: resolve(out), modules, shared },
      signal: interrupt.signal,
      onNote: say,
    })
    say(`${done} job${done === 1 ? '' : 's'} done`)
    if (flags.out === undefined) rmSync(out, { recursive: true, force: true })
    if (!interrupt.signal.aborted) return
    io.err('treeline: interrupted; unfinished jobs are back in the queue\n')
    // not by returning: a connection to a Redis that is away would keep the process
    await leave(exitCodes.interrupted)
  } finally {
    interrupt.stop()
  }
}

/** The command. */
export const workerCommand = (io: Io): Command =>
  new Command('worker')
    .description('do jobs that run or sweep submitted elsewhere')
    .argument('<where>', 'redis://HOST:PORT[/DB], rediss://…, or a folder of tasks')
    .option('--queue <name>', 'of Redis: the queue (default: treeline)')
    .addOption(integerOption('--parallel <n>', 'of Redis: jobs at once', 1, 1024).default(1))
    .option('--drain', 'of Redis: end when the queue is empty')
    .option('--out <dir>', 'where jobs write that have no shared folder (default: a temporary folder)')
    .option('--shared <dir>', 'a folder that submitters see under the same path: jobs within it write there')
    .addOption(integerOption('--task <n>', 'of a folder: the task to do', 0, 999_999))
    .addOption(new Option('--cwd <dir>', 'work there: paths in configs begin there').hideHelp())
    .option('--modules <dir>', 'experiments of your own may be loaded from this folder')
    .addOption(quietOption())
    .addHelpText(
      'after',
      examples(['treeline worker runs/sent/1f2e3d4c5b6a --task 0', 'what a task of a scheduler does']),
    )
    .action(async (where: string, flags: WorkerFlags) => {
      if (/^rediss?:/.test(where)) {
        await workFromQueue(where, flags, io)
        return
      }
      if (flags.task === undefined)
        fail('TL_USAGE', `${where}: expected redis://HOST:PORT, or a folder of tasks with --task n`)
      const folder = resolve(where)
      if (flags.cwd !== undefined)
        try {
          process.chdir(flags.cwd)
        } catch (error) {
          fail('TL_IO', `--cwd ${flags.cwd}: cannot work there: ${(error as Error).message}`)
        }
      const lab = await laboratory()
      const interrupt = interruption(() => {
        if (!flags.quiet) io.err('keeping what is done, and stopping\n')
      })
      try {
        const { signal } = interrupt
        const { registry } = lab
        const end = await lab.workTask(folder, flags.task, {
          registry,
          signal,
          modules: flags.modules ?? '/',
        })
        if (end === 'stopped')
          fail('TL_INTERRUPTED', 'interrupted; what is done is kept, and the same command goes on')
        if (!flags.quiet) io.err(`task ${flags.task} is done\n`)
      } finally {
        interrupt.stop()
      }
    })
