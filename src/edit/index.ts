/** @file Lifelong editing: MEMOIR (Wang et al. 2025, arXiv 2506.07899), its store of edits, facts to teach, and evaluation. */
export type { Answers, Scored } from './evaluation/answers.ts'
export { type Damage, damageOf, divergenceOf, type TextInParts } from './evaluation/damage.ts'
export {
  type EvaluatedFact,
  type Evaluation,
  evaluateFacts,
  type MeanInterval,
} from './evaluation/evaluate.ts'
export { evaluationJournal, type Journal } from './evaluation/journal.ts'
export {
  agreement,
  type Before,
  type Measured,
  type Reference,
  type Result,
  referenceOf,
  resultBefore,
  resultOf,
} from './evaluation/measure.ts'
export {
  asksForFact,
  denied,
  type Kind,
  learned,
  type Question,
  type Questions,
  questionsOf,
  unchanged,
  withSubject,
} from './evaluation/questions.ts'
export { relationQuestionsOf } from './evaluation/relationQuestions.ts'
export { type Interval, meanShare, median } from './evaluation/shares.ts'
export { type Scores, type Summary, summarize, type WildScores } from './evaluation/summary.ts'
export { saysTarget, type Wild } from './evaluation/wild.ts'
export {
  contradictions,
  duplicates,
  type Fact,
  type FactGroup,
  type FactSource,
  groupFacts,
  onePerSubject,
  parseFacts,
  readFacts,
  type Sameness,
  withSubjectIn,
} from './facts/index.ts'
export {
  type Answered,
  type AnswerMode,
  type AnswerOptions,
  type Asked,
  answerModes,
  type TargetScore,
  type TextScore,
  type Thread,
  type Why,
} from './memoir/answering.ts'
export { backgroundPrompts, heldOutPrompts } from './memoir/background.ts'
export { contextBeginnings, contextLengths, contextSampling, contextsOf } from './memoir/contexts.ts'
export type { Editor, Listed } from './memoir/editor.ts'
export { exportEdits, exportingEdits } from './memoir/export.ts'
export { modelFingerprint } from './memoir/fingerprint.ts'
export { type NewStore, type OpenOptions, openEditor } from './memoir/opening.ts'
export { exportProgram, type Program } from './memoir/program.ts'
export { learnRelations, type RelationOptions } from './memoir/relations.ts'
export {
  checkRequest,
  type EditRequest,
  type Prompt,
  type Texts,
  textsOf,
  type Words,
} from './memoir/requests.ts'
export { calibrate, matches, type PromptTrace, type Router, route, routers } from './memoir/router.ts'
export type { Replayed } from './memoir/teaching.ts'
export { type ScopeLevel, scopeLevels } from './scope/learn.ts'
export { outsideWeights, piecesOf } from './scope/outside.ts'
export { parseRelations, type Relations, readRelations } from './scope/relations.ts'
export {
  type Audit,
  createStore,
  defaultTraining,
  type EditRecord,
  isStore,
  type KeptAudit,
  openStore,
  publishedThreshold,
  publishedTraining,
  type Status,
  type StopRule,
  type StoreConfig,
  type Training,
} from './store/index.ts'
