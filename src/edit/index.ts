/** @file Model editing: merge methods as pure functions of tensors, and LiNeS. */
export { type CheckpointDiff, diffCheckpoints, type LayerDiff, type TensorDiff } from './diff/diff.ts'
export {
  applyLines,
  autoAlpha,
  findLayers,
  type LayerOptions,
  type Layers,
  type LinesOptions,
  type LinesRow,
  layerOf,
  linesPlan,
  linesScale,
  type Place,
  type Stack,
  type StackPattern,
  singleTask,
  stackPatterns,
  type TaskVectorNorms,
  taskVectorNorms,
} from './lines/index.ts'
export { type MergeConfig, parseMergeConfig } from './merge/config/index.ts'
export {
  assertPlan,
  executeMerge,
  linesFactors,
  type MergeOptions,
  type MergeOutcome,
  planFromFiles,
} from './merge/execute/index.ts'
export {
  globalCuts,
  type MergeInput,
  type MergeMethod,
  type MissingPolicy,
  type ModelInput,
  mergeMethods,
  type ParameterSpec,
  type Parameters,
  type ParameterValue,
  type Preparation,
  resolveParameters,
  tallMask,
} from './merge/methods/index.ts'
export { type MergePlan, type PlannedInput, type PlannedTensor, planMerge } from './merge/plan/index.ts'
export {
  type Axis,
  gridOf,
  parseAxis,
  planSearch,
  type Recipe,
  type Score,
  type SearchOptions,
  type SearchOutcome,
  type SearchPlan,
  type SearchProgress,
  type SearchRow,
  type SearchValue,
  searchMerge,
  valuesText,
} from './merge/search/index.ts'
