/** @file Controls of images and their correlations: posteriors against Bayes's rule summed by hand, sums over pairs against lists of pairs. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { fftField } from '../../src/diffusion/fourier.ts'
import {
  classGaussianRoundTrips,
  classPosterior,
  cornerMean,
  fieldLike,
  fieldRoundTrips,
  fitClassGaussians,
  type GaussianMixture,
  gridCovarianceSums,
  gridDistances,
  keptBrightness,
  mixturePosterior,
  patchChanges,
  patchGrid,
  sampleClassGaussians,
  sampleField,
  sampleShuffled,
  shuffledRoundTrips,
  shufflePixels,
  susceptibility,
} from '../../src/diffusion/index.ts'
import { random } from '../../src/tensor/index.ts'

const mean = (values: ArrayLike<number>): number =>
  Array.from(values).reduce((sum, x) => sum + x, 0) / values.length

/** Two parts in the plane, one long along the diagonal. */
const h = Math.SQRT1_2
const plane: GaussianMixture = {
  d: 2,
  parts: [
    {
      weight: 0.3,
      mean: Float64Array.of(1, 0),
      variances: Float64Array.of(0.05, 0.8),
      axes: Float64Array.of(h, -h, h, h),
    },
    {
      weight: 0.7,
      mean: Float64Array.of(-0.5, 0.5),
      variances: Float64Array.of(0.2, 0.3),
      axes: Float64Array.of(1, 0, 0, 1),
    },
  ],
}

/** Density of a part, by its inverse covariance. */
function density(
  { mean: m, variances, axes }: GaussianMixture['parts'][number],
  x: number,
  y: number,
): number {
  let sum = 0
  for (let k = 0; k < 2; k++) {
    const along = axes[2 * k]! * (x - m[0]!) + axes[2 * k + 1]! * (y - m[1]!)
    sum += along ** 2 / variances[k]!
  }
  return Math.exp(-sum / 2) / (2 * Math.PI * Math.sqrt(variances[0]! * variances[1]!))
}

/** Posterior of the part, and the mean of x_0, of a noisy point: sums over a fine grid. */
function bySums(noisy: readonly [number, number], alphaBar: number) {
  const weights = [0, 0]
  const centre = [0, 0]
  const step = 0.1
  for (let x = -5; x <= 5; x += step)
    for (let y = -5; y <= 5; y += step) {
      const apart = (noisy[0] - Math.sqrt(alphaBar) * x) ** 2 + (noisy[1] - Math.sqrt(alphaBar) * y) ** 2
      const likelihood = Math.exp(-apart / (2 * (1 - alphaBar)))
      for (const [i, part] of plane.parts.entries()) {
        const weight = part.weight * density(part, x, y) * likelihood
        weights[i]! += weight
        centre[0]! += weight * x
        centre[1]! += weight * y
      }
    }
  const total = weights[0]! + weights[1]!
  return { parts: weights.map((w) => w / total), centre: centre.map((c) => c / total) }
}

