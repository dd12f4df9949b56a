/** What the study claims of counted strings, and of rows in which theory is wrong. */
import { expect, test } from 'vitest'
import { keptScores } from '../../src/experiments/clustering/charts.ts'
import { climbClaims } from '../../src/experiments/clustering/claims.ts'
import { type Answer, spread } from '../../src/experiments/clustering/settings.ts'
import { clustering } from '../../src/experiments/clustering.ts'
import { type Claim, composeConfig } from '../../src/lab/index.ts'
import { measureAll } from './measureAll.ts'

const claimsOf = (rows: readonly object[], config: object): readonly Claim[] =>
  clustering.study.findings(rows as never, config as never).claims
const starting = (claims: readonly Claim[], text: string): Claim =>
  claims.find(({ claim }) => claim.startsWith(text))!

test('claims of counts that equal the rules, and of counts with a third of their contrast', async () => {
  const { config, rows } = await measureAll(clustering, 'tiny')
  const recounted = (share: number) =>
    rows.map((row) => ('expected' in row ? { ...row, contrast: (row['expected'] as number) * share } : row))
  const equal = claimsOf(recounted(1), config)
  const wanted = [
    'signal equals noise',
    'the same P over the one that follows',
    'tuples by their classes, signal',
  ]
  for (const text of wanted) {
    expect(starting(equal, text).outcome, text).toBe('holds')
    expect(starting(equal, text).error!, text).toBeCloseTo(0, 12)
  }
  const faint = claimsOf(recounted(1 / 3), config)
  expect(starting(faint, 'the same P over the one that follows').outcome).toBe('fails')
  // a control that finds something fails
  const found = claimsOf(
    rows.map((row) => ('adjustedRand' in row ? { ...row, adjustedRand: 1 } : row)),
    config,
  )
  const controls = found.filter(({ control }) => control)
  expect(controls.map(({ outcome }) => outcome)).toEqual(['fails', 'fails'])
  // nothing found: nothing is claimed
  const nothing = claimsOf(
    rows.map((row) => ('adjustedRand' in row ? { ...row, adjustedRand: 0 } : row)),
    config,
  )
  expect(starting(nothing, 'k-means finds')).toMatchObject({ measured: null, outcome: 'undecided' })
})

test('spreads and scores that are kept, worked by hand', () => {
  const sizes = { part: 'leaf', context: 'leaf', rules: 'random', v: 2, m: 2, s: 2, L: 2 } as const
  const answer = (classes: number, clustered: number): Answer => ({
    ...{ ...sizes, classes, seed: 0, replica: 0, clustered },
    ...{ contrast: 1, expected: 1, finalScore: 1 },
  })
  const answers = [answer(1, 2), answer(2, 2 * Math.E)]
  expect(spread('clustered', () => 1)(answers)).toBeCloseTo(Math.SQRT1_2, 12)
  expect(spread('clustered', ({ classes }) => Math.exp(classes))(answers)).toBeCloseTo(0, 12)
  const look = (replica: number, P: number, adjustedRand: number) => ({
    ...{ ...sizes, classes: 2, seed: 0, replica, P, adjustedRand },
    ...{ recall: 0, precision: 0, contrast: null, expected: 0 },
  })
  const kept = keptScores([look(0, 1, 0), look(0, 2, 1), look(1, 1, 0.5), look(1, 2, 0.5), look(1, 4, 0)])
  expect(kept.map(({ replica, P, adjustedRand }) => [replica, P, adjustedRand])).toEqual([
    [0, 1, 0],
    [0, 2, 1],
    [0, 4, 1],
    [1, 1, 0.5],
    [1, 2, 0.5],
    [1, 4, 0],
  ])
})

test('settings that cannot be are refused before anything is counted', () => {
  const config = composeConfig(clustering, {
    values: {
      settings: [
        { v: 4, m: 2, s: 2, height: 2 },
        { v: 4, m: 8, s: 2, height: 2 },
      ],
    },
  })
  expect(() => clustering.study.check!(config)).toThrow(/config\.settings\.1\.m: expected v·m ≤ v\^s/)
})

test('the climb: slopes of ln P* in the number of levels are those that were put into the rows', () => {
  const shape = { part: 'climb', rules: 'random', v: 16, classes: 16, m: 4, s: 2, L: 5 } as const
  /** Scores that pass 1/2 at `at(L)` strings of a grammar of L levels. */
  const climb = (context: 'tokens' | 'latents', at: (levels: number) => number) =>
    [0, 1, 2].flatMap((replica) =>
      [1, 2, 3, 4].flatMap((height) =>
        Array.from({ length: 30 }, (_, i) => {
          const P = 2 ** (i / 2)
          const nodes = 2 ** (4 - height)
          const score = 1 / (1 + (at(height + 1) * 1.1 ** replica) / (P * nodes))
          return { ...shape, context, P, height, score, seed: 0, replica }
        }),
      ),
    )
  const slopes = (tokens: number, latents: number) => {
    const rows = [
      ...climb('tokens', (levels) => 10 * Math.exp(tokens * levels)),
      ...climb('latents', (levels) => 10 * Math.exp(latents * levels)),
    ]
    const claims = climbClaims(rows)
    return [
      starting(claims, 'leaves as context: slope'),
      starting(claims, 'the symbols found as context: the same slope'),
    ]
  }
  const [tokens, latents] = slopes(Math.log(4), 0)
  expect(tokens).toMatchObject({ outcome: 'holds', predicted: Math.log(4) })
  expect(tokens!.measured).toBeCloseTo(Math.log(4), 3)
  expect(latents).toMatchObject({ outcome: 'holds', predicted: 0 })
  expect(latents!.measured).toBeCloseTo(0, 3)
  // latents that help nothing, and leaves that are as good
  expect(slopes(0, Math.log(4)).map(({ outcome }) => outcome)).toEqual(['fails', 'fails'])
  // heights that are never found decide nothing
  expect(slopes(3 * Math.log(4), 0)[0]!.outcome).toBe('undecided')
})
