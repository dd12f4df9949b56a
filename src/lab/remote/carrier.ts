/** @file What carries jobs to other machines, whatever it is: the contract of all executors but `local`. */
import type { Done, Job } from './job.ts'

export interface CarryOptions {
  /** Aborted with the reason `cancel` the jobs are ended; with any other they go on. */
  readonly signal: AbortSignal
  /** A job's result, once for each job, in the order of arrival. What it throws ends the carrying, and the jobs. */
  readonly onDone: (done: Done, job: Job) => void
  /** Part of a job that is done, 0 … 1, where that can be known. */
  readonly onProgress?: (job: Job, share: number, detail?: string) => void
  /** A line for people. */
  readonly onNote?: (line: string) => void
}

export interface Carrier {
  /**
   * Have all jobs done. Those that were sent before, by this program or by one that was killed, are not sent again. Resolves
   * when every job has its result; rejects with TL_INTERRUPTED when the signal is aborted, TL_IO when jobs cannot be sent.
   */
  readonly carry: (jobs: readonly Job[], options: CarryOptions) => Promise<void>
  /** End everything that was sent from here and is not done. The number of submissions or jobs that were ended. */
  readonly cancel: () => Promise<number>
}
