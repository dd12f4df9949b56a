/**
 * @file What one tuple of leaves says of the class, against the noise of counting it: the signal that a hierarchical
 * classifier needs.
 */
import { fail } from '../../base/index.ts'
import type { Grammar, Shape } from '../grammar.ts'
import { checkData, checkTheory } from './fractions.ts'
import { nodeJoint } from './transfer.ts'

/**
 * Exact relative variance of f(α | μ) = P(class α | tuple μ at `patch`) in one grammar: the mean of (n_c f(α | μ) − 1)² over
 * classes and over the legal tuples that occur there. Synonyms have the same f, so this is the mean over their parents.
 * Throws TL_BAD_ARGUMENT unless 0 ≤ patch < s^{L−1}. (Cagnetta et al. 2024, Eq. 10)
 */
export function exactTupleClassSignal(grammar: Grammar, patch: number): number {
  checkTheory(grammar)
  const { classes, s, L } = grammar
  if (!(Number.isInteger(patch) && patch >= 0 && patch < s ** (L - 1)))
    fail(
      'TL_BAD_ARGUMENT',
      `patch: expected an integer from 0 to s^(L−1) − 1 = ${s ** (L - 1) - 1}, got ${patch}`,
    )
  const { rows, values } = nodeJoint(grammar, { level: L - 1, index: patch }, { level: 0, index: 0 })
  let [sum, count] = [0, 0]
  for (let symbol = 0; symbol < rows; symbol++) {
    const row = values.subarray(symbol * classes, (symbol + 1) * classes)
    const total = row.reduce((a, p) => a + p, 0)
    if (total === 0) continue
    for (const p of row) sum += ((classes * p) / total - 1) ** 2
    count += classes
  }
  return sum / count
}

/**
 * Typical relative variance of f(α | μ) over random grammars, v/m^{L−1}: the signal². Needs large v and m and L ≥ 2.
 *
 * The paper has v/m^L, and v·n_c/P for the noise²; conditioning on one of the v·m legal tuples, as here and in its definition
 * of f, both are m times larger. Their ratio, and so the threshold n_c m^L, is the same. (ibid., Eq. 10 and App. C)
 */
export function typicalTupleClassSignal(shape: Shape): number {
  checkTheory(shape)
  return shape.v / shape.m ** (shape.L - 1)
}

/** Relative sampling noise² of f(α | μ) counted in P data: v·m·n_c/P. P > 0. (ibid., App. C; see `typicalTupleClassSignal`) */
export function tupleClassNoise({ v, m, classes }: Shape, P: number): number {
  checkData(P)
  return (v * m * classes) / P
}
