/** What the study claims of losses that follow the laws, of losses that do not, and of trainings that were cut. */
import { describe, expect, it } from 'vitest'
import { halfWay } from '../../src/experiments/lastToken/halfWay.ts'
import { powerOfTheory } from '../../src/experiments/lastToken/networks.ts'
import type { Config } from '../../src/experiments/scaling-laws/config.ts'
import type { Found } from '../../src/experiments/scaling-laws/estimates.ts'
import type { Cell, Row } from '../../src/experiments/scaling-laws/measure.ts'
import { scalingLaws } from '../../src/experiments/scaling-laws.ts'
import { type Claim, composeConfig } from '../../src/lab/index.ts'
import { measureAll } from './measureAll.ts'

const config = composeConfig(scalingLaws, {
  preset: 'quick',
  set: ['rules=3,4,6', 'grammars=3', 'offline.perDoubling=8', 'parts=offline,widths', 'v=16', 'widths.m=4'],
}) as Config

/** Strings at half way to a level. */
type Places = (cell: Cell, level: number) => number

const law: Places = ({ network, m }, level) => (8 * m ** powerOfTheory(network, level)) / (1 - m / 16)

/** From plateau to plateau, each step straight in ln P, half a unit to both sides of its middle. */
function rowOf(cell: Cell, replica: number, places: Places): Row {
  // what levels are worth falls as theory has it: by f from one to the next
  const f = cell.m / 16
  const worth = [1, f, f ** 2].map((x) => x * (1 + 0.02 * replica))
  const plateaus = [0, 1, 2, 3].map((level) => 0.2 + worth.slice(level).reduce((sum, x) => sum + x, 0))
  const loss = worth.reduce((sum, x, i) => {
    const apart = Math.log(cell.P / places(cell, i + 1)) - 0.05 * (replica - 1)
    return sum + x * Math.min(1, Math.max(0, 0.5 - apart))
  }, 0.2)
  return { samples: cell.P, step: 64, loss, plateaus, isCut: false }
}

function findingsOf(places: Places, given: Config = config, change = (row: Row, _: Cell): Row => row) {
  const cells = scalingLaws.study.cells(given, [], undefined) as Cell[]
  const rows = cells.flatMap((cell) =>
    [0, 1, 2].map((replica) => ({
      ...cell,
      ...change(rowOf(cell, replica, places), cell),
      ...{ seed: 0, replica },
    })),
  )
  return scalingLaws.study.findings(rows, given)
}

const some = (claims: readonly Claim[], text: string): Claim[] =>
  claims.filter(({ claim }) => claim.includes(text))
const outcomes = (claims: readonly Claim[], text: string): string[] =>
  some(claims, text).map(({ outcome }) => outcome)

describe('losses that follow the laws', () => {
  const generous = { ...config, offline: { ...config.offline, cnn: 64, others: 64, most: 1e7 } }
  const { claims, charts, tables, result, headline } = findingsOf(law, generous)

  it('bear out powers, collapse, ratios and the widths', () => {
    expect(some(claims, 'exponent in m').map(({ predicted }) => predicted)).toEqual([3, 4, 3, 5])
    for (const text of [
      'exponent in m',
      'curves lie apart',
      'attention over CNN',
      'of width ×',
      'least loss',
    ])
      expect(new Set(outcomes(claims, text)), text).toEqual(new Set(['holds']))
    expect(result!['attentionExponent3']).toBeCloseTo(5, 1)
    expect(result!['cnnExponent3']).toBeCloseTo(4, 1)
    expect(headline).toContain('attention m^(5.0')
  })

  it('bear out the control: without shared weights the advantage is gone', () => {
    const controls = claims.filter(({ control }) => control)
    expect(controls.length).toBe(3)
    for (const { outcome } of controls) expect(outcome).toBe('holds')
  })

  it('have envelopes of |ln f|/ln m and half of it', () => {
    const limits = some(claims, 'beside its limit')
    expect(limits).toHaveLength(6)
    for (const { claim, predicted, measured } of limits) {
      const m = Number(/m = (\d)/.exec(claim)![1])
      const full = Math.log(16 / m) / Math.log(m)
      expect(predicted).toBeCloseTo(claim.includes('CNN') ? full : full / 2, 10)
      // levels 2 and 3 are worth f and f², and m or m² apart
      expect(measured).toBeCloseTo(predicted!, 1)
    }
  })

  it('are drawn and tabled with theory', () => {
    const figures = charts.map((draw) => draw())
    const names = figures.map(({ name }) => name)
    for (const name of [
      ...['loss-offline-3', 'half-way-offline-2', 'ratio-offline-attention', 'ratio-offline-lcn'],
      ...['collapse-cnn-3', 'collapse-attention-3', 'envelope-offline-4', 'widths-cnn', 'widths-attention'],
    ])
      expect(names).toContain(name)
    expect(tables![0]!.rows).toHaveLength(9)
  })
})

