/** @file Noise schedules: ends, order, closed forms, messages. */
import { describe, expect, test } from 'vitest'
import { makeSchedule, noiseLevels, schedules } from '../../src/diffusion/index.ts'

describe.each(Object.keys(schedules))('%s', (name) => {
  test.each([1, 7, 200])('falls from 1 to nearly 0 in %i steps', (steps) => {
    const { alphaBar } = makeSchedule(name, steps)
    expect(alphaBar(0)).toBe(1)
    for (let t = 1; t <= steps; t++) {
      expect(alphaBar(t)).toBeLessThan(alphaBar(t - 1))
      expect(alphaBar(t)).toBeGreaterThanOrEqual(0)
    }
    expect(alphaBar(steps)).toBeLessThan(0.01)
  })
})

test('closed forms', () => {
  const { alphaBar } = makeSchedule('ddpm', 1000)
  // ln ᾱ = Σ ln(1 − β) ≈ −Σβ − Σβ²/2 − Σβ³/3
  const betas = Array.from({ length: 600 }, (_, i) => 1e-4 + ((0.02 - 1e-4) * i) / 999)
  const logarithm = betas.reduce((sum, b) => sum - b - b ** 2 / 2 - b ** 3 / 3 - b ** 4 / 4, 0)
  expect(Math.log(alphaBar(600))).toBeCloseTo(logarithm, 6)
  expect(makeSchedule('linear', 40).alphaBar(10)).toBe(0.75)
  // halfway, cos²(45°·1.008/1.008…) up to the small offset
  expect(makeSchedule('cosine', 100).alphaBar(50)).toBeCloseTo(0.494, 2)
  expect(makeSchedule('cosine', 100).alphaBar(100)).toBeCloseTo(0, 12)
})

test('the shape of a linear β does not depend on the number of steps', () => {
  const fine = makeSchedule('linearBeta', 800)
  const coarse = makeSchedule('linearBeta', 200)
  for (const t of [20, 60, 100, 150])
    expect(Math.log(fine.alphaBar(4 * t)) / Math.log(coarse.alphaBar(t))).toBeCloseTo(1, 1)
})

test('levels on the way back begin where the noise is and end clean', () => {
  const levels = noiseLevels(makeSchedule('linear', 10), 0.55)
  expect(levels[0]).toBe(0.55)
  expect(levels.at(-1)).toBe(0)
  expect(levels).toHaveLength(7)
  for (let i = 1; i < levels.length; i++) expect(levels[i]).toBeLessThan(levels[i - 1]!)
})

test('messages', () => {
  expect(() => makeSchedule('cosin', 10)).toThrow(
    /schedule "cosin": there is no such schedule: did you mean "cosine"/,
  )
  expect(() => makeSchedule('cosine', 0)).toThrow(/steps: expected a whole number between 1/)
  expect(() => makeSchedule('cosine', 10).alphaBar(11)).toThrow(/expected a step between 0 and 10, got 11/)
})
