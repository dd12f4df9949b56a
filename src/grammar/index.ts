/** @file The Random Hierarchy Model: rules, trees, exact inference, statistics, theory. */
export {
  checkShape,
  type Grammar,
  internalNodes,
  parentsAt,
  type Shape,
  type Trees,
  tupleNumber,
} from './grammar.ts'
export {
  type Answer,
  exactCrossEntropy,
  type Floats,
  infer,
  inferInWorkers,
  inferUp,
  lastToken,
  type MapTrees,
  mapTree,
  marginals,
  type Question,
  samplePosterior,
  type Upward,
} from './inference/index.ts'
export { type MakeOptions, makeGrammar } from './make.ts'
export { emptyTrees, expandLevel, sampleTrees } from './sample.ts'
