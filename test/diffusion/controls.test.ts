/** @file Controls: Fourier transforms against sums, Gaussian fields and mixtures against closed forms and Bayes' rule. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { fft, fftField } from '../../src/diffusion/fourier.ts'
import {
  fieldRoundTrips,
  gaussianField,
  makeMixture,
  meanAndError,
  mixturePosterior,
  mixtureRoundTrips,
  sampleField,
  sampleMixture,
} from '../../src/diffusion/index.ts'
import { random } from '../../src/tensor/index.ts'

const numbers = (n: number) =>
  fc.array(fc.double({ min: -5, max: 5, noNaN: true }), { minLength: n, maxLength: n })

test('the transform is its defining sum, and its inverse undoes it', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(1, 2, 4, 8, 32).chain((n) => fc.tuple(numbers(n), numbers(n))),
      ([re, im]) => {
        const n = re.length
        const x = { re: Float64Array.from(re), im: Float64Array.from(im) }
        fft(x)
        for (let k = 0; k < n; k++) {
          let [a, b] = [0, 0]
          for (let j = 0; j < n; j++) {
            const angle = (-2 * Math.PI * j * k) / n
            a += re[j]! * Math.cos(angle) - im[j]! * Math.sin(angle)
            b += re[j]! * Math.sin(angle) + im[j]! * Math.cos(angle)
          }
          expect(x.re[k]).toBeCloseTo(a, 9)
          expect(x.im[k]).toBeCloseTo(b, 9)
        }
        fft(x, { inverse: true })
        for (let j = 0; j < n; j++) expect(x.re[j]! / n).toBeCloseTo(re[j]!, 10)
      },
    ),
    { numRuns: 30 },
  )
  expect(() => fft({ re: new Float64Array(6), im: new Float64Array(6) })).toThrow(/a power of two, got 6/)
})

test('in two dimensions too', () => {
  const side = 4
  const values = random.sampleNormal(random.key(1), 16)
  const x = { re: Float64Array.from(values), im: new Float64Array(16) }
  fftField(x, side, 2)
  for (let k = 0; k < 16; k++) {
    let [a, b] = [0, 0]
    for (let j = 0; j < 16; j++) {
      const angle = (-2 * Math.PI * ((j % 4) * (k % 4) + Math.floor(j / 4) * Math.floor(k / 4))) / side
      a += values[j]! * Math.cos(angle)
      b += values[j]! * Math.sin(angle)
    }
    expect(x.re[k]).toBeCloseTo(a, 6)
    expect(x.im[k]).toBeCloseTo(b, 6)
  }
})

/** Covariance at displacement (x, y) of a field with these modes: the mean over k of f(S_k) cos(2π k·r/side). */
function covarianceAt(
  side: number,
  dimensions: number,
  exponent: number,
  r: number[],
  f: (S: number) => number,
): number {
  const ks = Array.from({ length: side ** dimensions }, (_, i) =>
    Array.from({ length: dimensions }, (_, axis) => Math.floor(i / side ** axis) % side),
  )
  const folded = (k: number) => Math.min(k, side - k)
  const raw = ks.map((k) => Math.max(1, Math.hypot(...k.map(folded))) ** -exponent)
  const mean = raw.reduce((a, b) => a + b, 0) / raw.length
  return (
    ks.reduce(
      (sum, k, i) =>
        sum +
        f(raw[i]! / mean) *
          Math.cos((2 * Math.PI * k.reduce((dot, x, axis) => dot + x * r[axis]!, 0)) / side),
      0,
    ) / ks.length
  )
}

describe.each([
  [16, 1, 0.7],
  [8, 2, 1.5],
])('Gaussian field, side %i, %i-D, |k|^−%f', (side, dimensions, exponent) => {
  const field = gaussianField({ side, dimensions, exponent })
  const { d } = field
  const places =
    dimensions === 1
      ? [[0], [1], [5]]
      : [
          [0, 0],
          [1, 0],
          [2, 3],
        ]
  /** Mean over points and rows of a_i b_{i+r}, with its standard error over rows. */
  const correlation = (a: Float64Array, b: Float64Array, r: number[]) => {
    const rows = Array.from({ length: a.length / d }, (_, n) => {
      let sum = 0
      for (let i = 0; i < d; i++) sum += a[n * d + i]! * b[n * d + shifted(i, r, side)]!
      return sum / d
    })
    return meanAndError(rows)
  }

  test('samples have the covariance of the spectrum', () => {
    const x = sampleField(field, random.key(1), 3000)
    for (const r of places) {
      const { value, error } = correlation(x, x, r)
      expect(Math.abs(value - covarianceAt(side, dimensions, exponent, r, (S) => S))).toBeLessThan(4 * error!)
    }
  })

  test('round trips keep the distribution, and correlate with where they began as the Wiener filter says', () => {
    const alphaBar = 0.4
    const count = 3000
    const x0 = sampleField(field, random.key(2), count)
    const back = new Float64Array(x0.length)
    for (let n = 0; n < count; n++)
      back.set(
        fieldRoundTrips(field, x0.subarray(n * d, (n + 1) * d), alphaBar, random.foldIn(random.key(3), n), 1),
        n * d,
      )
    for (const r of places) {
      const own = correlation(back, back, r)
      expect(Math.abs(own.value - covarianceAt(side, dimensions, exponent, r, (S) => S))).toBeLessThan(
        4 * own.error!,
      )
      const cross = correlation(x0, back, r)
      const kept = (S: number) => S * ((S * alphaBar) / (S * alphaBar + 1 - alphaBar))
      expect(Math.abs(cross.value - covarianceAt(side, dimensions, exponent, r, kept))).toBeLessThan(
        4 * cross.error!,
      )
    }
  })
})

