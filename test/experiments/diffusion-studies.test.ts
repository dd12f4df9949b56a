/** @file The science of `composition` and `memorization`: rows with known laws give these laws back, and others do not. */
import { describe, expect, it } from 'vitest'
import { lookSteps } from '../../src/diffusion/index.ts'
import { composition } from '../../src/experiments/composition.ts'
import { halvesOf } from '../../src/experiments/memorization/prototypes.ts'
import { memorization } from '../../src/experiments/memorization.ts'
import { makeGrammar } from '../../src/grammar/index.ts'
import type { Claim } from '../../src/lab/index.ts'
import { random } from '../../src/tensor/index.ts'

const claimWith = (claims: readonly Claim[], text: string): Claim => {
  const found = claims.find(({ claim }) => claim.includes(text))
  if (!found) throw new Error(`no claim "${text}" among: ${claims.map(({ claim }) => claim).join('; ')}`)
  return found
}

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

describe('composition', () => {
  const config = composition.study.config.parse({})

  /** Shares that depend on P/(c_ℓ m^power(ℓ)) alone. */
  function rows(power: (height: number) => number) {
    return [0, 1, 2].flatMap((replica) =>
      [2, 3, 4].flatMap((m) =>
        Array.from({ length: 24 }, (_, k) => 4 * 2 ** (k / 2)).map((P) => {
          const validity = [1, 2, 3].map((height) => {
            const chance = (m / 16) ** (2 ** height - 1)
            const x = P / (16 * m ** power(height) * (1 + 0.02 * Math.sin(replica * 5 + m)))
            return chance + ((1 - chance) * x) / (1 + x)
          })
          return {
            ...{ part: 'data', rules: 'random', strings: 'whole', v: 16, m, s: 2, L: 3, P, seed: 0, replica },
            ...{
              of: 'best',
              step: 100,
              validationLoss: 0.05,
              trainingLoss: 0.05,
              copies: 0,
              validity,
              coherence: 2,
            },
          }
        }),
      ),
    )
  }
  const claimsOf = (power: (height: number) => number) =>
    composition.study.findings(rows(power) as never, config).claims

  it('finds the exponents ℓ + 1, the order of levels, and the collapse', () => {
    const claims = claimsOf((height) => height + 1)
    for (const height of [2, 3]) {
      const exponent = claimWith(claims, `exponent of P*_${height} in m (m = 2, 3, 4)`)
      expect(exponent.measured).toBeCloseTo(height + 1, 1)
      expect(exponent.outcome).toBe('holds')
      expect(claimWith(claims, `level ${height}: factor by which`).outcome).toBe('holds')
    }
    // c m^(ℓ+1) over c m^ℓ of the largest m
    for (const height of [2, 3])
      expect(claimWith(claims, `strings that level ${height} takes`).measured).toBeCloseTo(4, 1)
  })

  it('says so where every level takes as much', () => {
    const claims = claimsOf(() => 2)
    // theory says nothing of the first
    expect(claims.some(({ claim }) => claim.includes('exponent of P*_1'))).toBe(false)
    for (const height of [2, 3]) {
      expect(claimWith(claims, `exponent of P*_${height}`).outcome).toBe('fails')
      expect(claimWith(claims, `level ${height}: factor by which`).outcome).toBe('fails')
    }
  })

  /**
   * Levels learned along x/(1 + x), x = steps over 40 · 4^ℓ, and round trips that keep as large a share of what exact inference keeps
   * of steps over `later` · 40 · 4^ℓ; their covariances reach `reach` of the exact ones beyond a token itself.
   */
  function trainings(later: number, reach: number) {
    const noises = [0.4, 0.6, 0.8]
    const steps = Array.from({ length: 19 }, (_, k) => 32 * 2 ** (k / 2))
    return [0, 1, 2].flatMap((replica) => {
      const scale = 40 * (1 + 0.02 * Math.sin(replica * 5))
      const own = {
        ...{ part: 'time', rules: 'random', strings: 'whole', v: 16, m: 3, s: 2, L: 3, P: 5184, seed: 0 },
        replica,
      }
      const share = (step: number, height: number, factor = 1): number => {
        const x = step / (factor * scale * 4 ** height)
        return x / (1 + x)
      }
      const trip = { of: 'trip', legal: [1, 1, 1, 1] }
      const kept = (noise: number) => [0, 1, 2, 3].map((height) => (1 - noise) ** (height / 2 + 1))
      return [
        ...steps.map((step) => ({
          ...{ ...own, of: 'look', step, trainingLoss: 0.05, copies: 0, coherence: 2 },
          // least before the last look: the training was not cut
          validationLoss: 0.05 + 0.001 * Math.log(step / 1000) ** 2,
          validity: [1, 2, 3].map((height) => {
            const chance = (3 / 16) ** (2 ** height - 1)
            return chance + (1 - chance) * share(step, height)
          }),
        })),
        ...noises.flatMap((noise) => [
          {
            ...{ ...own, ...trip, by: 'exact', step: 0, noise },
            ...{ covariances: [8, 4, 4, 8 * (1 - noise)], kept: kept(noise) },
          },
          ...steps.map((step) => ({
            ...{ ...own, ...trip, by: 'network', step, noise },
            covariances: [8, 4, 4, 8 * (1 - noise)].map((sum, height) => (height > 0 ? reach * sum : sum)),
            kept: kept(noise).map((whole, height) => whole * share(step, height, later)),
          })),
        ]),
      ]
    })
  }
  const claimsOfTrips = (later: number, reach: number) =>
    composition.study.findings(trainings(later, reach) as never, config)

  it('round trips become exact level by level, after the levels are learned', () => {
    const { claims, charts } = claimsOfTrips(2, 1)
    for (const height of [1, 2, 3]) {
      // a half at x = later, 0.4 at x = 2/3
      const found = claimWith(
        claims,
        `height ${height} that exact inference keeps, over the steps that level ${height} takes`,
      )
      expect(found.measured).toBeCloseTo(3, 1)
      expect(found.outcome).toBe('holds')
    }
    for (const height of [2, 3]) {
      const found = claimWith(
        claims,
        `height ${height} that exact inference keeps, over those for height ${height - 1}`,
      )
      expect(found.measured).toBeCloseTo(4, 1)
      expect(found.outcome).toBe('holds')
    }
    const length = claimWith(claims, 'ξ of round trips')
    expect(length.claim).toContain('(noise 0.4)')
    expect([length.measured, length.outcome]).toEqual([1, 'holds'])
    for (const draw of charts) expect(draw().svg).toContain('<svg')
  })

  it('says so where round trips are exact before a level is learned, and shorter at the end', () => {
    const { claims } = claimsOfTrips(0.4, 0.5)
    for (const height of [1, 2, 3])
      expect(claimWith(claims, `over the steps that level ${height} takes`).outcome).toBe('fails')
    expect(claimWith(claims, 'ξ of round trips').outcome).toBe('fails')
  })

  it('controls must fail to learn their top level', () => {
    const control = (strings: string, rules: string, top: number) =>
      [0, 1, 2].map((replica) => ({
        ...{ part: 'control', rules, strings, v: 16, m: 3, s: 2, L: 3, P: 100, seed: 0, replica, of: 'best' },
        ...{ step: 1, validationLoss: 1, trainingLoss: 1, copies: 0, coherence: 2 },
        validity: [1, 0.9, top + 0.001 * replica],
      }))
    const outcome = (top: number, step = 1) =>
      composition.study
        .findings(
          [
            ...control('shuffled', 'random', top),
            ...control('whole', 'uncorrelated', top),
            ...control('whole', 'random', top),
          ].map((row) => ({ ...row, step })) as never,
          config,
        )
        .claims.map((claim) => [claim.control, claim.outcome])
    expect(outcome(0.01)).toEqual([
      [true, 'holds'],
      [true, 'holds'],
      [false, 'fails'],
    ])
    // two legal halves that know nothing of each other are legal together in 3 of 16: nothing of the top level is learned
    expect(outcome((3 / 16) * 0.9 ** 2)).toEqual(outcome(0.01))
    // the least validation loss at the last look: more steps would have taught more, so only what is passed decides
    const last = lookSteps(64, config.mostSteps, config.looks).at(-1)
    const outcomes = (top: number) => outcome(top, last).map(([, found]) => found)
    expect(outcomes(0.01)).toEqual(['undecided', 'undecided', 'undecided'])
    expect(outcomes(0.6)).toEqual(['fails', 'fails', 'holds'])
    expect(outcome(0.6)).toEqual([
      [true, 'fails'],
      [true, 'fails'],
      [false, 'holds'],
    ])
  })
})