it('attention that pays no more than the CNN fails, and so does a control that is like it', () => {
  const generous = { ...config, offline: { ...config.offline, cnn: 64, others: 64, most: 1e7 } }
  const { claims } = findingsOf((cell, level) => law({ ...cell, network: 'cnn' }, level), generous)
  expect(new Set(outcomes(claims, 'attention: exponent in m of P (1 − f) at half way to level 3'))).toEqual(
    new Set(['fails']),
  )
  expect(new Set(outcomes(claims, 'locally connected over CNN'))).toEqual(new Set(['fails']))
  expect(new Set(outcomes(claims, 'CNN: exponent'))).toEqual(new Set(['holds']))
})

it('levels that no training reaches, or that only a cut one does not, have no number', () => {
  const far = findingsOf((cell, level) => (level === 3 ? 1e12 : law(cell, level)))
  const third = some(far.claims, 'at half way to level 3')
  expect(third).toHaveLength(2)
  for (const { measured, outcome, claim } of third) {
    expect(claim).toContain('reached with no m')
    expect(measured).toBeNull()
    expect(outcome).toBe('undecided')
  }
  expect(far.tables![0]!.rows.every((line) => /^>/.test(String(line.at(-1))))).toBe(true)

  const cut = findingsOf(law, config, (row, { network }) => ({ ...row, isCut: network === 'attention' }))
  for (const { measured, outcome } of some(cut.claims, 'attention: exponent')) {
    expect(measured).toBeNull()
    expect(outcome).toBe('undecided')
  }
})

it('half way is between the last point above and the first below, or nowhere', () => {
  const at = (samples: number, loss: number, isCut = false): Found =>
    ({ samples, loss, isCut, plateaus: [2, 1] }) as unknown as Found
  expect(halfWay([at(400, 1), at(100, 2)], 1)).toBeCloseTo(200, 8)
  expect(halfWay([at(100, 2), at(400, 1.6)], 1)).toBeNaN()
  expect(halfWay([at(100, 1.4), at(400, 1)], 1)).toBeNaN()
  expect(halfWay([at(100, 2, true), at(400, 1)], 1)).toBeNaN()
  expect(halfWay([at(100, 2), at(400, 1, true)], 1)).toBeNaN()
  expect(halfWay([at(50, 2, true), at(100, 2), at(400, 1)], 1)).toBeCloseTo(200, 8)
})

it('networks of every kind learn the same grammar, online from strings that no step repeats', async () => {
  const { rows } = await measureAll(scalingLaws, 'tiny', [
    'networks=cnn,lcn,attention,decoder',
    'parts=online',
    'rules=3',
    'grammars=1',
    'online.cnn=192',
    'online.attention=192',
    'attention.learningRate=0.03',
  ])
  const found = rows as unknown as Found[]
  expect(new Set(found.map(({ plateaus }) => JSON.stringify(plateaus))).size).toBe(1)
  for (const network of ['cnn', 'lcn', 'attention', 'decoder']) {
    const curve = found.filter((row) => row.network === network)
    expect(curve.at(-1)!.samples).toBe(192 * 32)
    expect(curve.at(-1)!.loss).toBeLessThan(curve[0]!.plateaus[0]! - 0.2)
    expect(curve.at(-1)!.loss).toBeGreaterThan(0.9 * curve[0]!.plateaus.at(-1)!)
  }
})

it('impossible sizes are refused before anything is trained', () => {
  const refused = (...set: string[]): (() => void) => {
    const given = composeConfig(scalingLaws, { preset: 'tiny', set })
    return () => scalingLaws.study.check!(given)
  }
  expect(refused('attention.heads=3')).toThrow('expected a multiple of the 3 heads, got 8')
  expect(refused('rules=9')).toThrow('config (m = 9)')
  expect(refused('rules=2')).toThrow('config.offline: no P from 0.25·v·m² on is left for cnn with m = 2')
  expect(refused('rules=2', 'parts=online')).not.toThrow()
})
