/** @file MEMOIR: lifelong editing with a masked residual memory (Wang et al. 2025, arXiv 2506.07899). */

export {
  defaultTraining,
  type EditRecord,
  isStore,
  publishedThreshold,
  publishedTraining,
  type Status,
  type StopRule,
  type StoreConfig,
  type Training,
} from '../store/index.ts'
export type {
  Answered,
  AnswerOptions,
  Asked,
  TargetScore,
  TextScore,
  Thread,
  Why,
} from './answering.ts'
export { backgroundPrompts, heldOutPrompts } from './background.ts'
export { contextBeginnings, contextLengths, contextSampling, contextsOf } from './contexts.ts'
export type { Editor, Listed } from './editor.ts'
export { exportEdits, exportingEdits } from './export.ts'
export { modelFingerprint } from './fingerprint.ts'
export { type NewStore, type OpenOptions, openEditor as open } from './opening.ts'
export { exportProgram, type Program } from './program.ts'
export { checkRequest, type EditRequest, type Prompt, type Texts, textsOf } from './requests.ts'
export { calibrate, matches, type PromptTrace, type Router, route, routers } from './router.ts'
export type { Replayed } from './teaching.ts'
