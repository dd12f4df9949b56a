/** @file Round trips: one-shot samples and the reverse process step by step, both against enumeration and against each other. */
import { describe, expect, test } from 'vitest'
import {
  type ChannelName,
  channels,
  exactDenoiser,
  leafEvidence,
  makeSchedule,
  noiseLevels,
  reverseChain,
  survivalFromMarginals,
  survivalFromSamples,
  unmaskOneByOne,
  uTurn,
} from '../../src/diffusion/index.ts'
import { inferUp, makeGrammar, marginals, sampleTrees } from '../../src/grammar/index.ts'
import { random } from '../../src/tensor/index.ts'
import {
  allStrings,
  countStrings,
  excess,
  excessBetween,
  posteriorOver,
  repeat,
  smallGrammar,
} from './helpers.ts'

const grammar = smallGrammar()
const { d, v } = grammar
const strings = allStrings(grammar)
const datum = strings[7]!
const names = Object.keys(channels) as ChannelName[]

describe.each(names.filter((name) => channels[name].reverse))('%s', (name) => {
  const channel = channels[name]
  const noise = { epsilon: 0.5, uniform: 0.6, masking: 0.75, gaussian: 0.75 }[name]

  test('the reverse chain from a given x_t has the exact posterior', async () => {
    const noisy = channel.corrupt(datum, v, noise, random.key(12))
    const exact = posteriorOver(strings, channel.likelihood(noisy, v, noise), v)
    expect(exact.filter((p) => p > 0.02).length).toBeGreaterThan(3) // otherwise there is nothing to see
    const count = 800
    const levels = noiseLevels(makeSchedule('linear', name === 'gaussian' ? 100 : 200), noise)
    const { leaves } = await reverseChain(
      exactDenoiser(grammar, channel),
      repeat(noisy as Float64Array, count),
      {
        levels,
        key: random.key(13),
      },
    )
    const counts = countStrings(strings, leaves, d)
    expect(counts.at(-1)).toBeLessThan(0.01 * count) // strings outside the grammar: only from the finite steps
    expect(excess(counts.slice(0, -1), exact)).toBeLessThan(4)
  })

  test('one-shot and step by step agree over whole round trips', async () => {
    const count = 800
    const oneShot = uTurn(grammar, channel, datum, { noise, samples: count, key: random.key(14) })
    const noisy = channel.corrupt(repeat(datum, count), v, noise, random.key(15))
    const levels = noiseLevels(makeSchedule('linear', name === 'gaussian' ? 100 : 200), noise)
    const { leaves } = await reverseChain(exactDenoiser(grammar, channel), noisy, {
      levels,
      key: random.key(16),
    })
    const [a, b] = [oneShot.levels[grammar.L]!, leaves].map((x) => countStrings(strings, x, d)) as [
      number[],
      number[],
    ]
    expect(a.at(-1)).toBe(0) // exact samples are strings of the grammar
    expect(excessBetween(a.slice(0, -1), b.slice(0, -1))).toBeLessThan(4)
  })

  test('one large step draws tokens that do not fit together', async () => {
    const count = 1000
    const noisy = channel.corrupt(repeat(datum, count), v, 0.95, random.key(17))
    const { leaves } = await reverseChain(exactDenoiser(grammar, channel), noisy, {
      levels: [0.95, 0],
      key: random.key(18),
    })
    expect(countStrings(strings, leaves, d).at(-1)).toBeGreaterThan(0.05 * count)
  })
})

describe.each(names)('%s', (name) => {
  const channel = channels[name]
  const noise = { epsilon: 0.5, uniform: 0.6, masking: 0.5, gaussian: 0.6 }[name]

  test('survival from marginals is its value by enumeration, from samples it agrees', () => {
    const truth = sampleTrees(grammar, random.key(31), 3)
    const leaves = truth.levels[grammar.L]!
    const likelihood = leafEvidence(channel, leaves, { v, noise, key: random.key(32) })
    const found = survivalFromMarginals(truth, marginals(grammar, inferUp(grammar, likelihood, 3)))
    for (let b = 0; b < 3; b++) {
      const posterior = posteriorOver(strings, likelihood.subarray(b * d * v, (b + 1) * d * v), v)
      for (let level = 0; level <= grammar.L; level++) {
        const nodes = 2 ** level
        const own = truth.levels[level]!.subarray(b * nodes, (b + 1) * nodes)
        let expected = 0
        for (const [i, p] of posterior.entries()) {
          const tree = latents(i)[level]!
          expected += (p * own.reduce((same, symbol, n) => same + Number(tree[n] === symbol), 0)) / nodes
        }
        expect(found[level]![b]).toBeCloseTo(expected, 12)
      }
    }
  })

  test('the distribution of round trips from one datum is the mean of the posteriors', () => {
    const samples = 3000
    const { levels } = uTurn(grammar, channel, datum, { noise, samples, key: random.key(41) })
    const runs = channel.random ? 3000 : 1
    const mean = new Array<number>(strings.length).fill(0)
    for (let k = 0; k < runs; k++) {
      const likelihood = leafEvidence(channel, datum, { v, noise, key: random.foldIn(random.key(42), k) })
      for (const [i, p] of posteriorOver(strings, likelihood, v).entries()) mean[i]! += p / runs
    }
    expect(excess(countStrings(strings, levels[grammar.L]!, d).slice(0, -1), mean)).toBeLessThan(5)
  })
})

