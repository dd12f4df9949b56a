/** @file Search over merges. */
export type { Recipe } from './apply.ts'
export { type Comparison, comparisons, familyOf } from './compare.ts'
export { type Axis, gridOf, parseAxis, type SearchValue, valuesText } from './grid.ts'
export { bootstrapMean, type Estimate } from './intervals.ts'
export { requireFineTunes } from './sameBase.ts'
export {
  planSearch,
  type Score,
  type SearchOptions,
  type SearchOutcome,
  type SearchPlan,
  type SearchProgress,
  searchMerge,
} from './search.ts'
export type { MeasuredScore, Row as SearchRow } from './table.ts'
