/** @file The part of a run that is about one grammar: counted covariances beside the exact ones. */
import type { Task } from '../../base/workers.ts'
import type { Exact } from './analyse.ts'
import { exactMeanSquares } from './exact.ts'
import { type CorrelationJob, grammarOf, type Look, measureCorrelations } from './measure.ts'

/** What one job sends back. */
export interface CorrelationAnswer {
  readonly looks: readonly Look[]
  readonly exact: Exact
}

/** Counted first; the exact values are of the same grammar and do not see the counts. */
export const correlationJob = (job: CorrelationJob): CorrelationAnswer => ({
  looks: measureCorrelations(job),
  exact: exactMeanSquares(grammarOf(job).grammar),
})

export const correlationTask: Task = { module: import.meta.url, name: 'correlationJob' }
