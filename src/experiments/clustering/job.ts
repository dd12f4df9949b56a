/** @file The parts of a run: thresholds, climbs and exact values, each a job of its own kind. */
import type { Task } from '../../base/workers.ts'
import { type Climbed, type ClimbJob, measureClimb } from './climb.ts'
import { type ExactJob, exactContrastThreshold, exactThresholds } from './exact.ts'
import { type Clustered, measureThreshold, type ThresholdJob } from './threshold.ts'

/** What one grammar shows, and the data at which its contrast is 1, from the rules alone. */
export interface ThresholdAnswer {
  readonly looks: readonly Clustered[]
  readonly exact: number | null
}

/** A job of any kind. */
export type ClusterJob =
  | { readonly kind: 'threshold'; readonly of: ThresholdJob }
  | { readonly kind: 'climb'; readonly of: ClimbJob }
  | { readonly kind: 'exact'; readonly of: ExactJob }

/** Exact thresholds of heights 2 … L. */
export interface ExactAnswer {
  readonly thresholds: readonly number[]
}

/** The answer to a job, by its kind. */
export type ClusterAnswer = ThresholdAnswer | Climbed | ExactAnswer

/** One job of a run. */
export function clusterJob({ kind, of }: ClusterJob): ClusterAnswer {
  switch (kind) {
    case 'threshold':
      return { looks: measureThreshold(of), exact: exactContrastThreshold(of) }
    case 'climb':
      return measureClimb(of)
    case 'exact':
      return { thresholds: exactThresholds(of) }
  }
}

export const clusterTask: Task = { module: import.meta.url, name: 'clusterJob' }
