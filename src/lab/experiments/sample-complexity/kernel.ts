/**
 * @file The neural tangent kernel of the hierarchical CNN, and regression with it: the lazy limit, in which features do not
 * move. Windows do not overlap and weights are independent, so two inputs matter only through where they agree.
 */
import { fail } from '../../../base/index.ts'

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

/** Rows of the factor that are kept in the processor's cache while a column of blocks is worked on. */
const block = 64

/** Inner product of `length` entries from two places of one array. */
function dot(m: Float64Array, a: number, b: number, length: number): number {
  let [s0, s1, s2, s3] = [0, 0, 0, 0]
  let k = 0
  for (; k + 3 < length; k += 4) {
    s0 += m[a + k]! * m[b + k]!
    s1 += m[a + k + 1]! * m[b + k + 1]!
    s2 += m[a + k + 2]! * m[b + k + 2]!
    s3 += m[a + k + 3]! * m[b + k + 3]!
  }
  for (; k < length; k++) s0 += m[a + k]! * m[b + k]!
  return s0 + s1 + s2 + s3
}

/** Cholesky factor of a symmetric positive matrix [n, n], in place in its lower triangle. */
export function cholesky(matrix: Float64Array, n: number): void {
  for (let from = 0; from < n; from += block) {
    const to = Math.min(n, from + block)
    for (let i = from; i < n; i++)
      for (let j = from; j < Math.min(to, i + 1); j++) {
        const rest = matrix[i * n + j]! - dot(matrix, i * n, j * n, j)
        if (i > j) matrix[i * n + j] = rest / matrix[j * n + j]!
        else if (rest > 0) matrix[i * n + i] = Math.sqrt(rest)
        else fail('TL_NOT_FINITE', `kernel: not positive at row ${i} (equal strings? raise the ridge)`)
      }
  }
}

/** Solve L Lᵀ x = y for each column of y [n, columns], in place. */
function solve(factor: Float64Array, n: number, y: Float64Array, columns: number): void {
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < i; j++) {
      const weight = factor[i * n + j]!
      for (let c = 0; c < columns; c++) y[i * columns + c]! -= weight * y[j * columns + c]!
    }
    for (let c = 0; c < columns; c++) y[i * columns + c]! /= factor[i * n + i]!
  }
  for (let i = n - 1; i >= 0; i--) {
    for (let c = 0; c < columns; c++) y[i * columns + c]! /= factor[i * n + i]!
    for (let j = 0; j < i; j++) {
      const weight = factor[i * n + j]!
      for (let c = 0; c < columns; c++) y[j * columns + c]! -= weight * y[i * columns + c]!
    }
  }
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
  cholesky(matrix, n)
  const weights = new Float64Array(n * classes).fill(-1 / classes)
  for (let i = 0; i < n; i++) weights[i * classes + train.classes[i]!]! += 1
  solve(matrix, n, weights, classes)
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
