/** What the study claims of rows made from theory, and of rows in which theory is wrong. */
import { expect, test } from 'vitest'
import { tokenCorrelations } from '../../src/experiments/token-correlations.ts'
import { type Claim, composeConfig } from '../../src/lab/index.ts'
import { measureAll } from './measureAll.ts'

const claimsOf = (rows: readonly object[], config: object): readonly Claim[] =>
  tokenCorrelations.study.findings(rows as never, config as never).claims
const starting = (claims: readonly Claim[], text: string): Claim =>
  claims.find(({ claim }) => claim.startsWith(text))!

interface Counted {
  group: string
  P: number
  within: number
  between: number
  exact: number
  noise: number
}

/** Rows with what is counted replaced. */
const recounted = (rows: readonly object[], of: (row: Counted) => Partial<Counted>): object[] =>
  rows.map((row) => ('P' in row ? { ...row, ...of(row as Counted) } : row))

const measured = measureAll(tokenCorrelations, 'tiny', ['most=65536', 'grammars=5'])

test('rows with the signal and noise of the rules bear out the claims about thresholds', async () => {
  const { config, rows } = await measured
  const ideal = recounted(rows, ({ P, exact, noise }) => ({
    within: exact + noise / P,
    between: noise / P,
  }))
  const claims = claimsOf(ideal, config)
  const wanted = ['power of the data', 'the same data over', 'uncorrelated grammars']
  for (const text of wanted) expect(starting(claims, text).outcome, text).toBe('holds')
  const ofShapes = claims.filter(({ claim }) => /^v = .*(squared covariance|power)/.test(claim))
  expect(ofShapes.length).toBeGreaterThanOrEqual(3)
  expect(ofShapes.map(({ outcome }) => outcome)).toEqual(ofShapes.map(() => 'holds'))
  // with a tenth of the signal, levels are seen at ten times the data, and the covariances are not the exact ones
  const faint = claimsOf(
    recounted(rows, ({ P, exact, noise }) => ({ within: exact / 10 + noise / P, between: noise / P })),
    config,
  )
  expect(starting(faint, 'the same data over').outcome).toBe('fails')
  expect(starting(faint, 'v = 8, m = 2, s = 2: squared covariance').outcome).toBe('fails')
  // a signal in grammars that have none
  const seen = claimsOf(
    recounted(rows, ({ group, P, noise }) => ({
      between: noise / P,
      within: group === 'control' ? noise : noise / P,
    })),
    config,
  )
  expect(starting(seen, 'uncorrelated grammars')).toMatchObject({ outcome: 'fails', control: true })
})

test('the control holds of counted strings', async () => {
  const { config, rows } = await measured
  const claims = claimsOf(rows, config)
  expect(starting(claims, 'uncorrelated grammars').outcome).toBe('holds')
  // few symbols and few grammars: the mean of some hundred squares
  expect(Math.abs(starting(claims, 'noise of the covariance').measured! - 1)).toBeLessThan(0.15)
})

test('shapes that cannot be are refused before anything is counted', () => {
  const config = composeConfig(tokenCorrelations, { values: { shapes: [{ v: 4, m: 8, s: 2, L: 2 }] } })
  expect(() => tokenCorrelations.study.check!(config)).toThrow(
    /config\.shapes\.0\.m: expected v·m ≤ v\^s, got 4·8 = 32 > 16/,
  )
})
