/** @file The science of `text-memorization`: what counts as a copy, and rows with known laws give these laws back. */
import { describe, expect, it } from 'vitest'
import { longestMatches } from '../../src/experiments/text-memorization/matches.ts'
import { textMemorization } from '../../src/experiments/text-memorization.ts'
import { claimWith } from './claimWith.ts'

const ids = (text: string): Int32Array => Int32Array.from(text, (letter) => letter.charCodeAt(0))

/** The same by substrings of strings. */
function longest(window: string, others: readonly string[]): number {
  for (let length = window.length; length > 0; length--)
    for (let from = 0; from + length <= window.length; from++)
      if (others.some((other) => other.includes(window.slice(from, from + length)))) return length
  return 0
}

describe('matches', () => {
  it('are the longest parts in a row, and where they begin', () => {
    const windows = ['the whole', 'xxabcdexx', 'zzzzzzzzz']
    const others = ['abcdefghi', 'hole the ']
    const found = longestMatches(ids(windows.join('')), ids(others.join('')), 9)
    expect(found.map(({ length }) => length)).toEqual(windows.map((window) => longest(window, others)))
    expect(found[1]).toEqual({ length: 5, from: 2 })
    expect(found[2]).toEqual({ length: 0, from: 0 })
  })

  it('do not go on from one window into the next', () => {
    expect(longestMatches(ids('abcd'), ids('xxabcdxx'), 4)[0]!.length).toBe(2)
  })
})

const config = textMemorization.study.config.parse({})
const curves = (b: number, e: number) =>
  [0, 1, 2].flatMap((replica) =>
    [16, 32, 64, 128].flatMap((P) => {
      const scatter = 1 + 0.02 * Math.sin(replica * 7 + P)
      const [copyAt, bestAt] = [300 * (P / 16) ** b * scatter, 100 * (P / 16) ** e * scatter]
      return Array.from({ length: 32 }, (_, k) => 32 * 2 ** (k / 3)).map((step) => ({
        ...{ part: 'curve', P, seed: 0, replica, of: 'curve', step, passing: 0 },
        validationLoss: 2.3 + 0.1 * Math.log(step / bestAt) ** 2,
        trainingLoss: 1,
        copies: step < copyAt / 2 ? 0 : Math.min(0.2, Math.max(0, 0.02 + 0.1 * Math.log(step / copyAt))),
      }))
    }),
  )

it.each([
  [1, 1, 'holds'],
  [1.5, 0.5, 'fails'],
] as const)('exponents are found: copies %d, validation %d', (b, e, outcome) => {
  const { claims, charts, result } = textMemorization.study.findings(curves(b, e) as never, config)
  const copies = claimWith(claims, 'exponent of the time of copies of 2 %')
  expect(copies.measured).toBeCloseTo(b, 1)
  expect(copies.outcome).toBe(outcome)
  const least = claimWith(claims, 'exponent of the time of the least validation loss')
  expect(least.measured).toBeCloseTo(e, 1)
  expect(least.outcome).toBe(outcome)
  expect(result!['exponent']).toBeCloseTo(b, 1)
  for (const draw of charts) expect(draw().svg).toContain('<svg')
})

it.each([
  [{ counts: [], halves: [] }, 'expected at least one of counts and halves'],
  [{ match: 40 }, 'config.match: expected at most window = 32, got 40'],
  [{ width: 20 }, 'config.width: expected a multiple of 2 heads = 8, got 20'],
] as const)('what cannot be is refused before the first step: %#', (given, message) => {
  const { study } = textMemorization
  expect(() => study.check!(study.config.parse(given))).toThrow(message)
})
