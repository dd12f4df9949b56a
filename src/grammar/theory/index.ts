/** @file Closed-form and exact theory of a grammar; every function cites its source. */
export { type Exponents, exponents } from './exponents.ts'
export { legalShare, otherLegalShare, randomValidity, synonymShare } from './fractions.ts'
export {
  type Beliefs,
  beliefs,
  combineBeliefs,
  downwardMap,
  leafBelief,
  upwardMap,
  upwardSlope,
} from './maps.ts'
export { childPair, meanFieldChi, type PairStatistics, pairStatistics } from './pairs.ts'
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
  branchingRatio,
  correlationExponent,
  correlationLength,
  epsStar,
  hasTransition,
  type Phase,
  phase,
  pStar,
} from './transition.ts'
