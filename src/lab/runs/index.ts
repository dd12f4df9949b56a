/** @file Runs as a list: what there is, what is wanted of it, what differs, what goes. Loads nothing that makes runs. */
export { isFinished, readConfigFile, readSummary } from '../runFolder.ts'
export { claimsOfSummary, outcomeMark } from '../study/outcomes.ts'
export { parseIndex } from './cache.ts'
export { type Comparison, compareRuns } from './compare.ts'
export { type Listing, listRuns } from './list.ts'
export { type RunRecord, type RunState, readRecord, tailOf } from './record.ts'
export { checkRemovable, removeRun } from './remove.ts'
export { labelsOf, orderRuns, selectRuns } from './select.ts'
