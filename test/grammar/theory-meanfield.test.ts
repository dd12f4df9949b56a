import { describe, expect, it } from 'vitest'
import {
  correlationExponent,
  epsStar,
  hasTransition,
  meanFieldChi,
  pairStatistics,
  phase,
  pStar,
  type Shape,
  upwardSlope,
} from '../../src/grammar/index.ts'

const shapeOf = (v: number, m: number, s = 2, L = 9): Shape => ({ v, classes: v, m, s, L })

describe('published and independently computed values', () => {
  it.each([
    [32, 8, 2, 0.2917, 0.7312, 1.4422, 1.893],
    [16, 4, 2, 0.25, 0.8, 1.36, 2.254],
    [16, 3, 2, 0.1538, 0.9026, 1.31, 2.57],
    [16, 6, 2, 0.5, 0.533, 1.259, 3.01],
    [8, 3, 2, 0.4, 0.686, 1.224, 3.42],
    [12, 3, 2, 0.222, 0.849, 1.289, 2.73],
    [24, 6, 2, 0.278, 0.754, 1.418, 1.99],
    [8, 8, 3, 0.354, 0.739, 1.565, 2.45],
  ])('v = %i, m = %i, s = %i: p*, ε*, slope, ν', (v, m, s, p, eps, slope, nu) => {
    const shape = shapeOf(v, m, s, 4)
    expect(hasTransition(shape)).toBe(true)
    expect(Math.abs(pStar(shape)! - p)).toBeLessThan(6e-4)
    expect(Math.abs(epsStar(shape)! - eps)).toBeLessThan(6e-4)
    expect(Math.abs(upwardSlope(shape, pStar(shape)!) - slope)).toBeLessThan(6e-4)
    expect(Math.abs(correlationExponent(shape)! - nu)).toBeLessThan(6e-3)
  })

  it.each([
    [0.65, 2.47],
    [0.7, 3.79],
    [0.72, 6.42],
    [0.74, 7.0],
    [0.76, 4.23],
    [0.8, 2.52],
  ])('χ at ε = %f for v = 32, m = 8, L = 9', (eps, chi) => {
    expect(Math.abs(meanFieldChi(shapeOf(32, 8), eps) - chi)).toBeLessThan(6e-3)
  })

  it('C(ℓ)/C(0) at and below the transition', () => {
    const { relative } = pairStatistics(shapeOf(32, 8), 0.731)
    const critical = [0.628, 0.335, 0.179, 0.097, 0.052, 0.028, 0.0145, 0.0069, 0.0026]
    for (const [i, c] of critical.entries()) expect(Math.abs(relative[i + 1]! - c)).toBeLessThan(6e-4)
    const below = pairStatistics(shapeOf(32, 8), 0.65).relative
    for (const [i, c] of [0.606, 0.208, 0.062, 0.015, 0.003].entries())
      expect(Math.abs(below[i + 1]! - c)).toBeLessThan(6e-4)
  })

  it.each([
    [32, 8, 4, 0.701, 3.2],
    [32, 8, 5, 0.714, 4.1],
    [32, 8, 6, 0.723, 5.0],
    [32, 8, 7, 0.728, 5.9],
    [32, 8, 8, 0.73, 6.9],
    [32, 8, 9, 0.731, 8.0],
    [32, 8, 10, 0.732, 9.1],
    [32, 8, 12, 0.732, 11.5],
    [16, 4, 6, 0.776, 3.8],
    [16, 4, 9, 0.792, 4.9],
  ])('χ of v = %i, m = %i, L = %i peaks at ε = %f with height %f', (v, m, L, at, height) => {
    const grid = Array.from({ length: 401 }, (_, i) => 0.5 + i / 1000)
    const values = grid.map((eps) => meanFieldChi(shapeOf(v, m, 2, L), eps))
    const top = values.indexOf(Math.max(...values))
    expect(Math.abs(grid[top]! - at)).toBeLessThan(1.5e-3)
    expect(Math.abs(values[top]! - height)).toBeLessThan(0.06)
  })
})

describe('phases', () => {
  it('names why there is no critical noise', () => {
    expect(phase(shapeOf(8, 5))).toBe('lost')
    expect(phase(shapeOf(8, 2, 3, 3))).toBe('kept')
    expect(epsStar(shapeOf(8, 5))).toBeUndefined()
    expect(correlationExponent(shapeOf(8, 2, 3, 3))).toBeUndefined()
  })
})