/** Trees of every string, by parsing it with a table of this test's own. */
function latents(index: number): number[][] {
  const { L, s, m, rules } = grammar
  const levels: number[][] = [Array.from(strings[index]!)]
  for (let level = L - 1; level >= 0; level--) {
    const below = levels[0]!
    const above: number[] = []
    for (let at = 0; at < below.length; at += s)
      for (let rule = 0; rule < rules[level]!.length / s; rule++)
        if (below.slice(at, at + s).every((symbol, i) => rules[level]![rule * s + i] === symbol))
          above.push(Math.floor(rule / m))
    levels.unshift(above)
  }
  return levels
}

test('survival from samples counts nodes that are the same', () => {
  const truth = sampleTrees(grammar, random.key(51), 2)
  const samples = uTurn(grammar, channels.epsilon, truth.levels[2]!, {
    noise: 0.6,
    samples: 4000,
    key: random.key(52),
  })
  const evidence = leafEvidence(channels.epsilon, truth.levels[2]!, { v, noise: 0.6, key: random.key(0) })
  const exact = survivalFromMarginals(truth, marginals(grammar, inferUp(grammar, evidence, 2)))
  const found = survivalFromSamples(truth, samples)
  for (let level = 0; level <= 2; level++)
    for (let b = 0; b < 2; b++) expect(Math.abs(found[level]![b]! - exact[level]![b]!)).toBeLessThan(0.035)
  expect(survivalFromSamples(truth, truth).every((level) => level.every((share) => share === 1))).toBe(true)
  const three = sampleTrees(grammar, random.key(1), 3)
  expect(() => survivalFromSamples(truth, three)).toThrow('the same number for each of 2 data, got 3')
})

test('showing one masked token at a time is exact, whatever the order', async () => {
  const tokens = Int32Array.of(-1, datum[1]!, -1, -1)
  const exact = posteriorOver(strings, channels.masking.likelihood(tokens, v, 1), v)
  const count = 3000
  const leaves = await unmaskOneByOne(
    exactDenoiser(grammar, channels.masking),
    repeat(tokens, count),
    random.key(61),
  )
  const counts = countStrings(strings, leaves, d)
  expect(counts.at(-1)).toBe(0)
  expect(excess(counts.slice(0, -1), exact)).toBeLessThan(4)
})

test('a trajectory depends on its datum, its number and the key, not on how many there are', () => {
  const larger = makeGrammar({ v: 4, classes: 4, m: 2, s: 2, L: 3 }, random.key(5))
  const leaves = sampleTrees(larger, random.key(6), 3).levels[3]!
  for (const name of names) {
    const options = { noise: 0.5, samples: 5, key: random.key(7) }
    const all = uTurn(larger, channels[name], leaves, options).levels[3]!
    expect(uTurn(larger, channels[name], leaves, options).levels[3]).toEqual(all)
    const first = uTurn(larger, channels[name], leaves.subarray(0, 8), options).levels[3]!
    expect(Array.from(all.subarray(0, first.length))).toEqual(Array.from(first))
  }
})

test('messages', async () => {
  const chain =
    (levels: number[], name: ChannelName = 'masking') =>
    () =>
      reverseChain(exactDenoiser(grammar, channels[name]), datum, { key: random.key(0), levels })
  await expect(chain([0.5, 0], 'epsilon')()).rejects.toThrow(/channel "epsilon": it has no chain of steps/)
  await expect(chain([0.5, 0.5, 0])()).rejects.toThrow('levels[1]: expected less than 0.5, got 0.5')
  await expect(chain([0.5])()).rejects.toThrow('levels: expected the last to be 0 (clean), got 0.5')
  const turn = (leaves: Int32Array, samples: number) => () =>
    uTurn(grammar, channels.masking, leaves, { noise: 0.5, samples, key: random.key(0) })
  expect(turn(datum.subarray(1), 2)).toThrow(/a whole number of strings of 4 symbols, got 3/)
  expect(turn(datum, 0)).toThrow('samples: expected a whole number ≥ 1, got 0')
  const impossible = Int32Array.from({ length: 81 * 4 }, (_, at) => Math.floor(at / 4 / 3 ** (at % 4)) % 3)
  await expect(
    unmaskOneByOne(exactDenoiser(grammar, channels.masking), impossible, random.key(0)),
  ).rejects.toThrow(/tokens of datum \d+: expected part of a string/)
})
