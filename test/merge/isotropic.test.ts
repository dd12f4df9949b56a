/** @file Isotropic merging: all singular values equal, the singular vectors kept, held against closed forms and the polar factor. */
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { eigenOf } from '../../src/base/index.ts'
import { mergeMethods, type Parameters } from '../../src/merge/index.ts'
import { random } from '../../src/tensor/index.ts'

const normal = (seed: number, n: number): Float32Array => random.sampleNormal(random.key(seed), n)

function merge(
  base: Float32Array,
  models: readonly Float32Array[],
  shape: readonly number[],
  parameters: Parameters = {},
): Float32Array {
  return mergeMethods['isotropic']!.merge({
    ...{ name: 'w', shape, base, parameters, key: random.key(0) },
    models: models.map((values) => ({ values, parameters: {} })),
  })
}

/** A Aᵀ of values [rows, columns]. */
const gram = (a: ArrayLike<number>, rows: number, columns: number): Float64Array =>
  Float64Array.from({ length: rows * rows }, (_, at) => {
    const [i, j] = [Math.floor(at / rows), at % rows]
    let sum = 0
    for (let k = 0; k < columns; k++) sum += a[i * columns + k]! * a[j * columns + k]!
    return sum
  })

/** The change that a merge made, from zeros. */
const changeOf = (models: readonly Float32Array[], shape: readonly [number, number], by = 1): Float32Array =>
  merge(new Float32Array(shape[0] * shape[1]), models, shape, { lambda: by })

describe('isotropic', () => {
  it('is a matrix with orthogonal rows of one length, the mean of the singular values of the sum', () =>
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 6 }),
        fc.integer({ min: 0, max: 4 }),
        fc.nat(1000),
        (rows, more, seed) => {
          const columns = rows + more
          const [a, b] = [normal(seed, rows * columns), normal(seed + 5000, rows * columns)]
          const sum = a.map((v, i) => v + b[i]!)
          const { values } = eigenOf(gram(sum, rows, columns), rows)!
          fc.pre(values[0]! > 1e-4 * values[rows - 1]!)
          const mean = values.reduce((total, square) => total + Math.sqrt(square), 0) / rows
          const own = gram(changeOf([a, b], [rows, columns]), rows, rows + more)
          for (let i = 0; i < rows; i++)
            for (let j = 0; j < rows; j++)
              expect(own[i * rows + j]! / mean ** 2).toBeCloseTo(i === j ? 1 : 0, 3)
        },
      ),
      { numRuns: 40 },
    ))

  it('keeps the singular vectors: the result times the sum, transposed, is symmetric and positive', () => {
    const [rows, columns] = [4, 7]
    const sum = normal(3, rows * columns)
    const even = changeOf([sum], [rows, columns])
    const product = Float64Array.from({ length: rows * rows }, (_, at) => {
      const [i, j] = [Math.floor(at / rows), at % rows]
      let total = 0
      for (let k = 0; k < columns; k++) total += even[i * columns + k]! * sum[j * columns + k]!
      return total
    })
    for (let i = 0; i < rows; i++)
      for (let j = 0; j < i; j++) expect(product[i * rows + j]).toBeCloseTo(product[j * rows + i]!, 4)
    expect(eigenOf(product, rows)!.values[0]).toBeGreaterThan(0)
  })

  it('turns with the matrix: tall matrices are wide ones turned round', () => {
    const [rows, columns] = [3, 5]
    const wide = normal(9, rows * columns)
    const turned = (a: Float32Array, r: number, c: number): Float32Array =>
      Float32Array.from(a, (_, at) => a[(at % r) * c + Math.floor(at / r)]!)
    const [a, b] = [
      changeOf([wide], [rows, columns]),
      changeOf([turned(wide, rows, columns)], [columns, rows]),
    ]
    for (const [i, v] of turned(a, rows, columns).entries()) expect(b[i]).toBeCloseTo(v, 5)
  })

  it('has the closed form of a diagonal sum, also of a singular one', () => {
    const diagonal = (x: number, y: number, z: number) => Float32Array.of(x, 0, 0, 0, y, 0, 0, 0, z)
    const even = changeOf([diagonal(3, 0, 0), diagonal(0, -6, 0)], [3, 3])
    // the third direction is 0 and stays 0; the mean is over all three
    for (const [i, v] of diagonal(3, -3, 0).entries()) expect(even[i]).toBeCloseTo(v, 5)
  })

  it('leaves a sum whose singular values are equal as it is, and averages what is no matrix', () => {
    const rotation = Float32Array.of(0.6, -0.8, 0.8, 0.6)
    const base = normal(1, 4)
    for (const [i, v] of merge(base, [base.map((x, k) => x + rotation[k]!)], [2, 2]).entries())
      expect(v).toBeCloseTo(base[i]! + rotation[i]!, 5)
    const [a, b] = [normal(2, 4), normal(3, 4)]
    for (const [i, v] of merge(base, [a, b], [4], { lambda: 0.5 }).entries())
      expect(v).toBeCloseTo(base[i]! + 0.25 * (a[i]! + b[i]! - 2 * base[i]!), 5)
  })

  it('gives the base where models are it or λ is 0, and refuses NaN', () => {
    const base = normal(1, 6)
    expect(merge(base, [base, base], [2, 3])).toEqual(base)
    expect(merge(base, [normal(4, 6)], [2, 3], { lambda: 0 })).toEqual(base)
    expect(() => merge(base, [base.map(() => Number.NaN)], [2, 3])).toThrow(
      'isotropic: w: a task vector holds NaN or infinity',
    )
  })
})
