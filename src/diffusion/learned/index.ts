/** @file Networks that learn to undo noise. */
export { type LearningCurveOptions, type Look, learningCurve } from './learningCurve.ts'
export {
  type DenoisingNetwork,
  hiddenLayers,
  type NetworkDenoiser,
  networkDenoiser,
  stringLosses,
  transformerFor,
  treeUnetFor,
} from './network.ts'
export { makeNoiseProcess, type NoiseProcess, type NoiseProcessOptions } from './noiseProcess.ts'
export { type NoisyStrings, type Objective, objectives } from './objectives.ts'
export { type CleanStrings, fixedStrings, lettersOf } from './strings.ts'
export { type DenoiserTraining, lookSteps, stepsPerCall, trainDenoiser } from './trainDenoiser.ts'
