/** @file Plans of merges, from headers alone. */
export { roundedTo } from './checks.ts'
export { modelsOf, noPlan, type PlanOptions, planMerge } from './plan.ts'
export { type Headers, inLayerOrder, splitName, storedAt, type TensorHeader, tiedTo } from './stacks.ts'
export type { MergePlan, PlannedInput, PlannedTensor } from './types.ts'
