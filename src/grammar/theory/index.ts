/** @file Closed-form and exact theory of a grammar; every function cites its source. */
export {
  exactTokenCorrelation,
  exactTupleCorrelation,
  tokenCorrelationNoise,
  tupleCorrelationNoise,
  typicalTokenCorrelation,
  typicalTupleCorrelation,
} from './correlations.ts'
export { type Exponents, exponents } from './exponents.ts'
export { legalShare, otherLegalShare, randomValidity, synonymShare, validityOverChance } from './fractions.ts'
export {
  type Beliefs,
  beliefs,
  combineBeliefs,
  downwardMap,
  leafBelief,
  upwardMap,
  upwardSlope,
} from './maps.ts'
export { type ExactMeanSquare, exactMeanSquares } from './meanSquares.ts'
export { childPair, meanFieldChi, type PairStatistics, pairStatistics } from './pairs.ts'
export {
  compatibleTokens,
  exactPlateau,
  findingPlateau,
  type Plateau,
  type PlateauOptions,
  plateauBound,
  plateauLimit,
} from './plateaus.ts'
export {
  classificationThreshold,
  clusteringThreshold,
  effectiveContext,
  type Learner,
  levelThreshold,
  logDataSize,
  resolvedHeight,
} from './thresholds.ts'
export {
  covarianceOf,
  nodeJoint,
  nodeMarginal,
  type PairTable,
  type TreeNode,
  tupleJoint,
} from './transfer.ts'
export {
  branchingRatio,
  correlationExponent,
  correlationLength,
  epsStar,
  hasTransition,
  type Phase,
  phase,
  pStar,
} from './transition.ts'
export { exactTupleClassSignal, tupleClassNoise, typicalTupleClassSignal } from './tupleClass.ts'
