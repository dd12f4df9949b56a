/** @file Early stopping: when trainings begin to memorize, the law over the number of examples, and predictions with intervals. */
export { type CurveRow, curveRowsOf, gatherCurves, type TrainingCurve } from './curves.ts'
export { stopFigure } from './figure.ts'
export type { Bend, LeftOut, Steps95, StopLaw, StopPoint } from './law.ts'
export type { Criterion } from './memorization.ts'
export { besideOne, markOf, shownBend, shownExponent, shownSteps, widthOf } from './notes.ts'
export { planStop, type StopPlan, type StopRequest, stopJson } from './plan.ts'
export { curveRowsOfRuns } from './runCurves.ts'
