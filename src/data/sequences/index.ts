/** @file Running texts as sequences of symbols: correlations at a distance, and what the symbols before tell of the next. */
export { type BlockProducts, blockProducts, type Squares, squaresOf } from './correlations.ts'
export { backOffLosses, mostContext, type Split as TextSplit } from './entropy.ts'
export {
  countPairs,
  covarianceOf,
  type Overlap,
  overlapLength,
  overlaps,
  type PairCounts,
  type Reference as OverlapReference,
  referenceOf,
} from './overlap.ts'
export { type Alphabet, normalizeText, rare, type Sequence, sequenceOf } from './sequence.ts'
