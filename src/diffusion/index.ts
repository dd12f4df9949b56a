/** @file Noise processes, the exact reverse process, forward–backward experiments and their correlations. */
export {
  type Channel,
  type ChannelName,
  channels,
  checkNoise,
  findChannel,
  leafEvidence,
  type Noisy,
  type ReverseStep,
} from './channels.ts'
export {
  type ClassGaussian,
  classGaussianRoundTrips,
  classPosterior,
  fitClassGaussians,
  type GaussianMixture,
  sampleClassGaussians,
} from './classGaussians.ts'
export { coherence, coherenceLength } from './coherence.ts'
export {
  type ControlCovariances,
  type ControlName,
  controlCovariances,
  controlDistances,
  controlNames,
  controls,
} from './controls.ts'
export { fieldSusceptibility, modesSusceptibility } from './controlTheory.ts'
export {
  type Changes,
  changesOf,
  correlationLength,
  covarianceByDistance,
  covarianceSums,
  distanceAt,
  distancesOf,
  meanDistance,
  pairCounts,
  relativeCorrelations,
  susceptibility,
} from './correlations.ts'
export { type Denoised, type Denoiser, exactDenoiser } from './denoiser.ts'
export {
  addNoise,
  type DdimOptions,
  sampleDdim,
  samplingTimes,
  signalAt,
  stratifiedTimes,
} from './denoising.ts'
export { type Estimate, jackknife, meanAndError } from './errorBars.ts'
export { exactCovarianceSums } from './exactCovariance.ts'
export {
  fieldLike,
  fieldRoundTrips,
  type GaussianField,
  gaussianField,
  modePosterior,
  sampleField,
} from './gaussianField.ts'
export {
  type GridDistances,
  gridCovarianceSums,
  gridDistances,
  type PatchChanges,
  type PatchGrid,
  patchChanges,
  patchGrid,
} from './gridCorrelations.ts'
export * from './images/index.ts'
export * from './learned/index.ts'
export * from './masked/index.ts'
export {
  type Mixture,
  type MixtureShape,
  makeMixture,
  mixturePosterior,
  mixtureRoundTrips,
  sampleMixture,
} from './mixture.ts'
export { coordinateOverlap, type MixtureSurvival, mixtureSurvival } from './mixtureSurvival.ts'
export { type Reversed, reverseChain, roundTrips, sampleStrings, unmaskOneByOne } from './reverse.ts'
export { chainCovariances, epsilonCovariances, roundTripCovariances } from './roundTripCovariances.ts'
export { makeSchedule, noiseLevels, type Schedule, type ScheduleName, schedules } from './schedules.ts'
export { type ShuffledPixels, sampleShuffled, shuffledRoundTrips, shufflePixels } from './shuffledPixels.ts'
export { type Survival, survivalCurve, survivalOf } from './survival.ts'
export { type TripStatistics, tripStatistics } from './tripStatistics.ts'
export { survivalFromMarginals, survivalFromSamples, type TurnOptions, uTurn } from './uTurn.ts'
