/** @file Coherence of strings whose correlations are known, and round trips step by step beside exact ones. */
import { expect, test } from 'vitest'
import {
  chainCovariances,
  channels,
  coherence,
  coherenceLength,
  exactDenoiser,
  hiddenLayers,
  learningCurve,
  makeNoiseProcess,
  makeSchedule,
  noiseLevels,
  roundTripCovariances,
  susceptibility,
  treeUnetFor,
} from '../../src/diffusion/index.ts'
import { enumerate, makeGrammar, sampleTrees, trainTest } from '../../src/grammar/index.ts'
import { random } from '../../src/tensor/index.ts'
import { smallGrammar } from './helpers.ts'

const grammar = makeGrammar({ v: 6, classes: 6, m: 2, s: 2, L: 3 }, random.key(1))
const { d, v, s } = grammar
const strings = (seed: number, count: number): Int32Array =>
  sampleTrees(grammar, random.key(seed), count).levels[3]!
const reference = strings(2, 8000)

test('strings of the grammar have all of its correlations, random ones none', () => {
  for (const share of coherence(strings(3, 4000), reference, { d, v, s })) expect(share).toBeCloseTo(1, 0.7)
  const noise = random.sampleIntegers(random.key(4), 4000 * d, v)
  for (const share of coherence(noise, reference, { d, v, s })) expect(Math.abs(share)).toBeLessThan(0.1)
})

test('halves of different strings hang together up to the height of a half', () => {
  const leaves = strings(5, 4001)
  const mixed = new Int32Array(4000 * d)
  for (let n = 0; n < 4000; n++) {
    mixed.set(leaves.subarray(n * d, n * d + d / 2), n * d)
    mixed.set(leaves.subarray((n + 1) * d + d / 2, (n + 2) * d), n * d + d / 2)
  }
  const [one, two, three] = coherence(mixed, reference, { d, v, s })
  expect(one).toBeGreaterThan(0.8)
  expect(two).toBeGreaterThan(0.8)
  expect(Math.abs(three!)).toBeLessThan(0.15)
  expect(coherenceLength([one!, two!, three!], s)).toBeGreaterThan(4)
  expect(coherenceLength([one!, two!, three!], s)).toBeLessThan(8)
})

test.each([
  [[1, 1, 1], 8],
  [[0, 0, 0], 2 ** 0.5],
  [[1, 0.5, 0.25], 4],
  [[0.75, 0.25, 1], 2 ** 1.5],
])('of shares %j strings hang together over %d tokens', (shares, length) => {
  expect(coherenceLength(shares, 2)).toBeCloseTo(length, 12)
})

test('too few strings to compare with are refused', () => {
  expect(() => coherence(strings(1, 2), strings(1, 3), { d, v, s })).toThrow('got 2 and 3')
  expect(() => coherence(new Int32Array(), reference, { d, v, s })).toThrow('got 0 and 8000')
})

test('round trips of a denoiser have the susceptibility of exact ones', async () => {
  const small = smallGrammar()
  const leaves = sampleTrees(small, random.key(7), 6).levels[2]!
  const options = { noise: 0.5, trajectories: 200, key: random.key(8) }
  const { heights } = roundTripCovariances(small, channels.uniform, leaves, options)
  const chained = await chainCovariances(exactDenoiser(small, channels.uniform), leaves, {
    ...{ s: 2, levels: noiseLevels(makeSchedule('linear', 100), 0.5), trajectories: 200, key: random.key(9) },
  })
  expect(susceptibility(heights)).toBeGreaterThan(1.1)
  expect(susceptibility(chained) / susceptibility(heights)).toBeCloseTo(1, 0.8)
})

test('a curve’s looks: copies above chance are none where every legal string is a training string', async () => {
  const tiny = makeGrammar({ v: 4, classes: 4, m: 2, s: 2, L: 2 }, random.key(1))
  const all = enumerate(tiny)
  const network = treeUnetFor(tiny, { width: 8 })
  const options = {
    ...{
      train: all,
      validation: all,
      steps: 64,
      batchSize: 16,
      learningRate: 0.01,
      looks: [32, 64],
      samples: 100,
    },
    ...{ losses: 64, key: random.key(3) },
  }
  const seen: number[] = []
  /** Share of generated strings among some. */
  const shareIn = (generated: Int32Array, some: ReadonlySet<string>): number =>
    Array.from({ length: 100 }, (_, i) => generated.subarray(4 * i, 4 * i + 4).join()).filter((one) =>
      some.has(one),
    ).length / 100
  const looks = await learningCurve(tiny, network, makeNoiseProcess({ steps: 8 }), {
    ...options,
    onLook: ({ step }, _, generated) => {
      expect(generated).toHaveLength(400)
      return seen.push(step) > 0
    },
  })
  expect(seen).toEqual([32, 64])
  for (const { copies, validity, validationLoss, validationWindows, trainingWindows } of looks) {
    // 64 strings at 8 steps in 10 windows: two of them have none
    expect(validationWindows).toHaveLength(10)
    const found = validationWindows.filter((loss) => loss !== null)
    expect(found).toHaveLength(8)
    expect(found.reduce((a, b) => a + b, 0) / 8).toBeCloseTo(validationLoss, 6)
    expect(trainingWindows).not.toEqual(validationWindows)
    expect(copies).toBeCloseTo(0, 12)
    expect(validity[0]).toBe(1)
  }
  // few strings: a copy is one that was trained on, and chance has its share of the legal ones
  const { train, test: others } = trainTest(tiny, random.key(4), 8, 8)
  const letters = new Set(
    Array.from({ length: 8 }, (_, i) => train.levels[2]!.subarray(4 * i, 4 * i + 4).join()),
  )
  expect(letters.size).toBe(8)
  const shares: number[] = []
  const some = await learningCurve(tiny, network, makeNoiseProcess({ steps: 8 }), {
    ...{ ...options, train, validation: others },
    onLook: (_, __, generated) => shares.push(shareIn(generated, letters)) > 0,
  })
  for (const [i, { copies, validity }] of some.entries())
    expect(copies).toBeCloseTo(shares[i]! - validity[2]! / 4, 12)
  expect(shares.some((share) => share > 0)).toBe(true)
})

test('hidden layers are those of the network, for strings without noise', async () => {
  const network = treeUnetFor(grammar, { width: 4 })
  const hidden = hiddenLayers(network, makeNoiseProcess({ steps: 8 }), 3)
  const leaves = strings(6, 3)
  const parameters = network.init(random.key(2))
  const layers = await hidden.of(parameters, leaves)
  expect(layers.map(({ length }) => length)).toEqual([4, 2, 1, 2, 4, 8].map((nodes) => 3 * nodes * 4))
  // a node sees the leaves below it, and no others
  const changed = leaves.slice()
  changed[0] = (changed[0]! + 1) % v
  const after = await hidden.of(parameters, changed)
  const same = (layer: number, from: number, to: number) =>
    layers[layer]!.subarray(from, to).every((x, i) => x === after[layer]![from + i])
  expect(same(0, 0, 4)).toBe(false)
  expect(same(0, 4, 48)).toBe(true)
  expect(same(2, 0, 4)).toBe(false)
  expect(same(2, 4, 12)).toBe(true)
  hidden.dispose()
})
