/**
 * @file Control: a mixture of Gaussians with covariances of their own, fitted to labelled data, with exact round trips. One discrete
 * latent, no hierarchy: with a single part it is a Gaussian with the covariance of the data.
 */
import { eigenOf, fail } from '../base/index.ts'
import { random } from '../tensor/index.ts'
import { drawFrom } from './channels.ts'
import { modePosterior } from './gaussianField.ts'
import { posteriorOf } from './mixture.ts'

/** A part of a mixture, along the eigenvectors of its covariance. */
export interface ClassGaussian {
  readonly weight: number
  /** [d] */
  readonly mean: Float64Array
  /** Eigenvalues [d], at least 0. */
  readonly variances: Float64Array
  /** Eigenvectors [d, d], row by row. */
  readonly axes: Float64Array
}

export interface GaussianMixture {
  readonly d: number
  readonly parts: readonly ClassGaussian[]
}

function dot(x: Float64Array, a: number, y: Float64Array, b: number, length: number): number {
  let [s0, s1] = [0, 0]
  let k = 0
  for (; k + 1 < length; k += 2) {
    s0 += x[a + k]! * y[b + k]!
    s1 += x[a + k + 1]! * y[b + k + 1]!
  }
  return k < length ? s0 + s1 + x[a + k]! * y[b + k]! : s0 + s1
}

/** Mean and covariance of some rows of points [n, d], as a part of a mixture. */
function fitPart(
  points: ArrayLike<number>,
  rows: readonly number[],
  d: number,
  weight: number,
): ClassGaussian {
  const n = rows.length
  const mean = new Float64Array(d)
  for (const row of rows) for (let i = 0; i < d; i++) mean[i]! += points[row * d + i]! / n
  // coordinate by coordinate, so that products run along memory
  const centred = new Float64Array(d * n)
  for (const [k, row] of rows.entries())
    for (let i = 0; i < d; i++) centred[i * n + k] = points[row * d + i]! - mean[i]!
  const covariance = new Float64Array(d * d)
  for (let i = 0; i < d; i++)
    for (let j = 0; j <= i; j++)
      covariance[i * d + j] = covariance[j * d + i] = dot(centred, i * n, centred, j * n, n) / n
  const found = eigenOf(covariance, d)
  if (!found) return fail('TL_BAD_ARGUMENT', 'points: expected finite numbers')
  return { weight, mean, variances: found.values.map((value) => Math.max(0, value)), axes: found.vectors }
}

/**
 * Fit a part to the points [n, d] of each label 0 … classes − 1; labels without a point have no part. Throws `TL_BAD_ARGUMENT` for
 * numbers that do not fit together.
 */
export function fitClassGaussians(
  points: ArrayLike<number>,
  labels: ArrayLike<number>,
  classes: number,
): GaussianMixture {
  const n = labels.length
  const d = points.length / n
  if (!(n >= 1 && Number.isInteger(d) && d >= 1))
    fail(
      'TL_BAD_ARGUMENT',
      `points: expected as many points as the ${n} labels, got ${points.length} numbers`,
    )
  const parts = Array.from({ length: classes }, (_, label) => {
    const rows = Array.from({ length: n }, (__, i) => i).filter((i) => labels[i] === label)
    return rows.length === 0 ? [] : [fitPart(points, rows, d, rows.length / n)]
  }).flat()
  if (parts.length === 0) fail('TL_BAD_ARGUMENT', `labels: expected some from 0 to ${classes - 1}`)
  return { d, parts }
}

/** A point of a part from its coordinates along the axes. */
function pointOf({ mean, axes }: ClassGaussian, along: Float64Array, into: Float64Array): void {
  const d = mean.length
  into.set(mean)
  for (let k = 0; k < d; k++) {
    const z = along[k]!
    if (z === 0) continue
    for (let i = 0; i < d; i++) into[i]! += z * axes[k * d + i]!
  }
}

