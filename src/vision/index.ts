/** @file Classifiers of images whose layers can be looked at: a small network of ours, MobileNet of others. */
export {
  answersOf,
  type ClassifierLayer,
  type ClassifierNetwork,
  type ClassifierOptions,
  type ImageClassifier,
  imageClassifier,
} from './classifier.ts'
export {
  activations,
  clipImageShape,
  type ImageTowerShape,
  idefics3ImageShape,
} from './clip/config.ts'
export { type Clip, type OpenClipOptions, openClip } from './clip/openClip.ts'
export { clipImageStates, idefics3ImageTower } from './clip/towers.ts'
export { defaultTemplate, type ZeroShotClassifier, zeroShotClassifier } from './clip/zeroShot.ts'
export { type Cnn, type CnnOptions, type CnnParameters, cnn, type FoldedCnn, type Moments } from './cnn.ts'
export * from './encoder/index.ts'
export { type MobileNet, mobileNetActivations, readMobileNet } from './mobilenet.ts'
export { type OpenMobileNetOptions, openMobileNet } from './openMobileNet.ts'
export { preprocessor } from './preprocess.ts'
export { readPreprocessing } from './readPreprocessing.ts'
export { type ChannelScale, channelScale, channelScales, cosines } from './similarity.ts'
export { tilePreprocessor } from './tiles.ts'
export {
  classifierOf,
  type LabelledImages,
  openCnn,
  saveCnn,
  type TrainCnnOptions,
  type TrainedCnn,
  trainCnn,
} from './trainCnn.ts'
export { type WeightReader, weightReader } from './weights.ts'
