import { describe, expect, it } from 'vitest'
import { childPair, meanFieldChi, pairStatistics, type Shape } from '../../src/grammar/index.ts'
import { random } from '../../src/tensor/index.ts'
import { averagedMap, digits } from './theory-reference.ts'

const shapeOf = (v: number, m: number, s = 2, L = 9): Shape => ({ v, classes: v, m, s, L })

describe('independently computed values', () => {
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
    const grid = Array.from({ length: 201 }, (_, i) => 0.65 + i / 1000)
    const values = grid.map((eps) => meanFieldChi(shapeOf(v, m, 2, L), eps))
    const top = values.indexOf(Math.max(...values))
    expect(Math.abs(grid[top]! - at)).toBeLessThan(1.5e-3)
    expect(Math.abs(values[top]! - height)).toBeLessThan(0.06)
  })
})

/** Probability of each pattern of reconstructed children (bit i: child i), given the parent's state: every tuple counted. */
function patterns({ v, m, s }: Shape, x: number, parent: 0 | 1): number[] {
  const out = new Array<number>(2 ** s).fill(0)
  for (let number = 0; number < v ** s; number++) {
    const tuple = digits(v, s, number)
    const weight = tuple.reduce((product, symbol) => product * (symbol === 0 ? x : (1 - x) / (v - 1)), 1)
    const pattern = tuple.reduce((bits, symbol, i) => bits + (symbol === 0 ? 2 ** i : 0), 0)
    const isRule = number === 0 ? parent : (m - parent) / (v ** s - 1)
    out[pattern]! += weight * isRule
  }
  const all = out.reduce((a, b) => a + b, 0)
  return out.map((p) => p / all)
}

describe('two-state tree', () => {
  it('a pair of children: every tuple counted', () => {
    for (const shape of [shapeOf(5, 2), shapeOf(4, 3, 3, 3), shapeOf(3, 9, 4, 2)])
      for (const x of [0.1, 0.5, 0.95])
        for (const parent of [0, 1] as const) {
          const expected = [0, 0, 0]
          for (const [bits, p] of patterns(shape, x, parent).entries())
            expected[2 - ((bits & 1) + ((bits >> 1) & 1))]! += p
          const [both, one, neither] = childPair(shape, x, parent)
          expect(both).toBeCloseTo(expected[0]!, 12)
          expect(2 * one).toBeCloseTo(expected[1]!, 12)
          expect(neither).toBeCloseTo(expected[2]!, 12)
        }
  })

  it.each([
    [shapeOf(8, 3, 2, 5), 0.65],
    [shapeOf(8, 2, 2, 4), 0.9],
    [shapeOf(6, 6, 3, 3), 0.7],
    [{ v: 8, classes: 3, m: 3, s: 2, L: 3 }, 0.5],
  ] as [Shape, number][])('trees drawn top-down: %o at ε = %f', (shape, eps) => {
    const { v, m, s, L, classes } = shape
    const up = [1 - eps + eps / v]
    for (let h = 1; h <= L; h++) up.push(averagedMap(v, m, s, h === L ? classes : v, up[h - 1]!))
    const given = up.slice(0, L).map((x) => [patterns(shape, x, 0), patterns(shape, x, 1)] as const)
    const trees = 16_000
    const d = s ** L
    const units = random.sampleUniform(random.key(d), trees * 2 * d)
    const states = Array.from({ length: L + 1 }, (_, h) => new Uint8Array(s ** (L - h)))
    let [sum, squares, at] = [0, 0, 0]
    const pairs = new Array<number>(L + 1).fill(0)
    for (let i = 0; i < trees; i++) {
      states[L]![0] = units[at++]! < up[L]! ? 1 : 0
      for (let h = L - 1; h >= 0; h--)
        for (const [node, state] of states[h + 1]!.entries()) {
          const chances = given[h]![state]!
          let pattern = 0
          for (let rest = units[at++]! - chances[0]!; rest >= 0 && pattern < 2 ** s - 1; )
            rest -= chances[++pattern]!
          for (let j = 0; j < s; j++) states[h]![node * s + j] = (pattern >> j) & 1
        }
      const leaves = states[0]!
      const total = leaves.reduce((a, b) => a + b, 0)
      sum += total
      squares += total ** 2
      for (let h = 0; h <= L; h++) pairs[h]! += leaves[0]! * leaves[h === 0 ? 0 : s ** h - 1]!
    }
    const q = sum / trees / d
    const { chi, covariance, reconstructed } = pairStatistics(shape, eps)
    expect(Math.abs(reconstructed[0]! - q)).toBeLessThan(0.01)
    const chiDrawn = (squares / trees - (sum / trees) ** 2) / (d * q * (1 - q))
    // χ is a variance: its relative standard error is about √(2/trees) = 1.1 % for near-Gaussian sums.
    expect(Math.abs(chi / chiDrawn - 1)).toBeLessThan(0.035)
    for (let h = 0; h <= L; h++)
      expect(Math.abs(covariance[h]! - 4 * (pairs[h]! / trees - q * q)), `height ${h}`).toBeLessThan(0.04)
  })

  it('is finite at both ends, and 1 where tokens change alone', () => {
    expect(meanFieldChi(shapeOf(8, 3, 2, 5), 0)).toBe(1)
    expect(pairStatistics(shapeOf(8, 3, 2, 5), 0).covariance.every((c) => c === 0)).toBe(true)
    expect(meanFieldChi(shapeOf(8, 1, 2, 5), 0.5)).toBeGreaterThanOrEqual(1)
    expect(Number.isFinite(meanFieldChi({ v: 8, classes: 1, m: 1, s: 2, L: 5 }, 1))).toBe(true)
  })
})
