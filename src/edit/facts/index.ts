/** @file Facts to teach a model: read from the files in which editing data are published. */
export type { Fact, FactSource } from './fact.ts'
export {
  contradictions,
  duplicates,
  type FactGroup,
  groupFacts,
  onePerSubject,
  type Sameness,
} from './groups.ts'
export { parseFacts, type ReadOptions, readFacts } from './read.ts'
export { withSubjectIn } from './shapes.ts'
