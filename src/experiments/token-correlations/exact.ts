/** @file Covariances that follow from the rules alone, by transfer matrices. */
import { covarianceOf, type Grammar, nodeJoint, type PairTable, tupleJoint } from '../../grammar/index.ts'
import type { Exact } from './analyse.ts'

/** Mean square covariance over the entries of a joint distribution. */
function meanSquare(joint: PairTable): number {
  const { values } = covarianceOf(joint)
  return values.reduce((sum, c) => sum + c * c, 0) / values.length
}

/** Mean squares of the last token's covariances with every token before it, and with every tuple left of its own. */
export function exactMeanSquares(grammar: Grammar): Exact {
  const { s, L, d } = grammar
  const last = { level: L, index: d - 1 }
  return {
    tokens: Array.from({ length: d - 1 }, (_, i) =>
      meanSquare(nodeJoint(grammar, { level: L, index: d - 2 - i }, last)),
    ),
    tuples: Array.from({ length: d / s - 1 }, (_, b) =>
      meanSquare(tupleJoint(grammar, { level: L - 1, index: d / s - 2 - b }, last)),
    ),
  }
}
