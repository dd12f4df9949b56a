/** @file Exact n-gram denoisers against enumeration of all strings of a tiny alphabet. */
import { describe, expect, it } from 'vitest'
import { ngramFill, ngramLogProbability, ngramModel } from '../../../src/diffusion/index.ts'
import { random } from '../../../src/tensor/index.ts'
import { refusal } from '../../data/helpers.ts'
import { excess } from '../helpers.ts'

const [v, d] = [3, 5]
/** A text with much memory: symbols follow from the two before, with some noise. */
const ids = (() => {
  const units = random.sampleUniform(random.key(1), 4000)
  const out = new Uint8Array(4000)
  for (let i = 0; i < out.length; i++)
    out[i] = units[i]! < 0.3 ? Math.floor(units[i]! * 10) : ((out[i - 1] ?? 0) + 2 * (out[i - 2] ?? 0)) % v
  return out
})()
const all = Array.from({ length: v ** d }, (_, n) =>
  Int32Array.from({ length: d }, (__, i) => Math.floor(n / v ** i) % v),
)

/** p of a string by the definition, from counts of pieces of text as words. */
function probability(n: number, string: Int32Array): number {
  const count = (word: readonly number[]): number => {
    let found = 0
    for (let i = 0; i + word.length <= ids.length; i++) if (word.every((x, j) => ids[i + j] === x)) found++
    return found
  }
  const given = (context: readonly number[], x: number): number => {
    const after = Array.from({ length: v }, (_, y) => count([...context, y]))
    const total = after.reduce((a, b) => a + b, 0)
    const kinds = after.filter((k) => k > 0).length
    const below = context.length > 0 ? given(context.slice(1), x) : 1 / v
    return total > 0 ? (after[x]! + kinds * below) / (total + kinds) : below
  }
  let p = 1
  for (let i = 0; i < d; i++) p *= given(Array.from(string.slice(Math.max(0, i - n + 1), i)), string[i]!)
  return p
}

describe.each([1, 2, 3, 4])('%i-gram', (n) => {
  const model = ngramModel(ids, v, n)
  const p = all.map((string) => probability(n, string))
  const masked = Int32Array.of(-1, 2, -1, -1, 1)
  const fits = all.map((string) => string.every((x, i) => masked[i]! < 0 || masked[i] === x))
  const evidence = p.reduce((sum, own, i) => sum + (fits[i] ? own : 0), 0)

  it('has the probabilities of all strings, which sum to 1, and of masked ones', () => {
    const logs = ngramLogProbability(model, Int32Array.from(all.flatMap((string) => [...string])), d)
    for (const [i, log] of logs.entries()) expect(Math.exp(log) / p[i]!).toBeCloseTo(1, 10)
    expect(p.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 10)
    const [none, some] = ngramLogProbability(model, Int32Array.of(-1, -1, -1, -1, -1, ...masked), d)
    expect(none).toBeCloseTo(0, 10)
    expect(some).toBeCloseTo(Math.log(evidence), 10)
  })

  it('fills masks as the posterior says', () => {
    for (const [given, among] of [
      [masked, fits],
      [new Int32Array(d).fill(-1), all.map(() => true)],
    ] as const) {
      const count = 8000
      const tokens = new Int32Array(count * d)
      for (let b = 0; b < count; b++) tokens.set(given, b * d)
      const filled = ngramFill(model, tokens, d, random.key(7))
      const counts = new Float64Array(all.length)
      for (let b = 0; b < count; b++)
        counts[filled.subarray(b * d, (b + 1) * d).reduce((sum, x, i) => sum + x * v ** i, 0)]!++
      const total = p.reduce((sum, own, i) => sum + (among[i] ? own : 0), 0)
      const own = all.map((_, i) => i).filter((i) => among[i])
      expect(own.reduce((sum, i) => sum + counts[i]!, 0)).toBe(count)
      expect(
        excess(
          own.map((i) => counts[i]!),
          own.map((i) => p[i]! / total),
        ),
      ).toBeLessThan(4)
    }
  })
})

it('refuses tables that are too large', () => {
  expect(refusal(() => ngramModel(ids, 100, 4)).message).toMatch(
    /v\^n at most 16777216, got 4 for 100 symbols/,
  )
})
