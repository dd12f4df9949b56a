/** @file The science of `memorization`: rows with known laws give these laws back, and others do not. */
import { describe, expect, it } from 'vitest'
import { halvesOf } from '../../src/experiments/memorization/prototypes.ts'
import { memorization } from '../../src/experiments/memorization.ts'
import { makeGrammar } from '../../src/grammar/index.ts'
import { random } from '../../src/tensor/index.ts'
import { claimWith } from './claimWith.ts'

describe('memorization', () => {
  const config = memorization.study.config.parse({})
  const legal = 4 / 16

  /** Curves whose copies pass 2 % at `a P^b` steps, and whose validation loss is least at `c P^e`. */
  function rows({ b, e, level }: { b: number; e: number; level: (P: number, height: number) => number }) {
    return [0, 1, 2].flatMap((replica) =>
      [32, 64, 128, 256, 512, 1024].flatMap((P) => {
        const scatter = 1 + 0.02 * Math.sin(replica * 7 + P)
        const [copyAt, bestAt] = [
          30 * 32 ** (1 - b) * P ** b * scatter,
          15 * 32 ** (1 - e) * P ** e * scatter,
        ]
        return Array.from({ length: 40 }, (_, k) => {
          const step = 32 * 2 ** (k / 3)
          const validity = [1, 2, 3].map((height) => {
            const chance = legal ** (2 ** height - 1)
            return chance + (1 - chance) * level(P, height) * Math.min(1, step / bestAt)
          })
          return {
            ...{
              part: 'curve',
              v: 16,
              m: 4,
              L: 3,
              width: 64,
              P,
              seed: 0,
              replica,
              of: 'curve',
              step,
              validity,
            },
            validationLoss: 0.05 + 0.001 * Math.log(step / bestAt) ** 2,
            trainingLoss: 0.04,
            copies: step < copyAt / 2 ? 0 : 0.02 * (1 + Math.log(step / copyAt)),
          }
        }).filter(({ copies }) => copies < 0.15)
      }),
    )
  }
  const found = (given: Parameters<typeof rows>[0]) =>
    memorization.study.findings(rows(given) as never, config)
  // P*_1 = 85, P*_2 = 1,365, P*_3 = 5,461
  const affordable = (P: number, height: number): number =>
    Math.min(1, (P / ((16 * 4 ** (height === 1 ? 1 : height + 1)) / 0.75)) ** 2)

  it('finds the exponents that are there, and what is known at the minimum', () => {
    const { claims, result, charts } = found({ b: 1, e: 1, level: affordable })
    for (const text of ['copies of 2 %', 'copies of 5 %', 'least validation loss in P']) {
      const { measured, outcome } = claimWith(claims, text)
      expect(measured).toBeCloseTo(1, 1)
      expect(outcome).toBe('holds')
    }
    expect(claimWith(claims, 'until a quarter').outcome).toBe('holds')
    expect(claimWith(claims, 'level 1 at the least validation loss, P ≥ 2 P*_1 = 171').outcome).toBe('holds')
    expect(claimWith(claims, 'level 3 at the least validation loss, P ≤ P*_3/8').outcome).toBe('holds')
    expect(result!['exponent']).toBeCloseTo(1, 1)
    for (const draw of charts) expect(draw().svg).toContain('<svg')
  })

  it('does not find what is not there', () => {
    const { claims } = found({ b: 1.5, e: 0.6, level: (_, height) => (height === 3 ? 0.3 : 0.1) })
    expect(claimWith(claims, 'copies of 2 %').measured).toBeCloseTo(1.5, 1)
    for (const text of [
      'copies of 2 %',
      'least validation loss in P',
      'level 1 at the least',
      'level 3 at the least',
    ])
      expect(claimWith(claims, text).outcome).toBe('fails')
  })

  it('takes a minimum that has not come for a bound: the law is of the other P', () => {
    const { claims } = memorization.study.findings(
      rows({ b: 1, e: 1, level: affordable }).filter(({ P, step }) => P < 1024 || step < 5000) as never,
      config,
    )
    expect(claimWith(claims, 'least validation loss in P').claim).toContain('(P = 32, 64, 128, 256, 512)')
    expect(claimWith(claims, 'copies of 2 %').claim).toContain('(P = 32, 64, 128, 256, 512)')
  })

  /** Groups of strings that are 2^g times in the training set: a tenth of each is copied after c · 2^(g · exponent) steps. */
  function repeated(draws: string, exponent: number, chance = 0) {
    const own = { part: 'prototypes', v: 16, m: 4, L: 3, width: 64, P: 512, draws, seed: 0, of: 'prototype' }
    return [0, 1, 2].flatMap((replica) =>
      (draws === 'uniform' ? [0, 1] : [0, 1, 2, 3, 4]).flatMap((group) => {
        const at = 20_000 * 2 ** (group * exponent) * (1 + 0.02 * Math.sin(replica * 7 + group))
        return Array.from({ length: 34 }, (_, k) => 32 * 2 ** (k / 3)).map((step) => ({
          ...{ ...own, replica, step, group, strings: 10 },
          ...{ multiplicity: draws === 'uniform' ? 1 : 2 ** group, weight: 0.2, chance },
          generated: chance + 0.2 * Math.min(1, 0.1 * (step / at)),
        }))
      }),
    )
  }
  const claimsOfRepeated = (...given: Parameters<typeof repeated>) =>
    memorization.study.findings(repeated(...given) as never, config)

  it.each(['zipf', 'repeated'])('finds how the onset of copies falls with multiplicity: %s', (draws) => {
    const kernel = claimsOfRepeated(draws, -1, 0.05)
    const exponent = claimWith(kernel.claims, 'exponent of the onset of copies')
    expect(exponent.claim).toContain('n = 1.0, 2.0, 4.0, 8.0, 16.0')
    expect(exponent.measured).toBeCloseTo(-1, 1)
    expect(exponent.outcome).toBe('holds')
    expect(claimWith(kernel.claims, 'least repeated strings').measured).toBeCloseTo(16, 0)
    expect(kernel.headline).toContain('n^b')
    for (const draw of kernel.charts) expect(draw().svg).toContain('<svg')
    const { claims } = claimsOfRepeated(draws, 0.3)
    for (const text of ['exponent of the onset of copies', 'least repeated strings'])
      expect(claimWith(claims, text).outcome).toBe('fails')
  })

  it('holds the halves of uniform productions against each other', () => {
    const outcome = (exponent: number) =>
      claimWith(claimsOfRepeated('uniform', exponent).claims, 'less probable under Zipf')
    expect([outcome(0).control, outcome(0).outcome]).toEqual([true, 'holds'])
    expect(outcome(-0.5).outcome).toBe('fails')
  })

  it('takes a group that is not memorized for a bound', () => {
    const early = repeated('zipf', -1).filter(({ step }) => step < 8000)
    const { claims } = memorization.study.findings(early as never, config)
    expect(claimWith(claims, 'exponent of the onset').claim).toContain('(n = 4.0, 8.0, 16.0)')
  })

  it.each(['zipf', 'repeated', 'uniform'] as const)(
    'holds out strings like those it trains on: %s',
    (draws) => {
      const shape = { v: 8, classes: 8, m: 3, s: 2, L: 3 }
      const grammar = makeGrammar(shape, random.key(1))
      const zipf = makeGrammar(shape, random.key(1), { probabilities: { zipf: 3 } })
      const sets = halvesOf(grammar, zipf, draws, 128, random.key(2))
      const letters = (trees: { levels: readonly Int32Array[] }): string[] =>
        Array.from({ length: trees.levels[3]!.length / 8 }, (_, n) =>
          trees.levels[3]!.subarray(n * 8, (n + 1) * 8).join(),
        )
      const [seen, unseen] = [letters(sets.train), letters(sets.heldOut)]
      expect(seen.length + unseen.length).toBe(256)
      expect(seen.filter((one) => unseen.includes(one))).toEqual([])
      for (const { group, seen: own, unseen: others } of sets.groups) {
        // neighbours in the order are parted, so the halves of a group differ by the two at its ends at most
        expect(Math.abs(own.length - others.length)).toBeLessThanOrEqual(2)
        for (const { letters: one, places } of own) {
          expect(seen.filter((other) => other === one)).toHaveLength(places.length)
          if (draws !== 'uniform') expect(Math.floor(Math.log2(places.length))).toBe(group)
        }
      }
      // strings that are repeated by hand are repeated as often as those of Zipf
      const often = Math.max(...sets.groups.map(({ group }) => group))
      expect(often >= 2).toBe(draws !== 'uniform')
    },
  )
})

it.each([
  [
    { m: 2, L: 2, counts: [64], validation: 512 },
    'P = 64 and 512 strings for validation, but a grammar with v = 16, m = 2, L = 2 has 128',
  ],
  [
    { m: 2, L: 2, counts: [8], validation: 100, halves: [20], others: { counts: [] } },
    'two halves of P = 20 and 100 strings',
  ],
  [
    { m: 2, L: 2, counts: [], others: { counts: [] }, halves: [], prototypes: { counts: [100] } },
    'config.prototypes.counts: 200 strings, half of them held out, but a grammar with v = 16, m = 2, L = 2 has 128',
  ],
  [
    { counts: [], others: { counts: [] }, halves: [], kernel: [], prototypes: { counts: [] } },
    'config: expected at least one of',
  ],
] as const)('strings that no grammar has are refused before the first step: %#', (given, message) => {
  const { study } = memorization
  expect(() => study.check!(study.config.parse(given))).toThrow(message)
})
