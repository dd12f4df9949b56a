/** What the study claims of losses that follow the laws, of losses that do not, and of trainings that were cut. */
import { describe, expect, it } from 'vitest'
import type { Config } from '../../src/experiments/contexts/config.ts'
import type { Cell, Row } from '../../src/experiments/contexts/measure.ts'
import { contexts } from '../../src/experiments/contexts.ts'
import { type Claim, composeConfig } from '../../src/lab/index.ts'
import { measureAll } from './measureAll.ts'

const config = composeConfig(contexts, {
  preset: 'quick',
  set: ['v=8', 'm=4', 'L=3', 'grammars=3', 'from=16', 'most.cnn=131072', 'most.attention=131072'],
}) as Config

/** Strings at half way to a level. */
type Places = (network: Cell['network'], level: number) => number

const law: Places = (network, level) => 80 * 4 ** (network === 'cnn' ? level : 2 * (level - 1))

const worth = [1, 0.5, 0.25]
const plateaus = [0, 1, 2, 3].map((level) => 0.2 + worth.slice(level).reduce((sum, x) => sum + x, 0))

/** From plateau to plateau as far as the context reaches, each step straight in ln P, half a unit to both sides of its middle. */
function rowOf({ network, level, samples }: Cell, replica: number, places: Places): Row {
  const loss = worth.slice(0, level).reduce((sum, x, i) => {
    const apart = Math.log(samples / places(network, i + 1)) - 0.05 * (replica - 1)
    return sum - x * Math.min(1, Math.max(0, 0.5 + apart))
  }, plateaus[0]!)
  return { step: 64, loss, exact: plateaus[level]!, plateaus, isCut: false }
}

function findingsOf(places: Places, change = (row: Row, _: Cell): Row => row) {
  const cells = contexts.study.cells(config, [], undefined) as Cell[]
  const rows = cells.flatMap((cell) =>
    [0, 1, 2].map((replica) => ({
      ...cell,
      ...change(rowOf(cell, replica, places), cell),
      ...{ seed: 0, replica },
    })),
  )
  return contexts.study.findings(rows, config)
}

const some = (claims: readonly Claim[], text: string): Claim[] =>
  claims.filter(({ claim }) => claim.includes(text))
const outcomes = (claims: readonly Claim[], text: string): string[] =>
  some(claims, text).map(({ outcome }) => outcome)

describe('losses that follow the laws', () => {
  const { claims, charts, tables, result } = findingsOf(law)

  it('give the slope 1/(2β) of attention and 1/β of the CNN', () => {
    const perData = Math.log(2) / Math.log(4)
    expect(result!['attentionSlopeTheory']).toBeCloseTo(perData / 2, 10)
    expect(result!['attentionSlope']).toBeCloseTo(perData / 2, 2)
    expect(result!['cnnSlopeFrom2Theory']).toBeCloseTo(perData, 10)
    expect(result!['cnnSlopeFrom2']).toBeCloseTo(perData, 2)
    expect(outcomes(claims, 'attention: slope')).toEqual(['holds'])
    expect(outcomes(claims, 'contexts of levels 2, 3')).toEqual(['holds'])
  })

  it('bear out that more context than t* is of no use, and that it is of use later', () => {
    for (const text of [
      'with whole strings over those',
      'below the strings from which',
      'the exact predictor',
    ])
      expect(new Set(outcomes(claims, text)), text).toEqual(new Set(['holds']))
    const controls = claims.filter(({ control }) => control)
    expect(controls).toHaveLength(4)
    for (const { outcome } of controls) expect(outcome).toBe('holds')
  })

  it('are drawn and tabled with theory', () => {
    expect(charts.map((draw) => draw().name)).toEqual([
      ...['effective-context', 'contexts-cnn', 'loss-cnn', 'contexts-attention', 'loss-attention'],
    ])
    expect(tables!.map(({ rows }) => rows.length)).toEqual([3, 3])
  })
})

it('attention that reaches as far as a CNN fails', () => {
  const { claims } = findingsOf((_, level) => law('cnn', level))
  expect(outcomes(claims, 'attention: slope')).toEqual(['fails'])
})

it('contexts that help too early fail, and so does a loss below the exact one', () => {
  const early = findingsOf(law, (row, { level }) =>
    level === 3 ? { ...row, loss: Math.min(row.loss, plateaus[2]!) } : row,
  )
  expect(
    outcomes(
      early.claims,
      'context 1: what the best of longer contexts gains, over the worth of level 2, 4 times below',
    ),
  ).toEqual(['fails', 'fails'])
  const below = findingsOf(law, (row) => ({ ...row, loss: row.loss - 0.1 }))
  expect(outcomes(below.claims, 'the least over all P and contexts')).toEqual(['fails', 'fails'])
})

it('levels that no training reaches, and trainings that were cut, have no number', () => {
  const far = findingsOf((network, level) => (level >= 2 ? 1e12 : law(network, level)))
  expect(some(far.claims, 'slope')).toEqual([])
  expect(far.headline).toContain('fewer than two of them pay')
  const cut = findingsOf(law, (row, { network }) => ({ ...row, isCut: network === 'attention' }))
  expect(some(cut.claims, 'attention: slope')).toEqual([])
  expect(outcomes(cut.claims, 'attention, context 1: loss at the largest P')).toEqual(['undecided'])
})

it('networks see no more than their context: the shortest ends at its plateau, the longest goes below', async () => {
  const { rows } = await measureAll(contexts, 'tiny', [
    ...['networks=cnn', 'v=6', 'grammars=1', 'from=256', 'most.cnn=256', 'steps.cnn=512', 'width=16'],
  ])
  const at = (level: number) => rows.find((row) => row['level'] === level) as unknown as Row
  expect(new Set(rows.map(({ plateaus: own }) => JSON.stringify(own))).size).toBe(1)
  expect(at(1).loss).toBeGreaterThan(at(1).exact - 0.01)
  expect(at(1).loss).toBeLessThan(at(1).exact + 0.1)
  expect(at(3).loss).toBeLessThan(at(1).exact - 0.1)
  expect(at(3).loss).toBeGreaterThan(at(3).exact - 0.01)
})

it('impossible sizes are refused before anything is trained', () => {
  const refused = (...set: string[]): (() => void) => {
    const given = composeConfig(contexts, { preset: 'tiny', set })
    return () => contexts.study.check!(given)
  }
  expect(refused('attention.heads=3')).toThrow('expected a multiple of the 3 heads, got 4')
  expect(refused('m=5')).toThrow('config')
  expect(refused('most.cnn=8')).toThrow('config.most.cnn: expected at least the smallest P, 16, got 8')
  expect(refused('most.cnn=4096')).toThrow('config.most.cnn: expected at most 448')
  expect(refused()).not.toThrow()
})
