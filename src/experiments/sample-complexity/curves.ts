/** @file Learning curves of one grammar shape: the answers of all jobs on it, in order of the training set's size. */
import type { Shape } from '../../grammar/index.ts'
import { mean, meanOf } from '../../lab/index.ts'
import type { CnnJob, CorrelationsJob, Found, Job } from './jobs.ts'
import { scaleOf } from './plan.ts'
import type { Setting, Threshold } from './statistics.ts'

/** A value with its standard error over grammars (0 for a single one). */
export interface Measured {
  value: number
  error: number
}

/** One point of a learning curve. */
export interface Point {
  /** Training strings P. */
  P: number
  error: Measured
  /** Of each grammar. */
  errors: number[]
}

/** One point of a CNN's learning curve. */
export interface CnnPoint extends Point {
  loss: number
  steps: number
  /** S_{k,l} at [k − 1][l − 1]; null where a layer answers the same to everything. */
  sensitivity: (Measured | null)[][]
}

/** The curve of one grammar shape. `scale` is n_c·m^L, `strings` P_max. */
export interface Curve<P extends Point = Point> {
  shape: Shape
  scale: number
  strings: number
  points: P[]
  threshold: Threshold
}

export interface CnnCurve extends Curve<CnnPoint> {
  /** P at which S_{2,1} falls below a half, and at which the error falls below half of chance. */
  invariance: Threshold
  halfError: Threshold
}

/** Error of guessing: 1 − 1/n_c. */
export const chanceOf = ({ classes }: Shape): number => 1 - 1 / classes

/** Shares of the chance error that define P*: of deep networks, and of one hidden layer. (Cagnetta et al. 2024) */
export const learned = { deep: 0.1, shallow: 0.7 } as const

export const measured = (values: readonly number[]): Measured => ({
  value: mean(values),
  error: meanOf(values).error ?? 0,
})

export const sameShape = (a: Shape, b: Shape): boolean =>
  a.v === b.v && a.classes === b.classes && a.m === b.m && a.s === b.s && a.L === b.L

/** Jobs of one kind on one shape with what they found, grouped by size of the training set, replicas in order. */
export interface Group {
  readonly P: number
  readonly found: readonly Found<CnnJob>[]
}

const isCurve = (job: Job): job is Exclude<Job, CorrelationsJob> => job.kind !== 'correlations'

export function groupsOf(
  jobs: readonly Job[],
  found: readonly Found[],
  is: (job: Exclude<Job, CorrelationsJob>) => boolean,
): Group[] {
  const rows = jobs.flatMap((job, i) =>
    isCurve(job) && is(job)
      ? [{ P: job.trainCount, replica: job.replica, found: found[i] as Found<CnnJob> }]
      : [],
  )
  return [...new Set(rows.map(({ P }) => P))]
    .sort((a, b) => a - b)
    .map((P) => ({
      P,
      found: rows
        .filter((row) => row.P === P)
        .sort((a, b) => a.replica - b.replica)
        .map((row) => row.found),
    }))
}

export const pointOf = ({ P, found }: Group): Point => {
  const errors = found.map(({ error }) => error)
  return { P, error: measured(errors), errors }
}

export function cnnPointOf(group: Group): CnnPoint {
  const { found } = group
  const shapeOfS = found[0]!.sensitivity ?? []
  const sensitivity = shapeOfS.map((row, k) =>
    row.map((_, l) => {
      const values = found.flatMap(({ sensitivity: S }) => S?.[k]?.[l] ?? [])
      return values.length === 0 ? null : measured(values)
    }),
  )
  return {
    ...pointOf(group),
    loss: mean(found.map(({ loss }) => loss)),
    steps: mean(found.map(({ steps }) => steps)),
    sensitivity,
  }
}

/** Curves as statistics take them: one row for each grammar. */
export const settingOf = (
  shape: Shape,
  groups: readonly Group[],
  threshold: number,
  scale = scaleOf(shape),
  y: (found: Found<CnnJob>) => number = ({ error }) => error,
): Setting => ({
  x: groups.map(({ P }) => P),
  values: (groups[0]?.found ?? []).map((_, replica) => groups.map(({ found }) => y(found[replica]!))),
  scale,
  threshold,
})

/** S_{2,1} of one trained network; a layer that answers the same to everything is invariant. */
export const secondLayer = ({ sensitivity }: Found<CnnJob>): number => sensitivity?.[1]?.[0] ?? 0
