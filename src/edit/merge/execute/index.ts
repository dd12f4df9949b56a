/** @file Carrying out merges. */
export { assertPlan, executeMerge, type MergeOptions, type MergeOutcome, planFromFiles } from './execute.ts'
