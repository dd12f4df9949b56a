/** @file The store of edits on disk. */
export { type Audit, type KeptAudit, openAudits } from './audits.ts'
export {
  checkConfig,
  defaultTraining,
  looksOf,
  publishedThreshold,
  publishedTraining,
  type ScopeSettings,
  type StopRule,
  type StoreConfig,
  storeFormat,
  type Training,
} from './config.ts'
export { type EditRecord, type Status, type StoreRecord, statuses } from './records.ts'
export type { Asks } from './scopeFiles.ts'
export {
  type Base,
  createStore,
  isStore,
  type Keys,
  openStore,
  type Rows,
  requireEmpty,
  type Store,
} from './store.ts'