it.each([
  [
    memorization,
    { m: 2, L: 2, counts: [64], validation: 512 },
    'P = 64 and 512 strings for validation, but a grammar with v = 16, m = 2, L = 2 has 128',
  ],
  [
    memorization,
    { m: 2, L: 2, counts: [8], validation: 100, halves: [20], others: { counts: [] } },
    'two halves of P = 20 and 100 strings',
  ],
  [
    memorization,
    { m: 2, L: 2, counts: [], others: { counts: [] }, halves: [], prototypes: { counts: [100] } },
    'config.prototypes.counts: 200 strings, half of them held out, but a grammar with v = 16, m = 2, L = 2 has 128',
  ],
  [
    memorization,
    { counts: [], others: { counts: [] }, halves: [], kernel: [], prototypes: { counts: [] } },
    'config: expected at least one of',
  ],
  [composition, { multiples: [1000] }, 'config.multiples: no P of 1000 times v·m^(L+1) = 256'],
  [composition, { time: { multiple: 1000 } }, 'config.time.multiple: no P of 1000'],
  [
    composition,
    { control: { v: 2, s: 3, P: 200 }, validation: 64, rules: [3] },
    'config.control.P: 200 strings and 64 for validation, but its grammars have',
  ],
] as const)(
  'strings that no grammar has are refused before the first step: %#',
  (experiment, given, message) => {
    const { study } = experiment
    expect(() => study.check!(study.config.parse(given))).toThrow(message)
  },
)
