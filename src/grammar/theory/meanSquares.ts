/** @file What `countCorrelations` counts, from the rules alone: signal and noise of every place, by transfer matrices. */
import type { Grammar } from '../grammar.ts'
import { covarianceOf, nodeJoint, type PairTable, tupleJoint } from './transfer.ts'

/** Mean squares over all pairs of symbols. */
export interface ExactMeanSquare {
  /** Of the covariance itself. */
  readonly signal: number
  /**
   * P times the mean square of a covariance counted from P pairs that have nothing to do with each other, for large P:
   * (1 − Σ p²)(1 − Σ q²) over the number of pairs of symbols. Uniform symbols: (1 − 1/v)²/v² for tokens.
   */
  readonly noise: number
}

function meanSquareOf(joint: PairTable): ExactMeanSquare {
  const { rows, columns, values } = joint
  const covariance = covarianceOf(joint).values
  const [byRow, byColumn] = [new Float64Array(rows), new Float64Array(columns)]
  for (const [at, p] of values.entries()) {
    byRow[Math.floor(at / columns)]! += p
    byColumn[at % columns]! += p
  }
  const varied = (p: Float64Array): number => 1 - p.reduce((sum, x) => sum + x * x, 0)
  return {
    signal: covariance.reduce((sum, c) => sum + c * c, 0) / values.length,
    noise: (varied(byRow) * varied(byColumn)) / values.length,
  }
}

/**
 * Of the last token with every token before it, nearest first [d − 1], and with every tuple left of its own, nearest first
 * [d/s − 1]; tuples are the v·m rules of the lowest level.
 */
export function exactMeanSquares(grammar: Grammar): {
  readonly tokens: readonly ExactMeanSquare[]
  readonly tuples: readonly ExactMeanSquare[]
} {
  const { s, L, d } = grammar
  const last = { level: L, index: d - 1 }
  return {
    tokens: Array.from({ length: d - 1 }, (_, i) =>
      meanSquareOf(nodeJoint(grammar, { level: L, index: d - 2 - i }, last)),
    ),
    tuples: Array.from({ length: d / s - 1 }, (_, b) =>
      meanSquareOf(tupleJoint(grammar, { level: L - 1, index: d / s - 2 - b }, last)),
    ),
  }
}
