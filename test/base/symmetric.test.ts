/** @file Symmetric matrices: factors and eigenvectors against what defines them. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { cholesky, eigenOf, solveCholesky, timesVector } from '../../src/base/index.ts'

const entries = (count: number) =>
  fc.array(fc.double({ min: -2, max: 2, noNaN: true }), { minLength: count, maxLength: count })
/** A symmetric matrix, now and then with rows of zeros and equal eigenvalues. */
const symmetric = fc.integer({ min: 1, max: 9 }).chain((n) =>
  fc.tuple(entries(n * n), fc.array(fc.boolean(), { minLength: n, maxLength: n })).map(([list, empty]) => {
    const a = new Float64Array(n * n)
    for (let i = 0; i < n; i++)
      for (let j = 0; j <= i; j++)
        a[i * n + j] = a[j * n + i] =
          i !== j && (empty[i] || empty[j]) ? 0 : Math.round(list[i * n + j]! * 4) / 4
    return { n, a }
  }),
)
const furthest = (x: ArrayLike<number>, y: ArrayLike<number>): number =>
  Array.from(x).reduce((most, v, i) => Math.max(most, Math.abs(v - y[i]!)), 0)

describe('symmetric matrices', () => {
  it('A v = λ v, eigenvectors are orthonormal, eigenvalues ascend', () => {
    fc.assert(
      fc.property(symmetric, ({ n, a }) => {
        const before = a.slice()
        const { values, vectors } = eigenOf(a, n)!
        expect(a).toEqual(before)
        for (let k = 0; k < n; k++) {
          const v = vectors.subarray(k * n, (k + 1) * n)
          expect(
            furthest(
              timesVector(a, v),
              v.map((x) => x * values[k]!),
            ),
          ).toBeLessThan(1e-12)
          expect(furthest(timesVector(vectors, v), new Float64Array(n).fill(1, k, k + 1))).toBeLessThan(1e-12)
          if (k > 0) expect(values[k]!).toBeGreaterThanOrEqual(values[k - 1]!)
        }
      }),
      { numRuns: 300 },
    )
  })

  it('a chain of springs has its known eigenvalues', () => {
    const n = 150
    const a = new Float64Array(n * n)
    for (let i = 0; i < n; i++) {
      a[i * n + i] = 2
      if (i > 0) a[i * n + i - 1] = a[(i - 1) * n + i] = -1
    }
    const known = Array.from({ length: n }, (_, k) => 2 - 2 * Math.cos((Math.PI * (k + 1)) / (n + 1)))
    expect(furthest(eigenOf(a, n)!.values, known)).toBeLessThan(1e-12)
    expect(eigenOf(Float64Array.of(1, 0, 0, Number.NaN, 1, 0, 0, 0, 1), 3)).toBeUndefined()
  })

  it('most eigenvalues 0: the inner products of many vectors in few dimensions', () => {
    const [n, rank] = [66, 10]
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2 ** 31 }), fc.constantFrom(1e-4, 1, 1e4), (seed, size) => {
        let state = seed
        const drawn = (): number => {
          state = (Math.imul(state, 1664525) + 1013904223) >>> 0
          return state / 2 ** 32
        }
        // two in three are 0
        const x = Float64Array.from({ length: n * rank }, () => (drawn() < 0.3 ? size * (drawn() - 0.5) : 0))
        const a = new Float64Array(n * n)
        for (let i = 0; i < n; i++)
          for (let j = 0; j < n; j++)
            for (let k = 0; k < rank; k++) a[i * n + j]! += x[i * rank + k]! * x[j * rank + k]!
        const { values, vectors } = eigenOf(a, n)!
        const bound = 1e-11 * Math.max(values[n - 1]!, 1e-30)
        expect(Math.max(...values.subarray(0, n - rank).map(Math.abs))).toBeLessThanOrEqual(bound)
        for (let k = 0; k < n; k++) {
          const v = vectors.subarray(k * n, (k + 1) * n)
          expect(
            furthest(
              timesVector(a, v),
              v.map((y) => y * values[k]!),
            ),
          ).toBeLessThanOrEqual(bound)
          expect(furthest(timesVector(vectors, v), new Float64Array(n).fill(1, k, k + 1))).toBeLessThan(1e-11)
        }
      }),
      { numRuns: 60 },
    )
  })

  it('Cholesky solves B Bᵀ + 1, and says where a matrix is not positive', () => {
    fc.assert(
      fc.property(symmetric, ({ n, a }) => {
        const positive = new Float64Array(n * n)
        for (let i = 0; i < n; i++) positive.set(timesVector(a, a.slice(i * n, (i + 1) * n)), i * n)
        for (let i = 0; i < n; i++) positive[i * n + i]! += 1
        const x = Float64Array.from({ length: n }, (_, i) => i - 2)
        const y = timesVector(positive, x)
        expect(cholesky(positive, n)).toBe(-1)
        solveCholesky(positive, n, y)
        expect(furthest(y, x)).toBeLessThan(1e-9)
      }),
    )
    expect(cholesky(Float64Array.of(1, 0, 0, 0, 1, 0, 0, 0, -1), 3)).toBe(2)
  })
})
