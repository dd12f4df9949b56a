/** @file Options of commands whose work may be done elsewhere, and the way from them to what carries the work. */
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { type Command, Option } from 'commander'
import { fail } from '../base/index.ts'
import type { CarrierSettings, CarryingExecutor, Executor } from '../lab/index.ts'
import { whenInterrupted } from './interrupt.ts'
import type { Io } from './io.ts'
import { collect, integerOption } from './options.ts'

export interface AwayFlags {
  executor: string
  slurm?: string[]
  redis?: string
  queue?: string
  command?: string
  commandAsk?: string
  commandCancel?: string
  program?: string
  taskMinutes: number
  detach?: boolean
  cancel?: boolean
  parallel?: number
}

/** Add the options. */
export const withAwayOptions = (command: Command): Command =>
  command
    .option('--executor <name>', 'what does the work: local, slurm, redis, command', 'local')
    .option(
      '--slurm <key=value,...>',
      'slurm: options of sbatch, such as partition=cpu,time=2:00:00',
      collect,
    )
    .option('--redis <url>', 'redis: its address; the password may be in TREELINE_REDIS_PASSWORD')
    .option('--queue <name>', 'redis: the queue (default: treeline)')
    .option('--command <template>', "command: hands over a task, such as 'qsub -cwd -b y {command}'")
    .option('--command-ask <template>', "command: succeeds while a task waits or works: 'qstat -j {id}'")
    .option('--command-cancel <template>', "command: ends a task: 'qdel {id}'")
    .addOption(
      new Option('--program <words>', 'what starts treeline on the other machines (default: as here)'),
    )
    .addOption(
      integerOption(
        '--task-minutes <n>',
        'gather small jobs into tasks of about so many minutes; 0: a task for each',
        0,
        10_000,
      ).default(10),
    )
    .option('--detach', 'leave after submission; the same command attaches again')
    .option('--cancel', 'end what this command has submitted, and nothing else')

/** Seconds that a task may take by `--slurm time=…`. */
export const timeLimit = (
  lab: { slurmSeconds: (text: string) => number | undefined },
  { slurm = [] }: AwayFlags,
): number | undefined => {
  const [, time] = /(?:^|,)time=([^,]+)/.exec(slurm.join(',')) ?? []
  return time === undefined ? undefined : lab.slurmSeconds(time)
}

const ownProgram = (): string[] => [process.execPath, fileURLToPath(new URL('./main.js', import.meta.url))]

/** Settings of a carrier that works from a folder. */
export const carrierSettings = (
  flags: AwayFlags,
  folder: string,
  threads: number,
  env: CarrierSettings['env'],
): CarrierSettings => ({
  ...{ folder, threads, env },
  program: flags.program?.split(/\s+/).filter(Boolean) ?? ownProgram(),
  taskMinutes: flags.taskMinutes,
  detach: flags.detach ?? false,
  slurm: flags.slurm ?? [],
  redis: flags.redis,
  queue: flags.queue,
  command: flags.command,
  commandAsk: flags.commandAsk,
  commandCancel: flags.commandCancel,
  parallel: flags.parallel,
})

/** Whether an executor is on other machines; refuses options that mean nothing for it. Throws TL_USAGE. */
export function isAway(
  executor: Executor | CarryingExecutor,
  flags: AwayFlags,
): executor is CarryingExecutor {
  const needs: readonly (readonly [flag: string, isGiven: boolean, of: readonly string[]])[] = [
    ['--slurm', flags.slurm !== undefined, ['slurm']],
    ['--command', flags.command !== undefined, ['command']],
    ['--redis', flags.redis !== undefined, ['redis']],
    ['--detach', flags.detach === true, ['slurm', 'command', 'redis']],
    ['--cancel', flags.cancel === true, ['slurm', 'command', 'redis']],
  ]
  for (const [flag, isGiven, of] of needs)
    if (isGiven && !of.includes(executor.name))
      fail(
        'TL_USAGE',
        `${flag}: it belongs to --executor ${of.join(' or ')}, got --executor ${executor.name}`,
      )
  if (executor.name === 'command' && flags.command === undefined)
    fail(
      'TL_USAGE',
      "--executor command: expected --command TEMPLATE, such as --command 'qsub -cwd -b y {command}'",
    )
  if (executor.name === 'redis' && flags.redis === undefined)
    fail('TL_USAGE', '--executor redis: expected --redis URL, such as --redis redis://HOST:6379')
  return 'carrier' in executor
}

/** One key word from a terminal. */
function ask(io: Io, question: string): Promise<string> {
  io.err(question)
  return new Promise((resolve) => {
    const lines = createInterface({ input: io.input! })
    lines.once('line', (line) => {
      lines.close()
      resolve(line.trim())
    })
    lines.once('close', () => resolve(''))
  })
}

/**
 * A signal for work elsewhere. The first Ctrl-C asks once whether the other machines should go on; where there is nobody to
 * ask they go on. The second ends this program at once.
 */
export function leaving(io: Io): { signal: AbortSignal; stop: () => void } {
  const controller = new AbortController()
  let isAsking = false
  const stop = whenInterrupted((end) => {
    if (isAsking || controller.signal.aborted)
      return end('stopped at once; what was submitted goes on, and the same command attaches again')
    isAsking = true
    if (!io.terminal || !io.input) {
      controller.abort('leave')
      return
    }
    void ask(io, '\nlet the other machines go on? [Y/n] ').then((answer) =>
      controller.abort(/^n/i.test(answer) ? 'cancel' : 'leave'),
    )
  })
  return { signal: controller.signal, stop }
}