/** The point displaced by r on the periodic grid. */
function shifted(i: number, [x = 0, y = 0]: number[], side: number): number {
  return (((i % side) + x) % side) + ((Math.floor(i / side) + y) % side) * side
}

describe('mixture', () => {
  test('the posterior of the modes is Bayes’ rule with normal densities', () => {
    const mixture = makeMixture({ d: 6, modes: 4, separation: 3, variance: 0.3 }, random.key(1))
    const { centres, d, variance } = mixture
    for (const alphaBar of [0.1, 0.5, 0.9]) {
      const x = Float64Array.from(random.sampleNormal(random.key(2), d))
      const total = variance * alphaBar + 1 - alphaBar
      const densities = Array.from({ length: 4 }, (_, mode) =>
        x.reduce(
          (p, xi, i) =>
            p * Math.exp(-((xi - Math.sqrt(alphaBar) * centres[mode * d + i]!) ** 2) / (2 * total)),
          1,
        ),
      )
      const sum = densities.reduce((a, b) => a + b, 0)
      const found = mixturePosterior(mixture, x, alphaBar)
      for (const [mode, density] of densities.entries()) expect(found[mode]).toBeCloseTo(density / sum, 12)
    }
  })

  test('two modes: the sigmoid of 2√ᾱ μ·x/(s0² ᾱ + 1 − ᾱ)', () => {
    const mixture = makeMixture({ d: 32, modes: 2, separation: 4, variance: 0.2 }, random.key(4))
    const x = Float64Array.from(random.sampleNormal(random.key(5), 32))
    const dot = x.reduce((sum, xi, i) => sum + xi * mixture.centres[i]!, 0)
    const logit = (2 * Math.sqrt(0.3) * dot) / (0.2 * 0.3 + 0.7)
    expect(mixturePosterior(mixture, x, 0.3)[0]).toBeCloseTo(1 / (1 + Math.exp(-logit)), 12)
    expect(mixture.centres.subarray(0, 32).reduce((sum, c) => sum + c * c, 0)).toBeCloseTo(4, 12)
  })

  test('round trips keep the distribution of modes and of points around them', () => {
    const mixture = makeMixture({ d: 8, modes: 3, separation: 6, variance: 0.4 }, random.key(6))
    const count = 6000
    const { points, modes } = sampleMixture(mixture, random.key(7), count)
    const counts = [0, 0, 0]
    let [sum, squares, moved] = [0, 0, 0]
    for (let n = 0; n < count; n++) {
      const x0 = points.subarray(n * 8, (n + 1) * 8)
      const back = mixtureRoundTrips(mixture, x0, 0.3, random.foldIn(random.key(8), n), 1)
      const mode = back.modes[0]!
      counts[mode]!++
      if (mode !== modes[n]) moved++
      for (let i = 0; i < 8; i++) {
        const deviation = back.points[i]! - mixture.centres[mode * 8 + i]!
        sum += deviation
        squares += deviation ** 2
      }
    }
    for (const found of counts)
      expect(Math.abs(found - count / 3)).toBeLessThan(4 * Math.sqrt(count * (2 / 9)))
    expect(moved).toBeGreaterThan(count * 0.05)
    expect(moved).toBeLessThan(count * 0.6)
    const all = count * 8
    expect(Math.abs(sum / all)).toBeLessThan(4 * Math.sqrt(0.4 / all))
    expect(Math.abs(squares / all - 0.4)).toBeLessThan(4 * 0.4 * Math.sqrt(2 / all))
  })
})

test('messages', () => {
  expect(() => gaussianField({ side: 12, exponent: 1 })).toThrow('side: expected a power of two ≥ 2, got 12')
  expect(() => gaussianField({ side: 4, exponent: Number.NaN })).toThrow('exponent: expected a number')
  expect(() => gaussianField({ side: 4, dimensions: 3, exponent: 1 })).toThrow('dimensions: expected 1 or 2')
  const shape = { d: 4, modes: 2, separation: 1, variance: 1 }
  expect(() => makeMixture({ ...shape, modes: 0 }, random.key(1))).toThrow(
    'modes: expected a whole number ≥ 1',
  )
  expect(() => makeMixture({ ...shape, variance: 0 }, random.key(1))).toThrow(
    'variance: expected a number above 0',
  )
})
