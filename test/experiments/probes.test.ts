/** What the study claims of layers that learn as theory says, and of layers that do not. */
import { expect, test } from 'vitest'
import { powerOfTheory } from '../../src/experiments/lastToken/networks.ts'
import type { Config } from '../../src/experiments/probes/config.ts'
import { growth, lossHalfWay, onset } from '../../src/experiments/probes/onsets.ts'
import { probes } from '../../src/experiments/probes.ts'
import { type Claim, composeConfig, doublings, executeRun } from '../../src/lab/index.ts'
import { measureAll } from './measureAll.ts'

const config = composeConfig(probes, {
  set: ['m=4,v=16,L=4,grammars=3,attention.layers=3'],
}) as unknown as Config

/** Strings at which a network learns symbols of a height. */
type Places = (network: 'cnn' | 'attention', level: number) => number
const law: Places = (network, level) => 20 * config.m ** powerOfTheory(network, level + 1)

/** 1 far below `at`, 0 far above. */
const fall = (samples: number, at: number): number => 1 / (1 + (samples / at) ** 4)

const plateaus = [2.6, 1.4, 0.55, 0.25, 0.15]

interface Made {
  readonly places?: Places
  readonly most?: number
  /** The first layer that can tell tuples of a height by their symbol. */
  readonly above?: (level: number) => number
  /** How much earlier than the loss a layer falls. */
  readonly early?: number
}

function rowsOf({ places = law, most = 2 ** 25, above = (level) => level + 1, early = 1 }: Made = {}) {
  return config.networks.flatMap((network) =>
    [0, 1, 2].flatMap((replica) =>
      doublings(2 ** 8, most, 2).flatMap((samples) => {
        const at = (level: number) => places(network, level) * 1.05 ** replica
        // the first plateau takes what level 0 would
        const heights = [0, 1, 2, 3].map((level) => plateaus[level]! - plateaus[level + 1]!)
        const loss = heights.reduce(
          (sum, height, level) => sum + height * fall(samples, at(level)),
          plateaus[4]!,
        )
        return [1, 2, 3].flatMap((level) =>
          Array.from({ length: network === 'cnn' ? config.L : config.attention.layers }, (_, i) => {
            const knows = network === 'cnn' ? i + 1 >= above(level) : i + 1 === config.attention.layers
            const ratio = knows ? fall(samples, at(level) / early) : 0.95
            const row = { samples, loss, plateaus, level, layer: i + 1, symbol: 0.8, rule: 1 - 0.2 * ratio }
            return { network, ...row, seed: 0, replica }
          }),
        )
      }),
    ),
  )
}

const findingsOf = (made: Made = {}) => probes.study.findings(rowsOf(made) as never, config as never)
const starting = (claims: readonly Claim[], text: string): Claim =>
  claims.find(({ claim }) => claim.startsWith(text))!

test('layers that follow the law bear out every claim', () => {
  const { claims, charts, tables, headline } = findingsOf()
  expect(claims.map(({ claim, outcome }) => [claim, outcome])).toEqual(
    claims.map(({ claim }) => [claim, 'holds']),
  )
  // three claims of each height and network, a control of the CNN's, two steps of each network and of both
  expect(claims).toHaveLength(3 * 3 * 2 + 3 + 2 * 2 + 2)
  expect(claims.filter(({ control }) => control)).toHaveLength(3)
  expect(starting(claims, 'CNN: strings at which symbols of height 2').measured).toBeCloseTo(4, 0)
  expect(starting(claims, 'attention: strings at which symbols of height 3').measured).toBeCloseTo(16, 0)
  expect(starting(claims, 'the same step from height 2').measured).toBeCloseTo(4, 1)
  expect(headline).toMatch(/^CNN (4\.0|3\.99)\d+ .*theory 4/)
  expect(charts.map((draw) => draw().name)).toEqual([
    'loss',
    ...['cnn', 'attention'].flatMap((name) => [
      `levels-${name}`,
      `rescaled-${name}`,
      ...[1, 2, 3].map((level) => `layers-${name}-${level}`),
    ]),
  ])
  expect(tables).toHaveLength(2)
})

test('onsets and half-way points are where the curves were put', () => {
  const own = rowsOf().filter(({ network, replica }) => network === 'cnn' && replica === 0) as never
  // 1/(1 + x⁴) = 0.75 and 0.5
  expect(onset(own, 1) / (law('cnn', 1) * 3 ** -0.25)).toBeCloseTo(1, 1)
  expect(onset(own, 2, 0.5) / law('cnn', 2)).toBeCloseTo(1, 1)
  expect(lossHalfWay(own, 2) / law('cnn', 2)).toBeCloseTo(1, 1)
  expect(growth(own, 1)).toBeCloseTo(4, 1)
})

test('layers that do not follow the law fail it', () => {
  // a CNN that learns like attention
  const slow = findingsOf({ places: (_, level) => law('attention', level) }).claims
  expect(starting(slow, 'CNN: strings at which symbols of height 2').outcome).toBe('fails')
  expect(starting(slow, 'the same step from height 1').outcome).toBe('fails')
  // layers that know too low, or one too high
  const low = findingsOf({ above: (level) => level }).claims
  for (const level of [1, 2, 3])
    expect(starting(low, `CNN, symbols of height ${level}: the least of it`)).toMatchObject({
      ...{ outcome: 'fails', control: true },
    })
  const high = findingsOf({ above: (level) => level + 2 }).claims
  expect(starting(high, 'CNN, symbols of height 1: the most of it').outcome).toBe('fails')
  // layers that fall long before the loss
  const early = findingsOf({ early: 20 }).claims
  expect(starting(early, 'attention, symbols of height 2: strings from which on').outcome).toBe('fails')
})

test('what a training that was cut did not reach is undecided; what it shows at least is decided', () => {
  const { claims } = findingsOf({ most: 2 ** 17 })
  expect(starting(claims, 'attention: strings at which symbols of height 3').outcome).toBe('undecided')
  expect(starting(claims, 'attention, symbols of height 3: the most of it').outcome).toBe('undecided')
  expect(starting(claims, 'attention, symbols of height 3: strings from').outcome).toBe('undecided')
  expect(starting(claims, 'the same step from height 1').outcome).toBe('holds')
})

test('measured cosines and losses are numbers of every layer and height', async () => {
  const { rows } = await measureAll(probes, 'tiny', ['L=3,networks=cnn,steps.cnn=64,grammars=2,v=6'])
  expect(new Set(rows.map(({ level, layer }) => `${level}.${layer}`))).toEqual(
    new Set(['1.1', '1.2', '1.3', '2.1', '2.2', '2.3']),
  )
  for (const { symbol, rule, loss, plateaus: exact } of rows as Record<string, number & number[]>[]) {
    for (const cosine of [symbol!, rule!]) {
      expect(cosine).toBeGreaterThan(-1)
      expect(cosine).toBeLessThan(1)
    }
    expect(loss).toBeGreaterThan(exact!.at(-1)! - 0.3)
  }
})

test.each([
  ['attention.features=30', /config\.attention\.features: expected a multiple of the 4 heads, got 30/],
  ['v=4,m=5', /config.*m: expected v·m ≤ v\^s/],
])('%s is refused before anything is trained', async (set, message) => {
  await expect(
    (async () => executeRun(probes, composeConfig(probes, { set: [set] }), { threads: 1 }))(),
  ).rejects.toThrow(message)
})
