/** @file Samplers with exact inference against the grammar, and at the ends of what random words can be. */
import { describe, expect, it, test } from 'vitest'
import { drawFrom } from '../../../src/diffusion/channels.ts'
import {
  channels,
  exactDenoiser,
  makeNoiseProcess,
  noiseLevels,
  roundTrips,
  sampleStrings,
  uTurn,
} from '../../../src/diffusion/index.ts'
import { makeGrammar } from '../../../src/grammar/index.ts'
import { random } from '../../../src/tensor/index.ts'
import { allStrings, countStrings, excess, excessBetween } from '../helpers.ts'

const grammar = makeGrammar({ v: 4, classes: 4, m: 2, s: 2, L: 2 }, random.key(1))
const { d, v } = grammar
const strings = allStrings(grammar)

describe.each(['uniform', 'masking', 'gaussian'] as const)('%s', (name) => {
  const { channel, schedule } = makeNoiseProcess({ channel: name, steps: 200, schedule: 'linear' })
  const denoiser = exactDenoiser(grammar, channel)

  it('from nothing but noise gives all 32 strings alike', async () => {
    const count = 1600
    const leaves = await sampleStrings(denoiser, {
      count,
      levels: noiseLevels(schedule, 1),
      key: random.key(2),
    })
    const counts = countStrings(strings, leaves, d)
    // strings outside the grammar come from finite steps alone: tokens are drawn independently in each
    expect(counts.at(-1)).toBeLessThan(0.02 * count)
    const inside = counts.slice(0, -1)
    expect(excess(inside, new Array(32).fill(1 / 32))).toBeLessThan(4)
  })

  it('round trips of two data are those of exact samples, datum by datum', async () => {
    const [samples, noise] = [400, name === 'uniform' ? 0.5 : 0.7]
    const data = Int32Array.of(...strings[5]!, ...strings[30]!)
    const chained = await roundTrips(denoiser, data, {
      levels: noiseLevels(schedule, noise),
      samples,
      key: random.key(3),
    })
    const oneShot = uTurn(grammar, channel, data, { noise, samples, key: random.key(4) }).levels[2]!
    for (const datum of [0, 1]) {
      const own = (x: Int32Array) => x.subarray(datum * samples * d, (datum + 1) * samples * d)
      const [a, b] = [chained, oneShot].map((x) => countStrings(strings, own(x), d).slice(0, -1)) as [
        number[],
        number[],
      ]
      expect(a[datum === 0 ? 5 : 30]).toBeGreaterThan(samples / 32)
      expect(excessBetween(a, b)).toBeLessThan(4)
    }
  })
})

/** Words of zeros, and of ones. */
const words = [0, 0xffff_ffff]

describe('words of zeros and of ones', () => {
  it('are numbers in [0, 1) in steps of 2^−23: nothing rarer than 1.2e-7 is drawn at an end', () => {
    for (const unit of random.sampleUniform(random.key(1), 1 << 12)) expect((unit * 2 ** 23) % 1).toBe(0)
    const [least, most] = words.map(random.unitOfWord) as [number, number]
    expect([least, most]).toEqual([0, 1 - 2 ** -23])
    expect(drawFrom([1 - 2 ** -25, 2 ** -25], 0, 2, most)).toBe(0)
    expect(drawFrom([1 - 2 ** -22, 2 ** -22], 0, 2, most)).toBe(1)
    const [lowest, highest] = words.map(random.normalOfWord) as [number, number]
    expect(lowest).toBeLessThan(-5)
    expect(highest).toBeGreaterThan(5)
    for (const z of random.sampleNormal(random.key(2), 1 << 12))
      expect(Math.abs(z)).toBeLessThanOrEqual(-lowest)
  })

  // 1 itself: a runtime with other words may round to it
  it.each([...words.map(random.unitOfWord), 1])('a unit of %d draws a symbol that has a weight', (unit) => {
    for (const weights of [
      [0, 1, 0],
      [0, 0, 1e-30],
      [1, 0, 0],
      [0, 0.3, 0.7, 0],
      [1e-300, 0, 1e300],
    ])
      expect(weights[drawFrom(weights, 0, weights.length, unit)]).toBeGreaterThan(0)
    expect(drawFrom([0, 0], 0, 2, unit)).toBe(-1)
  })

  it.each(words)('through every reverse step give tokens that can be (word %d)', (word) => {
    const draws = {
      uniform: (_: random.Key, n: number) => new Float32Array(n).fill(random.unitOfWord(word)),
      normal: (_: random.Key, n: number) => new Float32Array(n).fill(random.normalOfWord(word)),
    }
    const clean = Float64Array.of(0, 0, 1, 0, 0, 0.5, 0, 0.5)
    const step = { v, from: 0.5, key: random.key(1), draws }
    const flipped = channels.uniform.reverse!(Int32Array.of(3, 1), clean, { ...step, to: 0 })
    expect(flipped[0]).toBe(2)
    expect([1, 3]).toContain(flipped[1])
    const shown = channels.masking.reverse!(Int32Array.of(-1, 1), clean, { ...step, to: 0 })
    expect(Array.from(shown)).toEqual([2, 1])
    const hidden = channels.masking.reverse!(Int32Array.of(-1, -1), clean, { ...step, to: 0.25 })
    expect(Array.from(hidden)).toEqual(word === 0 ? [2, 1] : [-1, -1])
    const vectors = channels.gaussian.reverse!(Float64Array.of(0.3, -0.2, 0.1, 0), clean.subarray(0, 4), {
      ...step,
      to: 0.2,
    })
    // the mean of q(x_{t−1} | x_t, x_0) and the same number of deviations for all
    const deviation = Math.sqrt(((1 - 0.5 / 0.8) * 0.2) / 0.5)
    const ofNoisy = (Math.sqrt(0.5 / 0.8) * 0.2) / 0.5
    const ofClean = (Math.sqrt(0.8) * (1 - 0.5 / 0.8)) / 0.5
    for (const [a, x] of [0.3, -0.2, 0.1, 0].entries())
      expect(vectors[a]).toBeCloseTo(
        ofNoisy * x + (a === 2 ? ofClean : 0) + deviation * random.normalOfWord(word),
        5,
      )
  })
})

test('a token that is shown is not drawn again', async () => {
  const { channel, schedule } = makeNoiseProcess({ channel: 'masking', steps: 40 })
  const denoiser = exactDenoiser(grammar, channel)
  const seen: Int32Array[] = []
  const watched = {
    ...denoiser,
    denoise: (noisy: Int32Array | Float64Array, noise: number) => {
      seen.push((noisy as Int32Array).slice())
      return denoiser.denoise(noisy, noise)
    },
  }
  const last = await sampleStrings(watched, {
    count: 50,
    levels: noiseLevels(schedule, 1),
    key: random.key(4),
  })
  expect(seen).toHaveLength(40)
  for (const [i, now] of seen.entries()) {
    const next = seen[i + 1] ?? last
    for (const [at, token] of now.entries()) if (token >= 0) expect(next[at]).toBe(token)
  }
  expect(last.every((token) => token >= 0)).toBe(true)
})
