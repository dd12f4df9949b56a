/** @file Contrast rules: Transformers' classifier-free guidance, the formulas of the papers by hand, and what must be left as it is. */
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { argmaxOf } from '../../src/lm/index.ts'
import { type ContrastRule, contrast, dependency } from '../../src/vlm/index.ts'

interface Case {
  readonly scale: number
  readonly conditioned: number[]
  readonly unconditioned: number[]
  readonly scores: number[]
}
const fixture = new URL('../fixtures/contrast.json', import.meta.url)
const { cases } = JSON.parse(readFileSync(fixture, 'utf8')) as { cases: Case[] }

/** ln softmax, straight from its definition. */
const logSoftmax = (row: readonly number[]): number[] => {
  const total = row.reduce((sum, x) => sum + Math.exp(x), 0)
  return row.map((x) => x - Math.log(total))
}
const expectRow = (actual: ArrayLike<number>, expected: readonly number[]): void => {
  expect(actual.length).toBe(expected.length)
  for (const [k, value] of expected.entries()) expect(actual[k]).toBeCloseTo(value, 10)
}

const [c, u] = [
  [0.2, -1, 1.5, 0.4],
  [1.1, -0.3, 0.2, 0.9],
]
/** Rows of f32 logits that differ by 2^−16 at least, a token of both banned now and then. */
const logit = fc.integer({ min: -(2 ** 21), max: 2 ** 21 }).map((n) => n / 2 ** 16)
const rows = fc
  .integer({ min: 2, max: 12 })
  .chain((n) =>
    fc.tuple(
      ...[0, 1].map(() => fc.array(logit, { minLength: n, maxLength: n })),
      fc.array(fc.boolean(), { minLength: n, maxLength: n }).filter((banned) => banned.some((one) => !one)),
    ),
  )
  .map(([a, b, banned]) =>
    [a, b].map((row) =>
      Float32Array.from(row as number[], (x, k) => ((banned as boolean[])[k] ? -Infinity : x)),
    ),
  ) as fc.Arbitrary<[Float32Array, Float32Array]>
const step = fc.integer({ min: 0, max: 300 })

