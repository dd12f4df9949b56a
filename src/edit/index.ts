/** @file Facts to teach (lifelong editing, which runs a language model, is in ./memoir). */
export {
  contradictions,
  duplicates,
  type Fact,
  type FactGroup,
  type FactSource,
  groupFacts,
  onePerSubject,
  parseFacts,
  readFacts,
  type Sameness,
  withSubjectIn,
} from './facts/index.ts'
export * from './mergeNames.ts'
