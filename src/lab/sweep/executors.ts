/** @file The table of executors. */
import { namedOf } from '../../base/index.ts'
import type { Carrier } from '../remote/carrier.ts'
import type { Executor } from './executor.ts'
import { localExecutor } from './local.ts'

/** What an executor on other machines is told. Which of these it needs is its own matter. */
export interface CarrierSettings {
  /** Where jobs and journals are written: a folder that submitter and workers see. */
  readonly folder: string
  /** Words that start Treeline on the other machine. */
  readonly program: readonly string[]
  /** Threads of each job. */
  readonly threads: number
  /** Minutes that a task should last. */
  readonly taskMinutes: number
  /** Leave after submission. */
  readonly detach: boolean
  /** `key=value,…` for sbatch. */
  readonly slurm: readonly string[]
  readonly command?: string
  readonly commandAsk?: string
  readonly commandCancel?: string
  /** Commands at once. */
  readonly parallel?: number
  readonly redis?: string
  readonly queue?: string
  /** Environment variables: a password may be there. */
  readonly env: Readonly<Record<string, string | undefined>>
}

/** The queue when nobody names one. */
export const defaultQueue = 'treeline'

/** An executor on other machines: jobs of any number, carried by others. */
export interface CarryingExecutor {
  readonly name: string
  readonly description: string
  /** Throws TL_USAGE for settings that cannot be, TL_UNSUPPORTED where it does not exist. */
  readonly carrier: (settings: CarrierSettings) => Promise<Carrier>
}

const slurmExecutor: CarryingExecutor = {
  name: 'slurm',
  description: 'arrays of tasks on a Slurm cluster; the folder of runs must be shared',
  async carrier({ folder, program, threads, taskMinutes, detach, slurm: options }) {
    const [{ slurm, slurmOptions }, { scheduledCarrier }] = await Promise.all([
      import('../remote/slurm.ts'),
      import('../remote/scheduled.ts'),
    ])
    const scheduler = slurm(program, slurmOptions(options), threads)
    return scheduledCarrier(scheduler, folder, { taskSeconds: taskMinutes * 60, detach })
  },
}

const commandExecutor: CarryingExecutor = {
  name: 'command',
  description:
    'a command of yours for each task: PBS, SGE, LSF, Kubernetes, ssh; the folder of runs must be shared',
  async carrier({ folder, program, taskMinutes, detach, command, commandAsk, commandCancel, parallel }) {
    const [{ checkTemplates, commandPatience, commandScheduler }, { scheduledCarrier }] = await Promise.all([
      import('../remote/command.ts'),
      import('../remote/scheduled.ts'),
    ])
    const templates = { command: command ?? '', ask: commandAsk, cancel: commandCancel }
    checkTemplates(templates)
    const scheduler = commandScheduler(program, { ...templates, parallel: parallel ?? 1000 })
    return scheduledCarrier(scheduler, folder, {
      taskSeconds: taskMinutes * 60,
      detach,
      times: commandPatience,
    })
  },
}

const redisExecutor: CarryingExecutor = {
  name: 'redis',
  description: 'a queue on Redis, for workers (treeline worker redis://…) on any machine',
  async carrier({ redis, queue = defaultQueue, folder, detach, env }) {
    const [{ redisAddress }, { redisCarrier }] = await Promise.all([
      import('../remote/redisAddress.ts'),
      import('../remote/redisCarrier.ts'),
    ])
    return redisCarrier(redisAddress(redis ?? '', env), queue, folder, { detach })
  },
}

/** All executors. A new one is a file and a row here. */
export const executors: readonly (Executor | CarryingExecutor)[] = [
  localExecutor(),
  slurmExecutor,
  commandExecutor,
  redisExecutor,
]

/** An executor by name. Throws TL_USAGE with the nearest name. */
export const findExecutor = (name: string): Executor | CarryingExecutor =>
  namedOf('executor', executors, name, 'TL_USAGE')
