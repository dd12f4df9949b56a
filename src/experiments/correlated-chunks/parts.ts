/** @file What a worker thread is asked to do: one part of the run. */
import { type ControlJob, type ControlSums, controlPart } from './controls.ts'
import { type ExactJob, exactPart, type GrammarSums, type SampledJob, sampledPart } from './jobs.ts'

/** Where workers find it. */
export const task = { module: import.meta.url, name: 'runPart' }

/** Carry out one job. */
export function runPart(job: ExactJob | SampledJob | ControlJob): GrammarSums | ControlSums {
  if (job.part === 'control') return controlPart(job)
  return job.part === 'exact' ? exactPart(job) : sampledPart(job)
}
