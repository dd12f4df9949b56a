/** The cosine of standardised activations against its definition, unit by unit and datum by datum. */
import { expect, test } from 'vitest'
import { similarity } from '../../src/nn/index.ts'
import { random } from '../../src/tensor/index.ts'

const [count, size] = [40, 7]
const original = Float64Array.from(
  random.sampleNormal(random.key(1), count * size),
  (x, i) => 3 * x + (i % size),
)
const noise = random.sampleNormal(random.key(2), count * size)

/** Rows of a table. */
const rowsOf = (table: ArrayLike<number>): number[][] =>
  Array.from({ length: count }, (_, i) => Array.from(table).slice(i * size, (i + 1) * size))
const average = (list: number[]): number => list.reduce((a, b) => a + b, 0) / list.length

test('it is what the definition says, whatever the scale and the origin of a unit', () => {
  const changed = original.map((x, i) => x + noise[i]!)
  const units = rowsOf(original)[0]!.map((_, j) => rowsOf(original).map((row) => row[j]!))
  const standard = (row: number[]): number[] =>
    row.map((x, j) => {
      const centre = average(units[j]!)
      return (x - centre) / Math.sqrt(average(units[j]!.map((y) => (y - centre) ** 2)))
    })
  const dot = (a: number[], b: number[]): number => a.reduce((sum, x, j) => sum + x * b[j]!, 0)
  const expected = average(
    rowsOf(original).map((row, i) => {
      const [a, b] = [standard(row), standard(rowsOf(changed)[i]!)]
      return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b))
    }),
  )
  expect(similarity(original, changed, count)).toBeCloseTo(expected, 12)
  expect(expected).toBeLessThan(0.99)
  const stretched = (table: Float64Array) => table.map((x, i) => (1 + (i % size)) * x - 5 * (i % size))
  expect(similarity(stretched(original), stretched(changed), count)).toBeCloseTo(expected, 12)
})

test('it is 1 of equal data and near 0 of others, and units that say nothing are left out', () => {
  expect(similarity(original, original, count)).toBeCloseTo(1, 12)
  const shifted = Float64Array.from(original, (_, i) => original[(i + 3 * size) % (count * size)]!)
  expect(Math.abs(similarity(original, shifted, count))).toBeLessThan(0.2)
  const still = (table: Float64Array, other: number) => table.map((x, i) => (i % size === 2 ? other : x))
  const changed = original.map((x, i) => x + noise[i]!)
  const without = (table: Float64Array) => table.filter((_, i) => i % size !== 2)
  expect(similarity(still(original, 0.3), still(changed, 0.8), count)).toBeCloseTo(
    similarity(without(original), without(changed), count),
    12,
  )
  expect(
    similarity(
      original.map(() => 0.1),
      changed,
      count,
    ),
  ).toBeNaN()
})
