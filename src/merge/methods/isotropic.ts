/**
 * @file Isotropic merging: the sum of the task matrices with all its singular values made equal, so that no task's directions drown
 * those of another. (Iso-C of Marczak et al. 2025, arXiv 2502.04959, algorithm 1)
 */
import { eigenOf, fail } from '../../base/index.ts'
import { type Vector, vectorOf } from '../vector/index.ts'
import { define, numberOf } from './define.ts'
import { lambda, weight } from './parameters.ts'
import type { LazyInput, MergeMethod } from './types.ts'

/** Values [rows, columns] with rows and columns exchanged. */
function transposed(values: Float64Array, rows: number, columns: number): Float64Array {
  const out = new Float64Array(values.length)
  for (let i = 0; i < rows; i++)
    for (let j = 0; j < columns; j++) out[j * rows + i] = values[i * columns + j]!
  return out
}

/** A Aᵀ of a matrix [rows, columns], its lower triangle. */
function gram(a: Float64Array, rows: number, columns: number): Float64Array {
  const out = new Float64Array(rows * rows)
  for (let i = 0; i < rows; i++)
    for (let j = 0; j <= i; j++) {
      let sum = 0
      for (let k = 0, p = i * columns, q = j * columns; k < columns; k++) sum += a[p + k]! * a[q + k]!
      out[i * rows + j] = sum
    }
  return out
}

/** V diag(f) Vᵀ for eigenvectors in rows. */
function spectral(vectors: Float64Array, factors: Float64Array, n: number): Float64Array {
  const out = new Float64Array(n * n)
  for (let r = 0; r < n; r++) {
    const row = r * n
    if (factors[r] === 0) continue
    for (let i = 0; i < n; i++) {
      const by = factors[r]! * vectors[row + i]!
      for (let j = 0; j < n; j++) out[i * n + j]! += by * vectors[row + j]!
    }
  }
  return out
}

/** S A of matrices [n, n] and [n, columns]. */
function times(s: Float64Array, a: Float64Array, n: number, columns: number): Float64Array {
  const out = new Float64Array(n * columns)
  for (let i = 0; i < n; i++)
    for (let k = 0; k < n; k++) {
      const by = s[i * n + k]!
      for (let j = 0, p = i * columns, q = k * columns; j < columns; j++) out[p + j]! += by * a[q + j]!
    }
  return out
}

/**
 * σ̄ U Vᵀ of a matrix U Σ Vᵀ [rows, columns], σ̄ the mean of its min(rows, columns) singular values. Directions in which the matrix
 * is 0 have no U and V, and stay 0. In double precision by the eigenvectors of A Aᵀ or Aᵀ A, whichever is smaller.
 */
function isotropic(values: Float32Array, rows: number, columns: number, name = 'matrix'): Float32Array {
  const isWide = rows <= columns
  const [n, long] = isWide ? [rows, columns] : [columns, rows]
  const whole = Float64Array.from(values)
  const a = isWide ? whole : transposed(whole, rows, columns)
  const found = eigenOf(gram(a, n, long), n)
  if (!found) return fail('TL_NOT_FINITE', `isotropic: ${name}: a task vector holds NaN or infinity`)
  const largest = found.values[n - 1]!
  const least = n * Number.EPSILON * largest
  const singular = found.values.map((square) => (square > least ? Math.sqrt(square) : 0))
  const mean = singular.reduce((sum, s) => sum + s, 0) / n
  const factors = singular.map((s) => (s > 0 ? mean / s : 0))
  const even = times(spectral(found.vectors, factors, n), a, n, long)
  return Float32Array.from(isWide ? even : transposed(even, columns, rows))
}

/** All values of a vector. */
function collected({ session }: LazyInput, vector: Vector): Float32Array {
  const out = new Float32Array(session.length)
  session.visit([vector], ([values], start) => out.set(values!, start))
  return out
}

const isotropicMerging = define({
  name: 'isotropic',
  title: 'Isotropic merging',
  source: 'Marczak et al. 2025, arXiv 2502.04959',
  needsBase: true,
  global: [lambda],
  perModel: [{ ...weight, default: 1 }],
  run(input) {
    const { base, models, parameters, shape, arithmetic, name, session } = input
    const deltas = models.map(({ values, parameters: own }) =>
      arithmetic.multiply(arithmetic.subtract(values, base!), arithmetic.number(numberOf(own, 'weight'))),
    )
    const sum = arithmetic.total(deltas)
    const by = numberOf(parameters, 'lambda')
    if (shape.length !== 2 || session.length === 0)
      return arithmetic.add(base!, arithmetic.multiply(sum, arithmetic.number(by / models.length)))
    const even = isotropic(collected(input, sum), shape[0]!, shape[1]!, name)
    const task = vectorOf({ dtype: 'F32', values: (start, count) => even.subarray(start, start + count) })
    return arithmetic.add(base!, arithmetic.multiply(task, by))
  },
})

export const isotropicMethods: readonly MergeMethod[] = [isotropicMerging]
