/** @file Carrying out merges. */
export { checkMerge, type MergeCheck } from './check.ts'
export { executeMerge, type MergeOutcome } from './execute.ts'
export { linesFactors } from './linesSteps.ts'
export type { MergeOptions } from './options.ts'
export { assertPlan, planFromFiles } from './prepare.ts'
export { replayMerge } from './replay.ts'
