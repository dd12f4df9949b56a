/** @file What round trips keep at each height, against sums over all strings of a small grammar; and what strings that are no strings keep. */
import { describe, expect, it } from 'vitest'
import {
  channels,
  correlationLength,
  exactDenoiser,
  leafEvidence,
  makeSchedule,
  meanDistance,
  noiseLevels,
  roundTripCovariances,
  roundTrips,
  tripStatistics,
  uTurn,
} from '../../src/diffusion/index.ts'
import { enumerate, parse } from '../../src/grammar/index.ts'
import { random } from '../../src/tensor/index.ts'
import { allStrings, posteriorOver, smallGrammar } from './helpers.ts'

const grammar = smallGrammar()
const { d, v, L } = grammar
const strings = allStrings(grammar)
const all = enumerate(grammar)
const truth = parse(
  grammar,
  strings.slice(5, 8).flatMap((leaves) => [...leaves]),
  3,
)
const noise = 0.6

/** Expected share of kept nodes at each height, leaves first: the ε-process, whose evidence is fixed, summed over all strings. */
const expected = Array.from({ length: L + 1 }, (_, height) => {
  let kept = 0
  const nodes = truth.levels[L - height]!.length / truth.count
  for (let b = 0; b < truth.count; b++) {
    const leaves = truth.levels[L]!.subarray(b * d, (b + 1) * d)
    const evidence = leafEvidence(channels.epsilon, leaves, { v, noise, key: random.key(0) })
    for (const [i, p] of posteriorOver(strings, evidence, v).entries())
      for (let node = 0; node < nodes; node++) {
        const [own, other] = [truth, all].map((trees) => trees.levels[L - height]!)
        kept += own![b * nodes + node] === other![i * nodes + node] ? p : 0
      }
  }
  return kept / (nodes * truth.count)
})

describe('round trips by exact inference', () => {
  const samples = 2000
  const options = { noise, samples, key: random.key(4) }
  const trips = uTurn(grammar, channels.epsilon, truth.levels[L]!, options)
  const found = tripStatistics(grammar, truth, trips.levels[L]!)

  it('keep what sums over all strings say, and are all legal', () => {
    // deviations of means of 6,000 strings are below 0.007
    for (const [height, share] of expected.entries()) expect(found.kept[height]).toBeCloseTo(share, 1.6)
    expect(found.kept).not.toContain(1)
    expect(found.legal).toEqual([1, 1, 1])
  })

  it('change together as the covariances of the same trips do', () => {
    const own = { noise, trajectories: samples, key: random.key(9) }
    const { heights } = roundTripCovariances(grammar, channels.epsilon, truth.levels[L]!, own)
    for (const [height, sum] of found.covariances.entries())
      expect(Math.abs(sum - heights[height]!)).toBeLessThan(0.08 * heights[0]!)
  })
})

it('the chain, step by step, keeps as much', async () => {
  const denoiser = exactDenoiser(grammar, channels.uniform)
  const levels = noiseLevels(makeSchedule('linear', 80), noise)
  const samples = 300
  const leaves = truth.levels[L]!
  const chain = await roundTrips(denoiser, leaves, { levels, samples, key: random.key(5) })
  const once = uTurn(grammar, channels.uniform, leaves, { noise, samples, key: random.key(6) })
  const [a, b] = [chain, once.levels[L]!].map((trips) => tripStatistics(grammar, truth, trips))
  for (let height = 0; height <= L; height++) {
    expect(Math.abs(a!.kept[height]! - b!.kept[height]!)).toBeLessThan(0.07)
    expect(a!.legal[height]).toBeGreaterThan(0.96)
  }
})

it('a node that is not legal is not kept, and its ancestors are not', () => {
  const leaves = truth.levels[L]!.slice(0, d)
  const one = parse(grammar, leaves, 1)
  const legal = new Set(strings.map((string) => string.slice(0, 2).join()))
  const broken = Array.from({ length: v * v }, (_, i) => [Math.floor(i / v), i % v]).find(
    (pair) => !legal.has(pair.join()),
  )!
  const trips = Int32Array.from([...leaves, ...broken, ...leaves.slice(2)])
  const { kept, legal: shares } = tripStatistics(grammar, one, trips)
  expect(kept.slice(1)).toEqual([0.75, 0.5])
  expect(shares).toEqual([1, 0.75, 0.5])
  expect(() => tripStatistics(grammar, one, leaves)).toThrow('trips: expected the same number, at least 2')
})

it('the mean distance of what changes together is 0 for independent tokens, and the largest where one block flips', () => {
  // d = 4: by height pairs of a token with itself 4, at r = 1 4, at r = 3 8
  expect(meanDistance([4, 0, 0], 2)).toBe(0)
  expect(meanDistance([4, 4, 8], 2)).toBe((4 + 24) / 16)
  expect(correlationLength([4, 4, 8], 2)).toBe((4 + 72) / (4 + 24))
})
