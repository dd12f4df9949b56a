/** @file Diffusion models of images: others' and the small ones, sampled and taken through round trips. */

export { cornerMean, keptBrightness } from './brightness.ts'
export { copiedShare, copyRatio, type Neighbours, nearestOf } from './copies.ts'
export { type DenoiserOptions, type ImageDenoiser, type ImageNetwork, imageDenoiser } from './denoiser.ts'
export { fixedNoisyImages, type NoisyImages } from './noisyImages.ts'
export { type OpenImageDenoiserOptions, openImageDenoiser } from './open.ts'
export { type ImageRoundTripOptions, imageRoundTrips, noisyImages } from './roundTrips.ts'
export {
  type ChainOptions,
  chainSteps,
  type ImageSampler,
  type ImageStep,
  reverseImages,
  type SampleImagesOptions,
  sampleImages,
  stepBack,
  stepsFrom,
} from './sampling.ts'
export { type ImageScheduler, type Prediction, parseScheduler, spacedTimes } from './scheduler.ts'
export {
  type ImageTraining,
  imageLosses,
  type TrainableImageNetwork,
  trainedImageDenoiser,
  trainImageDenoiser,
} from './training.ts'
