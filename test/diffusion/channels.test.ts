/** @file Noise processes: corruption as its definition says, likelihoods against densities, one step back against the chain forward. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type ChannelName, channels, findChannel, leafEvidence } from '../../src/diffusion/index.ts'
import { random } from '../../src/tensor/index.ts'
import { excess, excessBetween } from './helpers.ts'

const v = 4
const many = 20_000
const { epsilon, uniform, masking, gaussian } = channels

/** Counts of symbols −1 … v − 1 (masked first). */
const countTokens = (tokens: ArrayLike<number>): number[] => {
  const counts = new Array<number>(v + 1).fill(0)
  for (let i = 0; i < tokens.length; i++) counts[tokens[i]! + 1]!++
  return counts
}

test('uniform keeps a token with probability ᾱ + (1 − ᾱ)/v, masking hides it with 1 − ᾱ, the ε-process leaves it', () => {
  const leaves = new Int32Array(many).fill(2)
  const flipped = uniform.corrupt(leaves, v, 0.6, random.key(1))
  expect(excess(countTokens(flipped), [0, 0.15, 0.15, 0.55, 0.15])).toBeLessThan(4)
  const masked = masking.corrupt(leaves, v, 0.3, random.key(2))
  expect(excess(countTokens(masked), [0.3, 0, 0, 0.7, 0])).toBeLessThan(4)
  expect(epsilon.corrupt(leaves, v, 0.9, random.key(3))).toEqual(leaves)
  expect(leaves.every((leaf) => leaf === 2)).toBe(true)
})

test('Gaussian: mean √ᾱ on the symbol and variance 1 − ᾱ everywhere', () => {
  const noise = 0.36
  const noisy = gaussian.corrupt(new Int32Array(many).fill(1), v, noise, random.key(4)) as Float64Array
  for (let a = 0; a < v; a++) {
    let [sum, squares] = [0, 0]
    for (let at = a; at < noisy.length; at += v) {
      sum += noisy[at]!
      squares += noisy[at]! ** 2
    }
    const mean = sum / many
    expect(Math.abs(mean - (a === 1 ? 0.8 : 0))).toBeLessThan((4 * 0.6) / Math.sqrt(many))
    expect(Math.abs(squares / many - mean ** 2 - noise)).toBeLessThan(4 * noise * Math.sqrt(2 / many))
  }
})

test('Gaussian likelihoods are those of the normal density, up to a factor of the row', () => {
  fc.assert(
    fc.property(
      fc.double({ min: 0.01, max: 0.99, noNaN: true }),
      fc.array(fc.double({ min: -2, max: 2, noNaN: true }), { minLength: v, maxLength: v }),
      (noise, x) => {
        const found = gaussian.likelihood(Float64Array.from(x), v, noise)
        const logDensity = (a: number): number =>
          x.reduce((sum, xi, i) => sum - (xi - (i === a ? Math.sqrt(1 - noise) : 0)) ** 2 / (2 * noise), 0)
        for (let a = 1; a < v; a++) {
          const ratio = logDensity(a) - logDensity(0)
          if (found[a]! > 1e-200 && found[0]! > 1e-200)
            expect(Math.log(found[a]! / found[0]!)).toBeCloseTo(ratio, 6)
        }
        expect(Math.max(...found)).toBe(1)
      },
    ),
  )
})

describe.each(Object.keys(channels) as ChannelName[])('%s', (name) => {
  const evidence = (noise: number, leaves = Int32Array.of(0, 3)) =>
    leafEvidence(channels[name], leaves, { v, noise, key: random.key(9) })

  test('without noise the evidence is the token, with all noise it is nothing', () => {
    expect(Array.from(evidence(0))).toEqual([1, 0, 0, 0, 0, 0, 0, 1])
    for (const row of [evidence(1).subarray(0, v), evidence(1).subarray(v)])
      for (const value of row) expect(value / row[0]!).toBeCloseTo(1, 12)
  })

  test('messages', () => {
    expect(() => evidence(1.2)).toThrow(
      'noise: expected a noise level between 0 (clean) and 1 (nothing left), got 1.2',
    )
    expect(() => evidence(Number.NaN)).toThrow('got NaN')
    expect(() => evidence(0.5, Int32Array.of(1, 4))).toThrow(
      'leaves[1]: expected a symbol between 0 and 3, got 4',
    )
  })
})

test('a misspelt channel names the nearest', () => {
  expect(() => findChannel('maskin')).toThrow(
    /channel "maskin": there is no such channel: did you mean "masking"/,
  )
})

// One token on its own: from x_t back to x_{t−1} must give what the chain forward has at t − 1.
describe('one step back of a single token', () => {
  const prior = [0.1, 0.2, 0.3, 0.4]
  const origins = Int32Array.from({ length: many }, (_, i) =>
    i % 10 < 1 ? 0 : i % 10 < 3 ? 1 : i % 10 < 6 ? 2 : 3,
  )
  const [to, from] = [0.35, 0.6]
  /** p(x_0 | x_t) with the prior above, rows [tokens, v]. */
  const clean = (likelihood: Float64Array) => likelihood.map((x, at) => x * prior[at % v]!)
  const step = { v, from, to, key: random.key(21) }

  test.each(['uniform', 'masking'] as const)('%s', (name) => {
    const channel = channels[name]
    const noisy = channel.corrupt(origins, v, from, random.key(5))
    const back = channel.reverse!(noisy, clean(channel.likelihood(noisy, v, from)), step)
    const forward = channel.corrupt(origins, v, to, random.key(6))
    expect(excessBetween(countTokens(back), countTokens(forward))).toBeLessThan(4)
  })

  test('uniform: the joint of x_{t−1} and x_t', () => {
    const noisy = uniform.corrupt(origins, v, from, random.key(5)) as Int32Array
    const back = uniform.reverse!(noisy, clean(uniform.likelihood(noisy, v, from)), step) as Int32Array
    // the chain forward: x_{t−1} first, then a further step that keeps with α = ᾱ_t/ᾱ_{t−1}
    const before = uniform.corrupt(origins, v, to, random.key(7)) as Int32Array
    const after = uniform.corrupt(before, v, 1 - (1 - from) / (1 - to), random.key(8)) as Int32Array
    const joint = (a: Int32Array, b: Int32Array) => {
      const counts = new Array<number>(v * v).fill(0)
      for (let i = 0; i < a.length; i++) counts[a[i]! * v + b[i]!]!++
      return counts
    }
    expect(excessBetween(joint(back, noisy), joint(before, after))).toBeLessThan(4)
  })

  test('Gaussian: mean, variance and correlation with x_t of each coordinate', () => {
    const noisy = gaussian.corrupt(origins, v, from, random.key(5)) as Float64Array
    const back = gaussian.reverse!(noisy, clean(gaussian.likelihood(noisy, v, from)), step) as Float64Array
    for (let a = 0; a < v; a++) {
      let [sum, squares, product] = [0, 0, 0]
      for (let at = a; at < back.length; at += v) {
        sum += back[at]! / many
        squares += back[at]! ** 2 / many
        product += (back[at]! * noisy[at]!) / many
      }
      const p = prior[a]!
      const alpha = (1 - from) / (1 - to)
      const square = (1 - to) * p + to
      expect(Math.abs(sum - Math.sqrt(1 - to) * p)).toBeLessThan(0.025)
      expect(Math.abs(squares - square)).toBeLessThan(0.025)
      // x_t = √α x_{t−1} + fresh noise
      expect(Math.abs(product - Math.sqrt(alpha) * square)).toBeLessThan(0.025)
    }
  })
})
