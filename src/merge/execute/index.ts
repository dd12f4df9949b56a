/** @file Carrying out merges. */
export {
  assertPlan,
  executeMerge,
  linesFactors,
  type MergeOptions,
  type MergeOutcome,
  planFromFiles,
} from './execute.ts'
