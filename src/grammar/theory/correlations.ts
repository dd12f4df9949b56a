/**
 * @file Strength of correlations at each height: exact for one grammar, typical (root mean square over random grammars) in
 * closed form, and the noise of P samples. `height` is that of the lowest common ancestor (LCA), 1 … L.
 */
import { fail } from '../../base/index.ts'
import type { Grammar, Shape } from '../grammar.ts'
import { checkData, checkHeight, checkTheory, legalShare } from './fractions.ts'
import {
  childrenJoint,
  covarianceOf,
  nodeMarginal,
  type PairTable,
  ruleProbabilities,
  stepDown,
  transpose,
} from './transfer.ts'

function checkNodeHeight(height: number, nodeHeight: number, least: number): void {
  if (!(Number.isInteger(nodeHeight) && nodeHeight >= least && nodeHeight < height))
    fail(
      'TL_BAD_CONFIG',
      `nodeHeight: expected an integer from ${least} to ${height - 1}, below the common ancestor, got ${nodeHeight}`,
    )
}

/**
 * Covariances of the last leaf with every node at `nodeHeight` whose LCA with it is at `height`, node after node: tables
 * [symbols of the node, v].
 */
function* covariances(grammar: Grammar, height: number, nodeHeight: number): Generator<PairTable> {
  const { s, L } = grammar
  const top = L - height
  const prior = nodeMarginal(grammar, { level: top, index: s ** top - 1 })
  const below = function* (table: PairTable, level: number): Generator<PairTable> {
    if (level === L - nodeHeight) yield covarianceOf(transpose(table))
    else for (let i = 0; i < s; i++) yield* below(stepDown(grammar, table, level, i), level + 1)
  }
  for (let first = 0; first < s - 1; first++) {
    let pair = childrenJoint(grammar, prior, top, first, s - 1)
    for (let level = top + 1; level < L; level++) pair = stepDown(grammar, pair, level, s - 1)
    yield* below(transpose(pair), top + 1)
  }
}

/** Root mean square of all entries of tables, row r of each weighted by `weight(r)`, per `columnsOfWeight` entries. */
function rootMeanSquare(
  tables: Iterable<PairTable>,
  weight: (row: number) => number,
  perRow: number,
): number {
  let [sum, count] = [0, 0]
  for (const { columns, values } of tables) {
    for (let at = 0; at < values.length; at++) sum += values[at]! ** 2 * weight(Math.floor(at / columns))
    count += values.length * perRow
  }
  return Math.sqrt(sum / count)
}

/**
 * Exact C̃ of one grammar: root mean square over symbol pairs, and over all nodes at `nodeHeight` (0: tokens) with LCA at
 * `height`, of P(μ, ν) − P(μ) P(ν) with the last token. Cost s^height · v² m. (Cagnetta & Wyart 2024, Eqs. 6–8)
 */
export function exactTokenCorrelation(grammar: Grammar, height: number, nodeHeight = 0): number {
  checkTheory(grammar)
  checkHeight(grammar, height)
  checkNodeHeight(height, nodeHeight, 0)
  return rootMeanSquare(covariances(grammar, height, nodeHeight), () => 1, 1)
}

/**
 * The same between the last token and the tuples below nodes at `tupleHeight` (1: tuples of tokens), over the v·m legal tuples
 * and v tokens. Needs tupleHeight < height. (ibid., App. F; Favero et al. 2025)
 */
export function exactTupleCorrelation(grammar: Grammar, height: number, tupleHeight = 1): number {
  checkTheory(grammar)
  checkHeight(grammar, height, 2)
  checkNodeHeight(height, tupleHeight, 1)
  const { m, L } = grammar
  const probabilities = ruleProbabilities(grammar, L - tupleHeight)
  const squares = (symbol: number): number =>
    probabilities.subarray(symbol * m, (symbol + 1) * m).reduce((sum, p) => sum + p * p, 0)
  return rootMeanSquare(covariances(grammar, height, tupleHeight), squares, m)
}

/**
 * Typical C̃ over random grammars, √[(1 − f)/(v³ m^{2ℓ−1−k})], k = nodeHeight, f = m/v^{s−1}: the rule of the LCA and one choice
 * per level on both sides. Falls with distance t = s^ℓ as t^{−β}, β = ln m/ln s. Large v and m; near the root of small grammars
 * the exact value is lower. (Cagnetta & Wyart 2024, Eq. 8)
 */
export function typicalTokenCorrelation(shape: Shape, height: number, nodeHeight = 0): number {
  checkTheory(shape)
  checkHeight(shape, height)
  checkNodeHeight(height, nodeHeight, 0)
  return Math.sqrt((1 - legalShare(shape)) / (shape.v ** 3 * shape.m ** (2 * height - 1 - nodeHeight)))
}

/**
 * Typical correlation of a token with a tuple below a node at `tupleHeight`: √[(1 − f)/(v³ m^{2ℓ+1−k})], k = tupleHeight. With
 * k = ℓ − 1 the square is (1 − f)/(v³ m^{ℓ+2}). (ibid., App. F; Favero et al. 2025)
 */
export function typicalTupleCorrelation(shape: Shape, height: number, tupleHeight = 1): number {
  checkHeight(shape, height, 2)
  checkNodeHeight(height, tupleHeight, 1)
  return typicalTokenCorrelation(shape, height, tupleHeight) / shape.m
}

/** Sampling noise of C̃ between tokens from P data: (v² P)^{−1/2}. P > 0. (Cagnetta & Wyart 2024) */
export function tokenCorrelationNoise({ v }: Shape, P: number): number {
  checkData(P)
  return 1 / (v * Math.sqrt(P))
}

/** Sampling noise of C̃ between a token and a tuple from P data: (v² m P)^{−1/2}. P > 0. (ibid., App. F) */
export function tupleCorrelationNoise({ v, m }: Shape, P: number): number {
  checkData(P)
  return 1 / (v * Math.sqrt(m * P))
}
