/** @file What is measured, as rows. */
import type { Measured } from '../../lab/index.ts'
import type { MethodName } from './config.ts'
import type { Scheme } from './schedules.ts'

export interface Cell {
  readonly part: 'scaling'
}

/** A task before and after fine-tuning, on test pictures. */
export interface TunedRow {
  readonly of: 'tuned'
  readonly task: string
  readonly zeroShot: number
  readonly accuracy: number
  /** The control before and after. */
  readonly controlBefore: number
  readonly control: number
}

/** One fine-tuned model, scaled: shares of what fine-tuning gave (target) and of what there was before it (control). */
export interface SingleRow {
  readonly of: 'single'
  readonly task: string
  readonly scheme: Scheme
  readonly alpha: number
  readonly target: number
  readonly control: number
  /** Best by 2 · target + control on validation pictures. */
  readonly isChosen: boolean
}

/** A merge of all tasks. */
export interface MergeRow {
  readonly of: 'merge'
  readonly method: MethodName
  readonly scheme: Scheme
  /** α of the norm rule; with `plain` the coefficient. */
  readonly alpha: number
  readonly beta: number
  /** Mean over tasks of accuracy as a share of the fine-tuned model's, on validation pictures. */
  readonly validation: number
  /** The best on validation pictures: the only one that is tested. */
  readonly isChosen: boolean
  readonly test: number | null
  readonly absolute: number | null
  readonly control: number | null
}

/** Accuracy on one task of the chosen merges. */
export interface TaskRow {
  readonly of: 'task'
  readonly method: MethodName
  readonly scheme: Scheme
  readonly task: string
  readonly share: number
}

/** Interpolations and averages of one task's models. */
export interface RobustRow {
  readonly of: 'robust'
  readonly model: string
  readonly task: string
  readonly target: number
  /** On inputs with noise; null where inputs are no numbers. */
  readonly shifted: number | null
  readonly control: number
}

/** A soup of two policies. */
export interface RewardRow {
  readonly of: 'reward'
  readonly task: string
  readonly scheme: string
  /** Share of the first policy. */
  readonly share: number
  /** Mean rewards on test pictures. */
  readonly first: number
  readonly second: number
}

export type Row = TunedRow | SingleRow | MergeRow | TaskRow | RobustRow | RewardRow
export type Found = Measured<Cell, Row>

/** Rows of a kind. */
export const rowsOf = <K extends Row['of']>(rows: readonly Found[], of: K) =>
  rows.filter((row) => row.of === of) as unknown as Measured<Cell, Extract<Row, { of: K }>>[]
