/** @file Fused elementwise updates at the end of a step; used by `compileStep` alone. */
export { splitTail, type TailPlan } from './partition.ts'
export { openTail, type Tail } from './run.ts'
