/** @file Search over merges. */
export type { Recipe } from './apply.ts'
export { type Axis, gridOf, parseAxis, type SearchValue, valuesText } from './grid.ts'
export {
  planSearch,
  type Score,
  type SearchOptions,
  type SearchOutcome,
  type SearchPlan,
  type SearchProgress,
  searchMerge,
} from './search.ts'
export type { Row as SearchRow } from './table.ts'
