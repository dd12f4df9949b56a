/** @file Language models with a condition – an image, a passage –: what the condition is worth to the next word. */

export { type ContrastLimits, type ContrastRule, contrast, type M3idOptions } from './contrast.ts'
export { dependency } from './dependency.ts'
export type { GeneratedWithImages, GenerateWithImagesOptions } from './generate.ts'
export type { Look } from './layouts/layout.ts'
export {
  type Chair,
  type ChairComparison,
  chair,
  compareChair,
  type JudgedCaption,
  type Share,
} from './measures/chair.ts'
export {
  addAnnotations,
  type CaptionRecord,
  captionRecord,
  judge,
  objectWords,
} from './measures/cocoFiles.ts'
export { cocoModifiers, cocoObjects, cocoOthers } from './measures/cocoObjects.ts'
export { type Mention, mentionFinder, type ObjectTable } from './measures/mentions.ts'
export {
  type PopeKind,
  type PopeQuestion,
  type PopeScores,
  popeAnswer,
  popeQuestions,
  popeRecord,
  popeScores,
  type YesNo,
} from './measures/pope.ts'
export { meansByPosition } from './measures/positions.ts'
export { underNoise } from './noise.ts'
export {
  type OpenVisionLanguageOptions,
  openVisionLanguageModel,
  type VisionLanguageModel,
} from './open.ts'
export type { Prompt, PromptOptions } from './prompt.ts'
