/** @file Diffusion models of images: others' and the small ones, sampled and taken through round trips. */
export { type DenoiserOptions, type ImageDenoiser, type ImageNetwork, imageDenoiser } from './denoiser.ts'
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
