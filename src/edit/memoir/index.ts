/** @file MEMOIR: lifelong editing with a masked residual memory (Wang et al. 2025, arXiv 2506.07899). */
export { backgroundPrompts } from './background.ts'
export { contextBeginnings, contextLengths, contextSampling, contextsOf } from './contexts.ts'
export {
  type Answered,
  type Editor,
  type EditRequest,
  type Listed,
  type NewStore,
  type OpenOptions,
  openEditor,
  type Replayed,
  type TargetScore,
  type Why,
} from './editor.ts'
export { type EvaluatedItem, type Evaluation, evaluateEdits, type Interval } from './evaluate.ts'
export { exportEdits } from './export.ts'
export { modelFingerprint } from './fingerprint.ts'
export { calibrate, matches, type PromptTrace, type Router, route, routers } from './router.ts'
export {
  defaultTraining,
  type EditRecord,
  isStore,
  publishedTraining,
  type Status,
  type StopRule,
  type StoreConfig,
  type Training,
} from './store/index.ts'
