/** @file Adapters of PEFT: read strictly, applied as PEFT applies them. */
export { adapted } from './adapted.ts'
export { type AdapterChange, adapterChanges } from './change.ts'
export { deltaElements, type LowRankDelta } from './lowRank.ts'
export { type Adapter, isAdapterFolder, openAdapter } from './open.ts'
