/** @file A plan for early stopping: when trainings begin to memorize, the law over P, and what it says for another P. */
import type { TrainingCurve } from './curves.ts'
import { type LeftOut, lawOf, leaveOneOut, type MarkFindings, pointsOf, type Steps95 } from './law.ts'
import { type Criterion, loggedOf, memorizationOf } from './memorization.ts'
import { adviceFor, notesOn } from './notes.ts'

/** What is asked. */
export interface StopRequest {
  /** The minimum of the validation loss, or the onset of copies. */
  readonly by: Criterion
  /** Share of copies above chance that counts as their onset. */
  readonly share: number
  /** P for which to predict. */
  readonly at: readonly number[]
}

/** The plan. */
export interface StopPlan extends MarkFindings {
  readonly share: number
  readonly predictions: readonly Steps95[]
  readonly leaveOneOut: readonly LeftOut[]
  /** By the other criterion, where it was logged. */
  readonly beside: MarkFindings | undefined
  /** What to know about these numbers, a sentence or two each. */
  readonly notes: readonly string[]
  /** Why there is no law, and what to train instead; undefined where there is one. */
  readonly advice: string | undefined
}

const findingsBy = (curves: readonly TrainingCurve[], by: Criterion, share: number): MarkFindings => {
  const located = curves.map((curve) => ({
    ...{ P: curve.P, seed: curve.seed },
    time: memorizationOf(curve, by, share),
  }))
  return { by, located, points: pointsOf(located), law: lawOf(located) }
}

/** Plan early stopping from some trainings. */
export function planStop(curves: readonly TrainingCurve[], { by, share, at }: StopRequest): StopPlan {
  const own = findingsBy(curves, by, share)
  const other: Criterion = by === 'copies' ? 'validation' : 'copies'
  const isLogged = curves.some((curve) => loggedOf(curve, other).length > 0)
  const beside = isLogged ? findingsBy(curves, other, share) : undefined
  const checks = leaveOneOut(own.located)
  return {
    ...own,
    ...{ share, beside, leaveOneOut: checks },
    predictions: own.law ? at.map((P) => own.law!.predict(P)) : [],
    notes: notesOn(own, beside, checks, at),
    advice: own.law ? undefined : adviceFor(own, beside),
  }
}

/** The plan as `treeline stop --json` prints it. */
export const stopJson = ({ points, law, predictions, leaveOneOut: checks }: StopPlan): object => ({
  points: points.map(({ P, tau, low, high, bound }) => ({ P, tau, low, high, bound })),
  law: {
    ...{ a: law?.a ?? null, b: law?.b ?? null, bLow: law?.bLow ?? null, bHigh: law?.bHigh ?? null },
    ...{ bend: law?.bend?.value ?? null, bendLow: law?.bend?.low ?? null, bendHigh: law?.bend?.high ?? null },
  },
  predictions,
  leaveOneOut: checks.map(({ P, tau, predicted, predictedLow, predictedHigh }) => ({
    ...{ P, tau, predicted },
    ...{ low: predictedLow, high: predictedHigh },
  })),
})
