/**
 * @file The neural tangent kernel of the hierarchical CNN, and regression with it: the lazy limit, in which features do not
 * move. Windows do not overlap and weights are independent, so two inputs matter only through where they agree.
 */
import { cholesky, fail, solveCholesky } from '../base/index.ts'

/** Agreement patterns are tabulated: 2^d of them. */
const maxLeaves = 20

/** ReLU's E[φ(a) φ(b)] and E[φ′(a) φ′(b)] for a, b of variance q and correlation ρ. (Cho & Saul 2009) */
const relu = (rho: number, q: number): { product: number; slope: number } => {
  const bounded = Math.max(-1, Math.min(1, rho))
  const angle = Math.PI - Math.acos(bounded)
  return {
    product: (q * (Math.sqrt(1 - bounded * bounded) + bounded * angle)) / (2 * Math.PI),
    slope: angle / (2 * Math.PI),
  }
}

/**
 * The tangent kernel of an infinitely wide hierarchical CNN (ReLU, no bias, weights N(0, 1), each product divided by the root
 * of its fan-in, `ntk` parametrization) on whitened one-hot symbols, for each pattern of agreement of two strings: bit i of
 * the index is set when their symbols at place i are equal. Needs s^L ≤ 20. (Jacot et al. 2018; Arora et al. 2019)
 *
 * Layer by layer, with means over the s children: Σ = mean K, Θ = Σ + mean Θ′ before the activation; then
 * K = E[φφ], Θ′ = Θ · E[φ′φ′]. Terms between different positions vanish: their backward signals are independent.
 */
export function agreementKernel({ v, s, L }: { v: number; s: number; L: number }): Float64Array {
  const d = s ** L
  if (d > maxLeaves)
    fail('TL_BAD_CONFIG', `config: the lazy kernel needs s^L ≤ ${maxLeaves} leaves, got ${s}^${L} = ${d}`)
  const table = new Float64Array(2 ** d)
  const products = new Float64Array(d)
  const tangents = new Float64Array(d)
  for (let pattern = 0; pattern < table.length; pattern++) {
    for (let i = 0; i < d; i++) {
      // whitened symbols have unit length and inner product −1/(v − 1); the fan-in counts their v channels
      products[i] = ((pattern >>> i) & 1 ? 1 : -1 / (v - 1)) / v
      tangents[i] = 0
    }
    let variance = 1 / v
    for (let width = d / s; width >= 1; width /= s) {
      for (let node = 0; node < width; node++) {
        let sigma = 0
        let theta = 0
        for (let i = node * s; i < (node + 1) * s; i++) {
          sigma += products[i]! / s
          theta += tangents[i]! / s
        }
        const { product, slope } = relu(sigma / variance, variance)
        products[node] = product
        tangents[node] = (sigma + theta) * slope
      }
      variance /= 2
    }
    table[pattern] = products[0]! + tangents[0]!
  }
  return table
}

/** Kernel values of strings a [n, d] against b [k, d], row by row. */
export function kernelMatrix(
  table: Float64Array,
  a: Int32Array,
  b: Int32Array,
  d: number,
): Float64Array<ArrayBuffer> {
  const [rows, columns] = [a.length / d, b.length / d]
  const out = new Float64Array(rows * columns)
  for (let i = 0; i < rows; i++)
    for (let j = 0; j < columns; j++) {
      let pattern = 0
      for (let k = 0; k < d; k++) if (a[i * d + k] === b[j * d + k]) pattern |= 1 << k
      out[i * columns + j] = table[pattern]!
    }
  return out
}

/** Relative to the diagonal: only against rounding. */
const ridge = 1e-8

/** Strings [n, d] and their classes [n]. */
export interface Labelled {
  readonly leaves: Int32Array
  readonly classes: Int32Array
}

/**
 * Share of test strings whose class kernel regression on the training strings gets wrong: one-hot classes less their mean
 * are interpolated, the largest output is the answer. It is where gradient descent takes a lazy network with squared loss.
 */
export function kernelError(
  table: Float64Array,
  train: Labelled,
  test: Labelled,
  { d, classes }: { d: number; classes: number },
): number {
  const n = train.classes.length
  const matrix = kernelMatrix(table, train.leaves, train.leaves, d)
  const diagonal = table.at(-1)!
  for (let i = 0; i < n; i++) matrix[i * n + i]! += ridge * diagonal
  const row = cholesky(matrix, n)
  if (row >= 0) fail('TL_NOT_FINITE', `kernel: not positive at row ${row} (equal strings? raise the ridge)`)
  const weights = new Float64Array(n * classes).fill(-1 / classes)
  for (let i = 0; i < n; i++) weights[i * classes + train.classes[i]!]! += 1
  solveCholesky(matrix, n, weights, classes)
  const across = kernelMatrix(table, test.leaves, train.leaves, d)
  let wrong = 0
  const outputs = new Float64Array(classes)
  for (let i = 0; i < test.classes.length; i++) {
    outputs.fill(0)
    for (let j = 0; j < n; j++) {
      const k = across[i * n + j]!
      for (let c = 0; c < classes; c++) outputs[c]! += k * weights[j * classes + c]!
    }
    if (outputs.indexOf(Math.max(...outputs)) !== test.classes[i]) wrong++
  }
  return wrong / test.classes.length
}
