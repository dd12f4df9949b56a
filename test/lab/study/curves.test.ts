/** Curves of which the answer is known: where two meet, where one falls, how steeply; means on different x. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  commonX,
  curvePoints,
  evenly,
  fallingPart,
  fallsTo,
  interpolate,
  logSpread,
  meanCurve,
  meeting,
  merged,
  peakOf,
  steepness,
} from '../../../src/lab/study/index.ts'

const logistic = (x: number, centre: number, slope: number) => 1 / (1 + Math.exp(slope * (x - centre)))

describe('two curves', () => {
  it('meet where the steep one crosses the shallow one, whatever happens at the ends', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0.2, max: 0.8, noNaN: true }),
        fc.double({ min: 10, max: 30, noNaN: true }),
        fc.double({ min: 1.5, max: 4, noNaN: true }),
        (centre, slope, factor) => {
          const x = evenly(0, 1, 41)
          // both are nearly 1 on the left and nearly 0 on the right, and cross there again and again
          const wiggle = (i: number, sign: number) => sign * 1e-4 * (i % 2 === 0 ? 1 : -1)
          const steep = { x, y: x.map((at, i) => logistic(at, centre, factor * slope) + wiggle(i, 1)) }
          const shallow = { x, y: x.map((at, i) => logistic(at, centre, slope) + wiggle(i, -1)) }
          expect(Math.abs(meeting(steep, shallow) - centre)).toBeLessThan(0.01)
        },
      ),
    )
  })

  it('meet nowhere when neither falls below the other', () => {
    const x = evenly(0, 1, 11)
    const high = { x, y: x.map((at) => 1 - at / 2) }
    const low = { x, y: x.map((at) => 0.9 - at) }
    expect([meeting(low, high), meeting(high, low), meeting(high, high)]).toEqual([NaN, NaN, NaN])
  })

  it('have a mean on the x within the range of both, at its own points exactly', () => {
    const a = { x: [0, 1, 2], y: [0, 0.1, 0.4] }
    const b = { x: [0.5, 1, 3], y: [1, 2, 6] }
    expect(commonX([a, b])).toEqual([0.5, 1, 2])
    expect(meanCurve([a, b]).y).toEqual([0.525, 1.05, 2.2])
    // of curves on the same x no value is interpolated
    expect(meanCurve([a, { ...a, x: [...a.x] }])).toEqual(a)
    expect(meanCurve([]).y).toEqual([NaN])
    expect(curvePoints([{ a }, { a: b }], (row) => row.a).map(({ x, y }) => [x, y])).toEqual([
      ...[
        [0.5, 0.05],
        [1, 0.1],
        [2, 0.4],
      ],
      ...[
        [0.5, 1],
        [1, 2],
        [2, 4],
      ],
    ])
  })
})

it('a curve has levels, slopes and a part in which it falls', () => {
  const curve = { x: [0, 1, 2, 4], y: [1, 0.8, 0.2, 0] }
  expect([1.5, -1, 9].map((at) => interpolate(curve, at))).toEqual([0.5, 1, 0])
  expect(fallsTo(curve, 0.5)).toBeCloseTo(1.5, 12)
  expect(fallsTo(curve, -1)).toBeNaN()
  expect(steepness(curve, 1.5, 0.5)).toBeCloseTo(0.6, 12)
  expect(fallingPart(curve, { high: 0.9, low: 0.1 })).toEqual([0, 4])
  expect(fallingPart(curve, { high: 0.5, low: 0.3 })).toEqual([1, 2])
  expect(fallingPart(curve, { high: 2, low: -1 })).toEqual([0, 4])
  expect(merged([0, 0.5, 1], [0.5, 0.25])).toEqual([0, 0.25, 0.5, 1])
})

it('a curve has a peak: the top of the parabola through three uneven points', () => {
  const x = [0, 0.7, 1, 1.6, 3]
  const parabola = { x, y: x.map((t) => 5 - 2 * (t - 1.1) ** 2) }
  expect(peakOf(parabola)).toEqual({ at: expect.closeTo(1.1, 10), height: expect.closeTo(5, 10) })
  expect(peakOf({ x: [1, 2, 3], y: [1, 2, 3] })).toEqual({ at: 3, height: 3 })
  expect(peakOf({ x: [1], y: [NaN] }).at).toBeNaN()
})

it('curves have a spread in ln y: none of equal ones, that of their factors where they are parallel', () => {
  const x = [1, 2, 4, 8]
  const power = (factor: number) => ({ x, y: x.map((r) => factor / r) })
  expect(logSpread([power(1), power(1), power(1)])).toBeCloseTo(0, 12)
  expect(logSpread([power(1), power(Math.E), power(Math.E ** 2)])).toBeCloseTo(1, 10)
  expect(logSpread([power(1), power(2)])).toBeNaN()
})
