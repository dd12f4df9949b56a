/** @file Language models with a condition – an image, a passage –: what the condition is worth to the next word. */

export { type ContrastLimits, type ContrastRule, contrast, type M3idOptions } from './contrast.ts'
export { dependency } from './dependency.ts'
