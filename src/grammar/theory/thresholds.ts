/**
 * @file How many data each learner needs for each level. Heights are those of the lowest common ancestor (LCA) of the
 * correlated leaves: 1 for neighbours in one tuple … L for leaves in different halves. (Papers that count hidden variables
 * are one lower: level ℓ there is height ℓ + 1 here.)
 */
import { internalNodes, type Shape } from '../grammar.ts'
import { checkData, checkHeight, checkTheory, legalShare } from './fractions.ts'

/** Data that exist, ln P_max = ln classes + (s^L − 1)/(s − 1) · ln m, in nats. (Cagnetta et al. 2024, Eqs. 3, 6) */
export function logDataSize(shape: Shape): number {
  checkTheory(shape)
  return Math.log(shape.classes) + internalNodes(shape) * Math.log(shape.m)
}

/**
 * Data a hierarchical network needs to classify: P* = classes · m^L, at which tuple–class correlations rise above sampling
 * noise; a measured threshold is this times a factor of order 1. (Cagnetta et al. 2024)
 */
export function classificationThreshold(shape: Shape): number {
  checkTheory(shape)
  return shape.classes * shape.m ** shape.L
}

/** Data at which clustering tuples by class frequencies finds synonyms: √classes · m^L. (Cagnetta et al. 2024, App. D) */
export function clusteringThreshold(shape: Shape): number {
  checkTheory(shape)
  return Math.sqrt(shape.classes) * shape.m ** shape.L
}

/** Who learns the levels one after the other. */
export type Learner = 'transformer' | 'cnn' | 'diffusion'

/**
 * Power of m in P_ℓ. Without weight sharing both leaves pay for their whole path (2ℓ − 1); with it the tuples below are already
 * known symbols and only the other leaf does (ℓ + 1). At height 1 there is no symbol to know yet.
 */
const power: Record<Learner, (height: number) => number> = {
  transformer: (height) => 2 * height - 1,
  cnn: (height) => (height === 1 ? 1 : height + 1),
  diffusion: (height) => height + 1,
}

/**
 * Data at which a learner can use correlations through an ancestor at `height`:
 *   transformer: v m^{2ℓ−1}/(1 − f), ℓ ≥ 1 (Cagnetta & Wyart 2024, Eq. 12)
 *   cnn:         v m^{ℓ+1}/(1 − f), ℓ ≥ 2, and v m/(1 − f) at ℓ = 1 (ibid., App. G; Cagnetta et al. 2025)
 *   diffusion:   v m^{ℓ+1}/(1 − f), ℓ ≥ 2 (Favero et al. 2025)
 * with f = m/v^{s−1}; Infinity at f = 1, where tokens are independent. Throws TL_BAD_CONFIG for a height outside these.
 */
export function levelThreshold(shape: Shape, learner: Learner, height: number): number {
  checkTheory(shape)
  checkHeight(shape, height, learner === 'diffusion' ? 2 : 1)
  return (shape.v * shape.m ** power[learner](height)) / (1 - legalShare(shape))
}

/** The largest height whose threshold P has reached, 0 when none. (Cagnetta & Wyart 2024) */
export function resolvedHeight(shape: Shape, learner: Learner, P: number): number {
  checkData(P)
  const least = learner === 'diffusion' ? 2 : 1
  let height = 0
  for (let h = least; h <= shape.L; h++) if (levelThreshold(shape, learner, h) <= P) height = h
  return height
}

/**
 * Distance in tokens to which P data show token–token correlations above sampling noise: t* = (m P (1 − f)/v)^{1/(2β)},
 * β = ln m/ln s, so that P = P_ℓ gives s^ℓ. Below P_1 less than s; not cut at the length s^L of a datum. Infinity for m = 1
 * once P ≥ v/(1 − f), as nothing decays; 0 before and at f = 1. P > 0. (Cagnetta & Wyart 2024)
 */
export function effectiveContext(shape: Shape, P: number): number {
  checkTheory(shape)
  checkData(P)
  const { v, m, s } = shape
  const reached = (m * P * (1 - legalShare(shape))) / v
  if (m === 1) return reached >= 1 ? Infinity : 0
  return reached ** (Math.log(s) / (2 * Math.log(m)))
}
