/** @file Studies: an experiment as data – rows, estimates, claims, charts (see docs/studies.md). */
export {
  type Channel,
  chart,
  meanAcross,
  pointOf,
  type RowChart,
  shownEstimate,
  shownWhole,
  type Theory,
  table,
} from './chart.ts'
export {
  type Claim,
  type Claiming,
  claim,
  control,
  type Outcome,
  outcomeOf,
  type Tolerance,
} from './claim.ts'
export { collapse, type ScaledCurve, type Spread } from './collapse.ts'
export {
  type Curve,
  commonX,
  curvePoints,
  evenly,
  fallingPart,
  fallsTo,
  interpolate,
  logSpread,
  meanCurve,
  meeting,
  merged,
  peakOf,
  steepness,
} from './curves.ts'
export { defineStudy, type StudyExperiment } from './defineStudy.ts'
export { doublings } from './doublings.ts'
export {
  besideTheory,
  difference,
  type Estimate,
  type Estimator,
  exact,
  geometricMeanOverReplicas,
  intervalOf,
  jackknife,
  jackknifeByGroup,
  overReplicas,
  ratio,
  shareOf,
  studentQuantile,
} from './estimate.ts'
export { fetchListeners } from './fetchListeners.ts'
export { cellFolder } from './measure.ts'
export { claimsOfSummary, countOutcomes, outcomeMark, outcomesInWords } from './outcomes.ts'
export { column, type Drawn, distinct, groupBy, type Measured, replicasOf, studyRows, where } from './rows.ts'
export type { AnyStudy, Bench, Findings, KeyNumber, Preparing, Study, Value } from './study.ts'
