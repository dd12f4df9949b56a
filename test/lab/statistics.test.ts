/** Means, slopes and crossings, worked by hand. */
import { expect, test } from 'vitest'
import {
  crossing,
  geometricMean,
  meanOf,
  powerOf,
  rootMean,
  slopeOf,
  spreadOf,
} from '../../src/lab/statistics.ts'
import { doublings } from '../../src/lab/study/index.ts'

test('means, slopes and spreads', () => {
  expect(meanOf([1, 2, 3, 6])).toMatchObject({ value: 3, n: 4, error: Math.sqrt(14 / 3 / 4) })
  expect(meanOf([5])).toEqual({ value: 5, error: null, n: 1 })
  expect(spreadOf([1, 3])).toBeCloseTo(Math.SQRT2, 12)
  expect(geometricMean([1, 4]).value).toBeCloseTo(2, 12)
  expect(rootMean([9, 16]).value).toBeCloseTo(Math.sqrt(12.5), 12)
  // y = 1 + 2x with residuals +1 −2 +1: slope 2, its error √(6 / 1 / 2)
  const { value, error } = slopeOf([
    [0, 2],
    [1, 1],
    [2, 6],
  ])
  expect(value).toBeCloseTo(2, 12)
  expect(error).toBeCloseTo(Math.sqrt(6 / 2), 12)
  expect(powerOf([2, 3, 5].map((x) => [x, 7 * x ** 1.5] as const)).value).toBeCloseTo(1.5, 12)
})

test('a crossing is the last upward one, straight in ln x', () => {
  const curve = [0, 2, 0, 1, 3].map((y, i) => ({ x: 2 ** i, y }))
  expect(crossing(curve, 2)).toBeCloseTo(2 ** 3.5, 12)
  expect(crossing(curve, 5)).toBeNull()
  expect(crossing(curve.slice(4), 2)).toBeNull()
})

test('numbers of data at which to look', () => {
  expect(doublings(16, 100)).toEqual([16, 32, 64])
  expect(doublings(16, 64, 2)).toEqual([16, 23, 32, 45, 64])
})