describe('class Gaussians', () => {
  it('have the posterior that sums over a grid give', () => {
    for (const [noisy, alphaBar] of [
      [[0.4, 0.1], 0.8],
      [[-0.3, 0.9], 0.5],
      [[2, -1], 0.1],
    ] as const) {
      const found = classPosterior(plane, Float64Array.from(noisy), alphaBar)
      const { parts } = bySums(noisy, alphaBar)
      for (const [i, share] of parts.entries()) expect(found[i]!).toBeCloseTo(share, 4)
    }
  })

  it('make round trips whose mean is that of the posterior over all noise', () => {
    // E x̂_0 of one x_0: a mean over noise of posterior means
    const [x0, alphaBar] = [[1.2, 0.3] as const, 0.5]
    let [sumX, sumY, weight] = [0, 0, 0]
    for (let a = -3; a <= 3; a += 0.5)
      for (let b = -3; b <= 3; b += 0.5) {
        const share = Math.exp(-(a * a + b * b) / 2)
        const noisy = [x0[0], x0[1]].map(
          (x, i) => Math.sqrt(alphaBar) * x + Math.sqrt(1 - alphaBar) * [a, b][i]!,
        )
        const { centre } = bySums(noisy as [number, number], alphaBar)
        sumX += share * centre[0]!
        sumY += share * centre[1]!
        weight += share
      }
    const count = 20_000
    const { points } = classGaussianRoundTrips(plane, x0, alphaBar, random.key(4), count)
    const [xs, ys] = [0, 1].map((i) => points.filter((_, at) => at % 2 === i))
    expect(Math.abs(mean(xs!) - sumX / weight)).toBeLessThan(0.03)
    expect(Math.abs(mean(ys!) - sumY / weight)).toBeLessThan(0.03)
  })

  it('are the same after a round trip as before', () => {
    const { points, parts } = sampleClassGaussians(plane, random.key(1), 4000)
    const after = new Float64Array(points.length)
    let own = 0
    for (let k = 0; k < 4000; k++) {
      const trip = classGaussianRoundTrips(
        plane,
        points.subarray(2 * k, 2 * k + 2),
        0.6,
        random.foldIn(random.key(2), k),
        1,
      )
      after.set(trip.points, 2 * k)
      own += trip.parts[0] === 0 ? 1 : 0
    }
    const first = parts.filter((part) => part === 0).length
    expect(Math.abs(first / 4000 - 0.3)).toBeLessThan(0.03)
    expect(Math.abs(own - first) / 4000).toBeLessThan(0.04)
    for (const i of [0, 1])
      for (const power of [1, 2]) {
        const moment = (values: Float64Array) =>
          mean(values.filter((_, at) => at % 2 === i).map((x) => x ** power))
        expect(Math.abs(moment(after) - moment(points))).toBeLessThan(0.06)
      }
  })

  it('are fitted: means, covariances, shares', () => {
    const points = [0, 0, 2, 0, 0, 2, 2, 2, 5, 5, 7, 9]
    const { parts } = fitClassGaussians(points, [0, 0, 0, 0, 2, 2], 3)
    expect(parts.map(({ weight }) => weight)).toEqual([4 / 6, 2 / 6])
    expect(Array.from(parts[0]!.mean)).toEqual([1, 1])
    expect(Array.from(parts[0]!.variances)).toEqual([1, 1])
    // (5, 5) and (7, 9): variance 1 + 4 = 5 along (1, 2)/√5
    const [small, large] = parts[1]!.variances
    expect(small).toBeCloseTo(0, 12)
    expect(large).toBeCloseTo(5, 12)
    expect(Math.abs(parts[1]!.axes[2]! * 1 + parts[1]!.axes[3]! * 2) / Math.sqrt(5)).toBeCloseTo(1, 12)
    expect(() => fitClassGaussians([1, 2, 3], [0, 1], 2)).toThrow(
      'expected as many points as the 2 labels, got 3',
    )
  })

  it('of equal variances are the mixture of the theory', () => {
    const centres = Float64Array.of(1, 1, 1, -1, 1, 1, -1, 1, -1, -1, 1, 1)
    const isotropic = { d: 4, modes: 3, centres, variance: 0.3 }
    const identity = Float64Array.from({ length: 16 }, (_, i) => (i % 5 === 0 ? 1 : 0))
    const same: GaussianMixture = {
      d: 4,
      parts: [0, 1, 2].map((i) => ({
        ...{ weight: 1 / 3, mean: centres.slice(4 * i, 4 * i + 4), axes: identity },
        variances: new Float64Array(4).fill(0.3),
      })),
    }
    const noisy = Float64Array.of(0.3, -0.2, 0.6, 0.1)
    const [a, b] = [classPosterior(same, noisy, 0.4), mixturePosterior(isotropic, noisy, 0.4)]
    for (const i of [0, 1, 2]) expect(a[i]!).toBeCloseTo(b[i]!, 12)
  })
})

