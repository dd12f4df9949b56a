/** @file Masked diffusion: strings of which more and more symbols are hidden, networks that fill them in, and how they learn. */
export { fixedMasks, type MaskedStrings, maskCounts, maskSome, remask } from './masks.ts'
export {
  type MaskedDenoiser,
  type MaskedNetwork,
  type MaskedTransformerOptions,
  maskedDenoiser,
  maskedLoss,
  maskedTransformer,
} from './network.ts'
export { type NgramModel, ngramFill, ngramLogProbability, ngramModel } from './ngram.ts'
export { type FillOptions, fillMasks, fillStrings } from './sampling.ts'
export {
  type MaskedSource,
  type MaskedTraining,
  maskedLosses,
  maskedSteps,
  trainMasked,
} from './training.ts'
