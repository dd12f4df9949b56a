/** What the study claims of curves that follow the law, and of curves that do not. */
import { expect, test } from 'vitest'
import {
  type Cell,
  cellsOf,
  chanceOf,
  replicasOfCell,
  scaleOf,
  stringsOf,
} from '../../src/experiments/sample-complexity/cells.ts'
import type { Config } from '../../src/experiments/sample-complexity/config.ts'
import type { Row } from '../../src/experiments/sample-complexity/measure.ts'
import { sampleComplexity } from '../../src/experiments/sample-complexity.ts'
import { type Claim, composeConfig, executeRun } from '../../src/lab/index.ts'
import { measureAll } from './measureAll.ts'

const config = composeConfig(sampleComplexity, {
  preset: 'quick',
  set: ['shallow.sizes=5,6,8,12', 'multiples=0.5,1,2,3,5,9'],
}) as Config

/** From 1 far below `at` to 0 far above, a little apart from replica to replica. */
const fall = (P: number, at: number, replica: number): number => {
  const x = Math.log(P / at) + 0.02 * (replica - 0.5)
  return Math.min(1, Math.max(0.002, 0.5 - 0.4 * x))
}

/** Where each kind of network is half way. */
type Places = (cell: Cell) => number

const law: Places = (cell) => {
  if (cell.part === 'shallow') return 0.6 * stringsOf(cell)
  if (cell.part === 'lazy' || cell.rules === 'uncorrelated') return 1e6
  return scaleOf(cell)
}

function rowsOf(cell: Cell, replica: number, places: Places): Row[] {
  const at = places(cell)
  if (cell.part === 'correlations') {
    const noise = at / (cell.P * (1 + 0.02 * replica))
    return [{ of: 'noise', value: noise, noise, signal: 1 }]
  }
  const error: Row = { of: 'error', value: chanceOf(cell) * fall(cell.P, at, replica), loss: 0, steps: 64 }
  if (cell.part !== 'cnn') return [error]
  return [error, { of: 'sensitivity', layer: 2, height: 1, value: fall(cell.P, 1.2 * at, replica) }]
}

function findingsOf(places: Places, given: Config = config) {
  const rows = cellsOf(given).flatMap((cell) =>
    Array.from({ length: replicasOfCell(given, cell) }, (_, replica) =>
      rowsOf(cell, replica, places).map((row) => ({ ...cell, ...row, seed: given.seed, replica })),
    ).flat(),
  )
  return sampleComplexity.study.findings(rows, given)
}

const starting = (claims: readonly Claim[], text: string): Claim =>
  claims.find(({ claim }) => claim.startsWith(text))!

test('curves that follow the law bear out every claim', () => {
  const { claims, charts, tables, headline } = findingsOf(law)
  expect(claims.map(({ claim, outcome }) => [claim, outcome])).toEqual(
    claims.map(({ claim }) => [claim, 'holds']),
  )
  expect(claims).toHaveLength(12)
  expect(claims.filter(({ control }) => control)).toHaveLength(6)
  expect(starting(claims, 'deep CNN').measured).toBeCloseTo(1, 8)
  expect(starting(claims, 'P at which S_{2,1} halves').measured).toBeCloseTo(1.2, 2)
  expect(headline).toMatch(/^slope of log P\* against log n_c·m\^L: 1\.0+/)
  const names = charts.map((draw) => draw().name)
  for (const name of ['errors', 'collapse', 'law', 'synonyms', 'layers-1', 'lazy', 'shallow-law', 'control'])
    expect(names).toContain(name)
  expect(tables).toHaveLength(3)
})

test('curves that do not follow the law fail it', () => {
  const steep: Places = (cell) => (cell.part === 'cnn' ? scaleOf(cell) ** 1.2 / 3 : law(cell))
  expect(starting(findingsOf(steep).claims, 'deep CNN').outcome).toBe('fails')
  // lazy networks that learn like the CNN, and rules that turn out to be learned
  const easy: Places = (cell) => scaleOf(cell) * (cell.part === 'lazy' ? 0.9 : 1)
  const { claims } = findingsOf(easy)
  for (const text of ['lazy limit', 'uncorrelated rules'])
    expect(starting(claims, text)).toMatchObject({ outcome: 'fails', control: true })
})

test('too few kinds of grammars decide no slope', () => {
  const few = { ...config, settings: config.settings.slice(0, 5) }
  const claim = starting(findingsOf(law, few).claims, 'deep CNN')
  expect(claim.outcome).toBe('undecided')
  expect(claim.claim).toContain('5 kinds of grammars of at least 6')
})

test('trained networks: the errors of seeds differ, a single point is a headline', async () => {
  const point = 'parts=cnn,settings=[{"m":3,"L":2}],multiples=2,grammars=2,width=8,steps=64,probes=10'
  const { rows } = await measureAll(sampleComplexity, 'tiny', [point])
  const errors = rows.filter(({ of }) => of === 'error').map(({ value }) => value)
  expect(new Set(errors).size).toBe(2)
  const S = rows.filter(({ of }) => of === 'sensitivity')
  expect(S.map(({ layer, height }) => [layer, height])).toEqual([
    [1, 1],
    [2, 1],
    [1, 1],
    [2, 1],
  ])
  for (const { value } of S) expect(value).toBeGreaterThan(0.5)
  const { headline, claims } = sampleComplexity.study.findings(rows as never, {
    ...config,
    settings: [{ m: 3, L: 2 }],
  })
  expect(headline).toMatch(/^test error 0\.\d+ ± \S+ with P = 72 \(m = 3, L = 2\)$/)
  expect(claims).toEqual([])
})

test('impossible sizes are refused before anything is trained', async () => {
  const bad = composeConfig(sampleComplexity, { set: ['v=4,parts=cnn,settings=[{"m":5,"L":2}]'] })
  await expect(executeRun(sampleComplexity, bad, { threads: 1 })).rejects.toThrow(
    /config.*m: expected v·m ≤ v\^s, got 4·5 = 20 > 16/,
  )
})
