/** @file Carrying out merges. */
export { executeMerge, type MergeOutcome } from './execute.ts'
export { linesFactors } from './linesSteps.ts'
export type { MergeOptions } from './options.ts'
export { assertPlan, planFromFiles } from './prepare.ts'
