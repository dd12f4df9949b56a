/** @file How well facts have been learned, and what else has changed: the field's metrics, with intervals. */
export { type EvaluatedFact, type Evaluation, evaluateFacts, type MeanInterval } from './evaluate.ts'
export { type Journal, openJournal } from './journal.ts'
export {
  agreement,
  type Before,
  type Measured,
  type Reference,
  type Result,
  referenceOf,
  resultBefore,
  resultOf,
} from './measure.ts'
export {
  type Kind,
  learned,
  type Question,
  type Questions,
  questionsOf,
  unchanged,
  withSubject,
} from './questions.ts'
export { histogram, type Overlaps, overlapsOf, type RoutingPoint, routingCurve } from './routing.ts'
export { type Interval, meanShare, median } from './shares.ts'
export { type Scores, type Summary, summarize } from './summary.ts'
