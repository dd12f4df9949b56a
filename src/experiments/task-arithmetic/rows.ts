/** @file Cells and rows of task arithmetic. */
import { type Measured, where } from '../../lab/index.ts'

/**
 * `nonlinear`: fine-tuned as it is. `posthoc`: the same vectors in the tangent model. `linear`: fine-tuned in the tangent model. `tak`:
 * so, too, with a penalty on what changes on the other tasks' examples.
 */
export const regimes = ['nonlinear', 'posthoc', 'linear', 'tak'] as const
export type Regime = (typeof regimes)[number]

export const regimeTitles: Readonly<Record<Regime, string>> = {
  nonlinear: 'nonlinear',
  posthoc: 'post-hoc linear',
  linear: 'linear',
  tak: 'linear with TAK',
}

/** Where fine-tuning begins. */
export interface Cell {
  readonly start: 'pretrained' | 'random'
}

/** Accuracy without any fine-tuning, of every task and, as a score, of the control; test examples. */
interface ZeroRow {
  readonly part: 'zero'
  readonly task: string
  readonly accuracy: number
}
/** A task's own vector at α = 1. */
interface SingleRow {
  readonly part: 'single'
  readonly regime: Regime
  readonly task: string
  readonly accuracy: number
}
/** The sum of all vectors at a coefficient, validation examples: means over tasks. */
interface AdditionRow {
  readonly part: 'addition'
  readonly regime: Regime
  readonly alpha: number
  readonly accuracy: number
  /** Over that of the task's own vector in the same regime. */
  readonly normalized: number
}
/** The sum at the coefficient that was chosen, test examples. */
interface AddedRow {
  readonly part: 'added'
  readonly regime: Regime
  readonly task: string
  readonly alpha: number
  readonly accuracy: number
  readonly normalized: number
}
/** A task's vector taken away, validation examples; `kept`: score of the control over that without fine-tuning. */
interface NegationRow {
  readonly part: 'negation'
  readonly regime: Regime
  readonly task: string
  readonly alpha: number
  readonly accuracy: number
  readonly kept: number
}
/** The same at the coefficient that was chosen, test examples. */
interface ForgottenRow extends Omit<NegationRow, 'part'> {
  readonly part: 'forgotten'
}
/** ξ(α₁, α₂) of a pair of tasks. */
export interface MapRow {
  readonly part: 'map'
  readonly regime: Regime
  readonly pair: string
  readonly alpha1: number
  readonly alpha2: number
  readonly error: number
}
/** Mean local energy, on one task's held-out examples, of the eigenfunctions by which the kernel represents a task. */
export interface EnergyRow {
  readonly part: 'energy'
  readonly task: string
  readonly on: string
  readonly energy: number
}

export type Row =
  | ZeroRow
  | SingleRow
  | AdditionRow
  | AddedRow
  | NegationRow
  | ForgottenRow
  | MapRow
  | EnergyRow

export type Found<P extends Row['part'] = Row['part']> = Measured<Cell, Extract<Row, { readonly part: P }>>

/** Rows of one part from one start. */
export const partOf = <P extends Row['part']>(
  rows: readonly Found[],
  part: P,
  start: Cell['start'] = 'pretrained',
): Found<P>[] => where(rows as readonly Found<P>[], { part, start } as never)

/** The regimes that were measured. */
export const regimesIn = (rows: readonly Found[]): Regime[] =>
  regimes.filter((regime) => partOf(rows, 'added').some((row) => row.regime === regime))

/** The name under which the control stands among tasks. */
export const controlName = 'control'
