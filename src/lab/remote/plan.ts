/** @file What work elsewhere will take: jobs, core hours, tasks, submissions, and what does not fit the time limit. */
import type { BaseConfig } from '../experiment.ts'
import { expectedJobs } from '../study/defineStudy.ts'
import type { AnyStudy } from '../study/study.ts'
import { wallSeconds } from '../sweep/cost.ts'
import { bundle } from './bundle.ts'

/** A job of a plan. */
export interface PlannedJob {
  readonly label: string
  /** On one core; null where nothing is known. */
  readonly seconds: number | null
}

export interface AwayPlan {
  readonly jobs: number
  /** Null where the time of some job is not known. */
  readonly coreHours: number | null
  readonly longestSeconds: number | null
  readonly tasks: number
  /** Chunks of at most `mostTasks` tasks. */
  readonly submissions: number
  /** Jobs that are expected to take longer than a task may. */
  readonly tooLong: readonly PlannedJob[]
  /** Wall seconds on so many cores. */
  readonly wall: readonly { readonly cores: number; readonly seconds: number }[]
}

const cores = [2, 16, 64, 256]
/** Tasks of one submission at most; the controller may allow fewer. */
const mostTasks = 1000

/** The plan of some jobs. `limit` is the seconds that a task may take. */
export function planAway(
  jobs: readonly PlannedJob[],
  { taskSeconds, limit }: { readonly taskSeconds: number; readonly limit?: number },
): AwayPlan {
  const known = jobs.flatMap(({ seconds }) => (seconds === null ? [] : [seconds]))
  const isKnown = known.length === jobs.length
  const tasks = bundle(jobs, taskSeconds).length
  return {
    jobs: jobs.length,
    coreHours: isKnown ? known.reduce((sum, seconds) => sum + seconds, 0) / 3600 : null,
    longestSeconds: isKnown ? known.reduce((most, seconds) => Math.max(most, seconds), 0) : null,
    tasks,
    submissions: Math.ceil(tasks / mostTasks),
    tooLong: limit === undefined ? [] : jobs.filter(({ seconds }) => seconds !== null && seconds > limit),
    wall: isKnown ? cores.map((count) => ({ cores: count, seconds: wallSeconds(known, count) })) : [],
  }
}

/** The jobs of a run of a study, as far as they can be known before it; `scale` corrects the study's own estimate. */
export const jobsOfStudy = (study: AnyStudy, config: BaseConfig, scale: number): PlannedJob[] =>
  expectedJobs(study, config).flatMap(({ cell, replicas, seconds }) =>
    Array.from({ length: replicas }, (_, replica) => ({
      label: `${study.label?.(cell) ?? JSON.stringify(cell)}, draw ${replica + 1}`,
      seconds: study.cost ? seconds * scale : null,
    })),
  )
