/** @file Language models with a condition – an image, a passage –: what the condition is worth to the next word. */

export { type ContrastLimits, type ContrastRule, contrast, type M3idOptions } from './contrast.ts'
export { dependency } from './dependency.ts'
export type { GeneratedWithImages, GenerateWithImagesOptions } from './generate.ts'
export type { Look } from './layouts/layout.ts'
export { underNoise } from './noise.ts'
export {
  type OpenVisionLanguageOptions,
  openVisionLanguageModel,
  type VisionLanguageModel,
} from './open.ts'
export type { Prompt, PromptOptions } from './prompt.ts'