/** `count` points [count, d], and the part of each. */
export function sampleClassGaussians(
  { d, parts }: GaussianMixture,
  key: random.Key,
  count: number,
): { parts: Int32Array; points: Float64Array } {
  const [forPart, forPoint] = random.split(key) as [random.Key, random.Key]
  const units = random.sampleUniform(forPart, count)
  const normals = random.sampleNormal(forPoint, count * d)
  const weights = parts.map(({ weight }) => weight)
  const chosen = new Int32Array(count)
  const points = new Float64Array(count * d)
  for (let n = 0; n < count; n++) {
    chosen[n] = drawFrom(weights, 0, parts.length, units[n]!)
    const part = parts[chosen[n]!]!
    const along = part.variances.map((variance, k) => Math.sqrt(variance) * normals[n * d + k]!)
    pointOf(part, along, points.subarray(n * d, (n + 1) * d))
  }
  return { parts: chosen, points }
}

/** x_t of a part along its axes: V (x_t − √ᾱ μ), and its log-density without the constant of d. */
function seenBy({ mean, variances, axes, weight }: ClassGaussian, noisy: Float64Array, alphaBar: number) {
  const d = mean.length
  const signal = Math.sqrt(alphaBar)
  const apart = noisy.map((x, i) => x - signal * mean[i]!)
  const along = new Float64Array(d)
  let logit = Math.log(weight)
  for (let k = 0; k < d; k++) {
    along[k] = dot(axes, k * d, apart, 0, d)
    const total = variances[k]! * alphaBar + 1 - alphaBar
    logit -= (Math.log(total) + along[k]! ** 2 / total) / 2
  }
  return { along, logit }
}

/** Posterior probability of each part given the noisy point x_t [d] at ᾱ < 1. */
export const classPosterior = (
  { parts }: GaussianMixture,
  noisy: Float64Array,
  alphaBar: number,
): Float64Array => posteriorOf(Float64Array.from(parts, (part) => seenBy(part, noisy, alphaBar).logit))

/** `count` round trips of one point x_0 [d]: noise up to ᾱ < 1, then an exact sample of p(x_0 | x_t): points and their parts. */
export function classGaussianRoundTrips(
  { d, parts }: GaussianMixture,
  x0: ArrayLike<number>,
  alphaBar: number,
  key: random.Key,
  count: number,
): { parts: Int32Array; points: Float64Array } {
  if (!(alphaBar >= 0 && alphaBar < 1))
    fail('TL_BAD_ARGUMENT', `alphaBar: expected a number from 0 to below 1, got ${alphaBar}`)
  const [forward, forPart, backward] = random.split(key, 3) as [random.Key, random.Key, random.Key]
  const noise = random.sampleNormal(forward, count * d)
  const units = random.sampleUniform(forPart, count)
  const normals = random.sampleNormal(backward, count * d)
  const [signal, spread] = [Math.sqrt(alphaBar), Math.sqrt(1 - alphaBar)]
  const chosen = new Int32Array(count)
  const points = new Float64Array(count * d)
  const noisy = new Float64Array(d)
  for (let n = 0; n < count; n++) {
    for (let i = 0; i < d; i++) noisy[i] = signal * x0[i]! + spread * noise[n * d + i]!
    const seen = parts.map((part) => seenBy(part, noisy, alphaBar))
    const weights = posteriorOf(Float64Array.from(seen, ({ logit }) => logit))
    const own = drawFrom(weights, 0, parts.length, units[n]!)
    const part = parts[own]!
    const along = seen[own]!.along.map((x, k) => {
      const { gain, variance } = modePosterior(part.variances[k]!, alphaBar)
      return gain * x + Math.sqrt(variance) * normals[n * d + k]!
    })
    chosen[n] = own
    pointOf(part, along, points.subarray(n * d, (n + 1) * d))
  }
  return { parts: chosen, points }
}