describe('shuffled pixels', () => {
  const points = [-1, 1, -1, -1, 1, 0, 0, 1]
  const shuffled = shufflePixels(points, 2, 3)

  it('count the levels of each place', () => {
    expect(Array.from(shuffled.levels)).toEqual([-1, 0, 1])
    expect(Array.from(shuffled.shares)).toEqual([0.5, 0.25, 0.25, 0.25, 0.25, 0.5])
    const drawn = sampleShuffled(shuffled, random.key(1), 4000)
    const share = drawn.filter((x, at) => at % 2 === 0 && x === -1).length / 4000
    expect(Math.abs(share - 0.5)).toBeLessThan(0.04)
  })

  it('have the posterior of each place by itself', () => {
    const [alphaBar, count] = [0.6, 40_000]
    const found = shuffledRoundTrips(shuffled, [1, -1], alphaBar, random.key(3), count)
    // P(x̂ = level | x_0 = 1): the posterior averaged over the noise, by a sum
    const expected = [0, 0, 0]
    let weight = 0
    for (let z = -6; z <= 6; z += 0.01) {
      const noisy = Math.sqrt(alphaBar) + Math.sqrt(1 - alphaBar) * z
      const own = [-1, 0, 1].map(
        (level, i) =>
          [0.5, 0.25, 0.25][i]! *
          Math.exp(-((noisy - Math.sqrt(alphaBar) * level) ** 2) / (2 * (1 - alphaBar))),
      )
      const total = own[0]! + own[1]! + own[2]!
      for (const i of [0, 1, 2]) expected[i]! += (Math.exp(-(z * z) / 2) * own[i]!) / total
      weight += Math.exp(-(z * z) / 2)
    }
    const first = found.filter((_, at) => at % 2 === 0)
    for (const [i, level] of [-1, 0, 1].entries()) {
      const share = first.filter((x) => x === level).length / count
      expect(Math.abs(share - expected[i]! / weight)).toBeLessThan(0.012)
    }
  })
})

describe('a field like images', () => {
  it('has Fourier sums of any side', () => {
    const side = 6
    const re = Float64Array.from(random.sampleNormal(random.key(1), 36))
    const field = { re: re.slice(), im: new Float64Array(36) }
    fftField(field, side, 2)
    for (let k = 0; k < 36; k++) {
      let [a, b] = [0, 0]
      for (let j = 0; j < 36; j++) {
        const turns = (j % 6) * (k % 6) + Math.floor(j / 6) * Math.floor(k / 6)
        a += re[j]! * Math.cos((-2 * Math.PI * turns) / side)
        b += re[j]! * Math.sin((-2 * Math.PI * turns) / side)
      }
      expect(field.re[k]).toBeCloseTo(a, 10)
      expect(field.im[k]).toBeCloseTo(b, 10)
    }
    fftField(field, side, 2, true)
    for (let j = 0; j < 36; j++) expect(field.re[j]! / 36).toBeCloseTo(re[j]!, 10)
  })

  it('has the covariances of the images that it was made of, averaged over places', () => {
    const side = 6
    const images = Float64Array.from(random.sampleNormal(random.key(2), 36 * 50))
    for (let at = 1; at < images.length; at++) images[at]! += 0.7 * images[at - 1]!
    const field = fieldLike(images, side)
    const drawn = sampleField(field, random.key(3), 3000)
    const centre = Array.from({ length: 36 }, (_, i) => mean(images.filter((_x, at) => at % 36 === i)))
    const covariance = (values: Float64Array, centres: readonly number[], shift: number) => {
      let sum = 0
      for (let at = 0; at < values.length; at++) {
        const [image, i] = [Math.floor(at / 36) * 36, at % 36]
        const j = Math.floor(i / 6) * 6 + ((i + shift) % 6)
        sum += (values[at]! - centres[i]!) * (values[image + j]! - centres[j]!)
      }
      return sum / values.length
    }
    for (const shift of [0, 1, 2])
      expect(
        Math.abs(covariance(drawn, new Array(36).fill(0), shift) - covariance(images, centre, shift)),
      ).toBeLessThan(0.05)
    // a round trip to hardly any noise changes hardly anything
    const x0 = drawn.subarray(0, 36)
    const back = fieldRoundTrips(field, x0, 1 - 1e-8, random.key(4), 1)
    for (let i = 0; i < 36; i++) expect(back[i]!).toBeCloseTo(x0[i]!, 2)
    expect(() => fieldLike(new Float64Array(36), 6)).toThrow('expected images that differ')
  })
})

