/** @file Clustering: k-means, scores of partitions, and the learner that climbs a grammar by clustering contexts. */
export { climbScores } from './climb.ts'
export { type ClusteredTuples, type ClusterOptions, clusterTuples, firstSymbols } from './clusterTuples.ts'
export {
  contextFrequencies,
  contrastOf,
  expectedContrast,
  meanInverse,
  type TupleContext,
} from './contrast.ts'
export { type KMeans, type KMeansOptions, kMeans } from './kMeans.ts'
export {
  type ContextKind,
  type Contexts,
  contextVectors,
  type LearnerOptions,
  type Lexicon,
  learnLexicon,
  type Rows,
  relabel,
} from './learner.ts'
export { type PairScores, pairScores } from './pairScores.ts'
