/** @file `treeline worker`: does what others submit, from a queue or from a folder that a scheduler's task is given. */
import { resolve } from 'node:path'
import { Command, Option } from 'commander'
import { fail } from '../../base/index.ts'
import { interruption } from '../interrupt.ts'
import type { Io } from '../io.ts'
import { laboratory } from '../laboratory.ts'
import { examples, integerOption, quietOption } from '../options.ts'

interface WorkerFlags {
  task?: number
  cwd?: string
  modules?: string
  quiet?: boolean
}

/** The command. */
export const workerCommand = (io: Io): Command =>
  new Command('worker')
    .description('do jobs that run or sweep submitted elsewhere')
    .argument('<where>', 'a folder of tasks, as a scheduler’s task is given it')
    .addOption(integerOption('--task <n>', 'of a folder: the task to do', 0, 999_999))
    .addOption(new Option('--cwd <dir>', 'work there: paths in configs begin there').hideHelp())
    .option('--modules <dir>', 'experiments of your own may be loaded from this folder')
    .addOption(quietOption())
    .addHelpText(
      'after',
      examples(['treeline worker runs/sent/1f2e3d4c5b6a --task 0', 'what a task of a scheduler does']),
    )
    .action(async (where: string, flags: WorkerFlags) => {
      if (flags.task === undefined) fail('TL_USAGE', `${where}: expected --task n with a folder of tasks`)
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