describe('changes on a grid', () => {
  it('are those of each patch', () => {
    // two channels of 2 × 4 pixels, patches of 2 × 2
    const x0 = [1, 1, -1, -1, 1, 1, -1, -1, 1, 1, -1, -1, 1, 1, -1, -1]
    const changed = x0.slice()
    changed[0] = -1
    changed[8] = 3
    const { distances, flips } = patchChanges(x0, [...x0, ...changed], [2, 2, 4], 2)
    expect(Array.from(distances)).toEqual([0, 0, 1, 0])
    expect(Array.from(flips)).toEqual([0, 0, 1, 0])
    expect(() => patchGrid([1, 28, 28], 5)).toThrow(
      'expected a whole number that divides 28 and 28 pixels, got 5',
    )
  })

  it('have covariances that add up pair by pair', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 2, max: 5 }),
        fc.integer({ min: 0, max: 1000 }),
        (rows, columns, n, seed) => {
          const d = rows * columns
          const values = random.sampleNormal(random.key(seed), n * d)
          const { distances, pairs } = gridDistances({ rows, columns })
          expect(pairs.reduce((a, b) => a + b, 0)).toBe(d * d)
          const found = gridCovarianceSums(values, n, { rows, columns })
          const expected = new Float64Array(distances.length)
          const counted = new Float64Array(distances.length)
          for (let i = 0; i < d; i++)
            for (let j = 0; j < d; j++) {
              const r = Math.hypot(
                Math.floor(i / columns) - Math.floor(j / columns),
                (i % columns) - (j % columns),
              )
              const at = distances.findIndex((own) => Math.abs(own - r) < 1e-9)
              const a = Array.from({ length: n }, (_, k) => values[k * d + i]!)
              const b = Array.from({ length: n }, (_, k) => values[k * d + j]!)
              const [ma, mb] = [mean(a), mean(b)]
              expected[at]! += a.reduce((sum, x, k) => sum + (x - ma) * (b[k]! - mb), 0) / (n - 1)
              counted[at]!++
            }
          expect(Array.from(counted)).toEqual(pairs)
          for (const [at, sum] of expected.entries()) expect(found[at]!).toBeCloseTo(sum, 6)
          // χ is the variance of the whole sum over the sum of the variances
          const whole = Array.from({ length: n }, (_, k) => mean(values.slice(k * d, (k + 1) * d)) * d)
          const centre = mean(whole)
          const variance = whole.reduce((sum, x) => sum + (x - centre) ** 2, 0) / (n - 1)
          expect(susceptibility(found)).toBeCloseTo(variance / found[0]!, 6)
        },
      ),
      { numRuns: 40 },
    )
    expect(() => gridCovarianceSums([1, 2], 1, { rows: 1, columns: 2 })).toThrow('at least 2 trajectories')
  })
})

it('brightness is told by the corners', () => {
  const x0 = new Float64Array(100).fill(-1)
  x0.fill(1, 44, 46)
  expect(cornerMean(x0, [1, 10, 10])).toBe(-1)
  const grey = x0.map((x) => x + 0.2)
  const spot = x0.slice()
  spot[0] = 1 // 2/36 in the mean of the corners
  const both = new Float64Array([...x0, ...grey, ...spot])
  expect(keptBrightness(x0, both, [1, 10, 10], 0.1)).toEqual([true, false, true])
  expect(keptBrightness(x0, both, [1, 10, 10], 0.05)).toEqual([true, false, false])
  // darker counts as brighter does, and so does a change of one colour
  const dark = x0.map((x) => x - 0.2)
  expect(keptBrightness(x0, dark, [1, 10, 10], 0.1)).toEqual([false])
  expect(cornerMean([...x0, ...grey], [2, 10, 10])).toBeCloseTo(-0.9, 6)
})