describe('rules of contrast', () => {
  it('cfg is classifier-free guidance of Transformers', () => {
    for (const { scale, conditioned, unconditioned, scores } of cases)
      expectRow(contrast.cfg({ scale })(conditioned, unconditioned, 5), scores)
    expect(cases).toHaveLength(3)
  })

  it('m3id is its formula, and a guidance that grows as exp(lambda t)', () => {
    const [lambda, t] = [0.02, 64]
    const gamma = Math.exp(-lambda * t)
    const [lc, lu] = [logSoftmax(c), logSoftmax(u)]
    const expected = lc.map((x, k) => x + ((1 - gamma) / gamma) * (x - lu[k]!))
    expectRow(contrast.m3id({ lambda, alpha: 1.01 })(c, u, t), expected)
    expectRow(contrast.cfg({ scale: Math.exp(lambda * t) })(c, u, 0), expected)
    expectRow(contrast.m3id({ lambda, alpha: 1.01, t0: 60 })(c, u, 4), expected)
    const capped = lc.map((x, k) => x + 0.7 * (x - lu[k]!))
    expectRow(contrast.m3id({ lambda, alpha: 1.01, maxWeight: 0.7 })(c, u, t), capped)
  })

  it('opens the gate where no token is as probable as alpha', () => {
    const most = Math.exp(Math.max(...logSoftmax(c)))
    const open = contrast.m3id({ lambda: 0.1, alpha: most * 1.001 })(c, u, 10)
    expectRow(open, [...contrast.m3id({ lambda: 0.1, alpha: 2 })(c, u, 10)])
    expectRow(contrast.m3id({ lambda: 0.1, alpha: most * 0.999 })(c, u, 10), logSoftmax(c))
    expect(open[2]).toBeGreaterThan(logSoftmax(c)[2]! + 0.1)
  })

  it('cad, pmi and vcd are their formulas', () => {
    const [lc, lu] = [logSoftmax(c), logSoftmax(u)]
    expectRow(
      contrast.cad({ weight: 0.5 })(c, u, 3),
      lc.map((x, k) => 1.5 * x - 0.5 * lu[k]!),
    )
    expectRow(
      contrast.pmi({ beta: 0.4 })(c, u, 3),
      lc.map((x, k) => x - 0.4 * lu[k]!),
    )
    // the second token is exp(-2.5) = 0.08 as probable as the third, below 0.1
    const [first, , third, fourth] = c.map((x, k) => 1.5 * x - 0.5 * u[k]!)
    expectRow(contrast.vcd({ alpha: 0.5, beta: 0.1 })(c, u, 3), [first!, -Infinity, third!, fourth!])
    expectRow(contrast.vcd({ alpha: 0.5, beta: 0 })(c, u, 3), [first!, -1.5 + 0.15, third!, fourth!])
  })

  it('cuts what is implausible with the condition, whatever the difference says', () => {
    const scores = contrast.m3id({ lambda: 1, alpha: 2, cutoff: 0.3 })(c, u, 9)
    expect([...scores].map((x) => x === -Infinity)).toEqual([true, true, false, false])
  })

  it('bias moves the tokens that it names', () => {
    const expected = logSoftmax(c).map((x, k) => (k === 1 || k === 3 ? x + 2 : x))
    expectRow(contrast.bias({ ids: [1, 3], add: 2 })(c, u, 0), expected)
  })

  it('leaves the choice of the model alone: at lambda 0, at the first token, behind the gate, without a condition', () => {
    fc.assert(
      fc.property(rows, step, ([a, b], t) => {
        const greedy = argmaxOf(a)
        const same = (rule: ContrastRule, other: Float32Array, at: number) =>
          expect(argmaxOf(rule(a, other, at))).toBe(greedy)
        same(contrast.m3id({ lambda: 0, alpha: 1.01 }), b, t)
        same(contrast.m3id({ lambda: 0.5, alpha: 1.01 }), b, 0)
        same(contrast.m3id({ lambda: 0.5, alpha: Number.MIN_VALUE }), b, t)
        for (const rule of [
          contrast.m3id({ lambda: 9, alpha: 2 }),
          contrast.cfg({ scale: 3 }),
          contrast.vcd(),
        ])
          same(rule, a, t)
      }),
    )
  })

  it('gives no NaN, also for tokens that are banned, and for weights beyond all numbers', () => {
    fc.assert(
      fc.property(rows, step, ([a, b], t) => {
        const rules = [
          contrast.m3id({ lambda: 20, alpha: 2 }),
          contrast.m3id({ lambda: 0.02, alpha: 0.3, cutoff: 0.1 }),
          ...[
            contrast.cfg({ scale: 7 }),
            contrast.pmi({ beta: 0.9 }),
            contrast.cad({ weight: 2 }),
            contrast.vcd(),
          ],
        ]
        for (const rule of rules) {
          const scores = rule(a, b, t)
          expect(scores.some(Number.isNaN)).toBe(false)
          for (const [k, x] of a.entries()) if (x === -Infinity) expect(scores[k]).toBe(-Infinity)
        }
      }),
    )
    // banned without the condition alone
    expectRow(contrast.m3id({ lambda: 0.1, alpha: 2 })([0, 0], [0, -Infinity], 5).subarray(1), [
      Math.log(0.5),
    ])
  })

  it('refuses numbers and rows that mean nothing', () => {
    const refused = (make: () => unknown, says: string) => expect(make).toThrow(says)
    refused(
      () => contrast.m3id({ lambda: -1, alpha: 0.3 }),
      'contrast.m3id: lambda: expected a number >= 0, got -1',
    )
    refused(() => contrast.m3id({ lambda: 0.02, alpha: 0 }), 'm3id: alpha: expected a number > 0, got 0')
    refused(() => contrast.m3id({ lambda: NaN, alpha: 1 }), 'lambda: expected a number >= 0, got NaN')
    refused(() => contrast.m3id({} as never), 'lambda: expected a number >= 0, got undefined')
    refused(() => contrast.cfg({ scale: Infinity }), 'cfg: scale: expected a finite number')
    refused(() => contrast.pmi({ beta: 1 }), 'pmi: beta: expected a number from 0 to below 1, got 1')
    refused(() => contrast.vcd({ beta: 2 }), 'vcd: beta: expected a number from 0 to 1, got 2')
    refused(
      () => contrast.cfg({ scale: 2, cutoff: -1 }),
      'cfg: cutoff: expected a number from 0 to 1, got -1',
    )
    refused(() => contrast.cfg({ scale: 2 })([1, 2], [1], 0), 'two rows of as many logits, got 2 and 1')
    refused(() => contrast.bias({ ids: [4], add: 1 })(c, u, 0), 'expected tokens from 0 to 3, got 4')
  })
})

describe('dependency on the condition', () => {
  it('is the Hellinger distance of what comes next', () => {
    const [p, q] = [c, u].map((row) => logSoftmax(row).map(Math.exp)) as [number[], number[]]
    const overlap = p.reduce((sum, x, k) => sum + Math.sqrt(x * q[k]!), 0)
    expect(dependency(c, u)).toBeCloseTo(Math.sqrt(1 - overlap), 12)
    expect(
      dependency(
        c,
        c.map((x) => x + 3),
      ),
    ).toBeCloseTo(0, 7)
    expect(dependency([0, -Infinity], [-Infinity, 0])).toBe(1)
    expect(() => dependency([1], [1, 2])).toThrow('two rows of as many logits, got 1 and 2')
  })
})
