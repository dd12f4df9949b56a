/** @file Lazy vectors over the values of one tensor: formulas that are evaluated block by block, on WebAssembly. */
export { type Arithmetic, arithmeticOf } from './arithmetic.ts'
export { byRank, drawKept } from './draws.ts'
export * from './expression.ts'
export type { Measure, Order } from './kernel.ts'
export { bucketOf, elementsOfRank, largestMasks, rankMasks, signedValue } from './ranks.ts'
export { blockElements, openSession, type Session } from './session.ts'
