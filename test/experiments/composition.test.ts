/** @file The science of `composition`: rows with known laws give these laws back, and others do not. */
import { describe, expect, it } from 'vitest'
import { lookSteps } from '../../src/diffusion/index.ts'
import { composition } from '../../src/experiments/composition.ts'
import { claimWith } from './claimWith.ts'

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
  [{ multiples: [1000] }, 'config.multiples: no P of 1000 times v·m^(L+1) = 256'],
  [{ time: { multiple: 1000 } }, 'config.time.multiple: no P of 1000'],
  [
    { control: { v: 2, s: 3, P: 200 }, validation: 64, rules: [3] },
    'config.control.P: 200 strings and 64 for validation, but its grammars have',
  ],
] as const)('strings that no grammar has are refused before the first step: %#', (given, message) => {
  const { study } = composition
  expect(() => study.check!(study.config.parse(given))).toThrow(message)
})
