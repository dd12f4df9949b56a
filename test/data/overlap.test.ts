/** @file Overlaps of strings with a text: pairs against loops, chains whose correlations are known, lengths by hand. */
import { describe, expect, it } from 'vitest'
import { countPairs, covarianceOf, overlapLength, overlaps, referenceOf } from '../../src/data/index.ts'
import { random } from '../../src/tensor/index.ts'
import { refusal } from './helpers.ts'

/** A chain over ±1 that keeps its symbol with probability (1 + λ)/2: ⟨x_i x_{i+r}⟩ = λ^r. */
function chain(length: number, lambda: number, seed: number): Uint16Array {
  const units = random.sampleUniform(random.key(seed), length)
  const out = new Uint16Array(length)
  for (let i = 0; i < length; i++) {
    const isKept = i > 0 && units[i]! < (1 + lambda) / 2
    out[i] = i === 0 ? Number(units[i]! < 0.5) : isKept ? out[i - 1]! : 1 - out[i - 1]!
  }
  return out
}

describe('pairs', () => {
  it('are counted within windows', () => {
    const ids = [0, 1, 2, 1, 1, 0, 2, 2]
    expect(Array.from(countPairs(ids, { v: 3, d: 4, r: 1 }))).toEqual(
      [0, 1, 0, 1, 1, 1, 0, 1, 1].map((_, at) => {
        let n = 0
        for (const from of [0, 4])
          for (let i = from; i < from + 3; i++) if (ids[i]! * 3 + ids[i + 1]! === at) n++
        return n
      }),
    )
    expect(Array.from(countPairs(ids, { v: 3, d: 8, r: 7 }))).toEqual([0, 0, 1, 0, 0, 0, 0, 0, 0])
    expect(refusal(() => countPairs(ids, { v: 3, d: 4, r: 4 })).message).toMatch(
      /distance: expected .* 1 to 3, got 4/,
    )
  })

  it('that are independent have no covariance', () => {
    // P(x, y) = p(x) q(y)
    const counts = Float64Array.of(2, 4, 6, 3, 6, 9)
    const square = Float64Array.of(2, 4, 6, 3, 6, 9, 0, 0, 0)
    expect(counts.length).toBe(6)
    for (const value of covarianceOf(square, 3)) expect(value).toBeCloseTo(0, 12)
    // of ±1 with correlation λ: ±λ/4
    const found = covarianceOf(countPairs(chain(400_000, 0.6, 1), { v: 2, d: 400_000, r: 2 }), 2)
    for (const [at, sign] of [1, -1, -1, 1].entries()) expect(found[at]! * sign).toBeCloseTo(0.36 / 4, 2)
  })
})

describe('overlaps', () => {
  const [d, count] = [16, 4096]
  const reference = referenceOf(chain(1_200_000, 0.8, 2), 2, 6)
  const sigmas = (
    { rho, without }: { rho: number; without: readonly number[] },
    expected: number,
  ): number => {
    const n = without.length
    const mean = without.reduce((a, b) => a + b, 0) / n
    const error = Math.sqrt(((n - 1) / n) * without.reduce((sum, x) => sum + (x - mean) ** 2, 0))
    expect(error).toBeGreaterThan(0)
    expect(error).toBeLessThan(0.1)
    return Math.abs(rho - expected) / error
  }

  it.each([
    { lambda: 0.8, name: 'the same chain' },
    { lambda: 0.6, name: 'a chain that forgets earlier' },
    { lambda: 0, name: 'no chain' },
  ])('$name: (λ/λ₀)^r', ({ lambda }) => {
    const found = overlaps(reference, chain(count * d, lambda, 40), d)
    expect(found.map(({ r }) => r)).toEqual([1, 2, 3, 4, 5, 6])
    for (const own of found) expect(sigmas(own, (lambda / 0.8) ** own.r)).toBeLessThan(4)
  })

  it('weigh pairs by how much more often they are than by chance', () => {
    const ids = Uint16Array.from([0, 0, 0, 1, 0, 0, 1, 1, 0, 0, 0, 0])
    const { weights } = referenceOf(ids, 3, 1)
    expect(weights[0]).toBeCloseTo(1 / (0.75 * 0.75), 10)
    expect(weights[1]).toBeCloseTo(1 / (0.75 * 0.25), 10)
    // a symbol that the text does not have
    expect(weights[2]).toBe(0)
  })

  it('are of the whole text, and of one half with the other: the noise of the halves does not add up', () => {
    const ids = Uint16Array.from([0, 0, 0, 1, 0, 0, 1, 1, 0, 0, 0, 0])
    const { covariances, norms } = referenceOf(ids, 2, 1)
    // pairs within the halves: 00 six times, 01 once, 10 twice, 11 once
    for (const [at, n] of [0.6 - 0.7 * 0.8, 0.1 - 0.7 * 0.2, 0.2 - 0.3 * 0.8, 0.1 - 0.3 * 0.2].entries())
      expect(covariances[0]![at]!).toBeCloseTo(n, 12)
    // C_A = ∓1/25, C_B = ±3/25, and the weights 16/9, 16/3, 16/3, 16 sum to 256/9
    expect(norms[0]!).toBeCloseTo((-3 / 625) * (256 / 9), 12)
  })

  it('refuse fewer strings than blocks', () => {
    expect(refusal(() => overlaps(reference, chain(15 * d, 0, 3), d)).message).toMatch(
      /at least 16 of 16 symbols, got 15/,
    )
  })
})

it('a length is where ρ falls below 1/2, straight between points', () => {
  expect(overlapLength([0.9, 0.7, 0.3])).toBeCloseTo(2.5, 12)
  expect(overlapLength([0])).toBeCloseTo(0.5, 12)
  expect(overlapLength([0.9, 0.49, 0.9])).toBeCloseTo(1 + 40 / 41, 12)
  expect(overlapLength([0.2, 0.9])).toBeCloseTo(0.625, 12)
  expect(overlapLength([0.9, 0.8])).toBe(Number.POSITIVE_INFINITY)
})
