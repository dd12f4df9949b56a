/**
 * @file Dynamical correlations of a round trip: which tokens change together. Covariances are over trajectories of the same
 * datum (pooling over data would add the variance of the means), and then averaged over data (Sclocchi et al. 2025b, Defs. 1-3).
 * Pairs are ordered and indexed by the height of their lowest common ancestor: height 0 is a token with itself.
 */
import { fail } from '../base/index.ts'
import { fft, zeros } from './fourier.ts'

/** Changes of one datum over n trajectories: values [n, d], d = s^L. */
export interface Changes {
  readonly values: ArrayLike<number>
  readonly n: number
  readonly d: number
  /** Leaves of a block at height 1; blocks at height ℓ have s^ℓ. */
  readonly s: number
}

/** σ = +1 where a token of a round trip differs from the datum's leaves [d], −1 where not: samples [n, d] to [n, d]. */
export function changesOf(leaves: ArrayLike<number>, samples: ArrayLike<number>, d: number): Int8Array {
  const out = new Int8Array(samples.length)
  for (let at = 0; at < out.length; at++) out[at] = samples[at] === leaves[at % d] ? -1 : 1
  return out
}

/** Differences of continuous coordinates: |x_0 − x̂_0|, points [n, d]. */
export function distancesOf(x0: ArrayLike<number>, points: ArrayLike<number>, d: number): Float64Array {
  const out = new Float64Array(points.length)
  for (let at = 0; at < out.length; at++) out[at] = Math.abs(points[at]! - x0[at % d]!)
  return out
}

function checkChanges({ values, n, d }: Changes): void {
  if (!(n >= 2))
    fail(
      'TL_BAD_ARGUMENT',
      `trajectories: expected at least 2 of each datum, got ${n} (a covariance needs two)`,
    )
  if (values.length !== n * d)
    fail('TL_BAD_ARGUMENT', `values: expected n·d = ${n}·${d} numbers, got ${values.length}`)
}

/** Heights of the tree over d leaves: log_s d. Throws TL_BAD_ARGUMENT unless d is a power of s. */
function heightOf(d: number, s: number): number {
  const height = Math.round(Math.log(d) / Math.log(s))
  if (s ** height !== d) fail('TL_BAD_ARGUMENT', `d: expected a power of s = ${s}, got ${d}`)
  return height
}

/** Ordered pairs at each height [L + 1]: d of a token with itself, then d·(s − 1)·s^(ℓ − 1). */
export const pairCounts = (d: number, s: number): number[] =>
  Array.from({ length: heightOf(d, s) + 1 }, (_, height) =>
    height === 0 ? d : d * (s - 1) * s ** (height - 1),
  )

/** Add the squares of the sums of every block at each height to `into` [L + 1]; `row` [d] is used up. */
function addSquares(row: Float64Array, s: number, into: Float64Array, weight: number): void {
  let blocks = row.length
  for (let height = 0; height < into.length; height++) {
    let sum = 0
    for (let b = 0; b < blocks; b++) sum += row[b]! * row[b]!
    into[height]! += weight * sum
    blocks /= s
    for (let b = 0; b < blocks; b++) {
      let block = 0
      for (let i = 0; i < s; i++) block += row[b * s + i]!
      row[b] = block
    }
  }
}

/**
 * Covariances of one datum, summed over the ordered pairs at each height [L + 1], unbiased (n/(n − 1)). Squares of block
 * sums hold all pairs up to a height, so that a trajectory costs O(d).
 */
export function covarianceSums(changes: Changes): Float64Array {
  checkChanges(changes)
  const { values, n, d, s } = changes
  const within = new Float64Array(heightOf(d, s) + 1) // Σ over blocks of the variance of their sums
  const mean = new Float64Array(d)
  const row = new Float64Array(d)
  for (let k = 0; k < n; k++) for (let i = 0; i < d; i++) mean[i]! += values[k * d + i]! / n
  for (let k = 0; k < n; k++) {
    for (let i = 0; i < d; i++) row[i] = values[k * d + i]! - mean[i]!
    addSquares(row, s, within, 1 / (n - 1))
  }
  return within.map((sum, height) => (height === 0 ? sum : sum - within[height - 1]!))
}

/**
 * Covariances of one datum by distance, C(r) [d]: the mean over all pairs |i − j| = r, or, on a ring, over all i and
 * i + r. By Fourier transforms: d must be a power of two. Unbiased.
 */
export function covarianceByDistance(changes: Changes, { ring = false } = {}): Float64Array {
  checkChanges(changes)
  const { values, n, d } = changes
  const size = ring ? d : 2 * d
  const spectrum = zeros(size)
  const mean = new Float64Array(d)
  for (let k = 0; k < n; k++) for (let i = 0; i < d; i++) mean[i]! += values[k * d + i]! / n
  const power = zeros(size)
  for (let k = 0; k < n; k++) {
    spectrum.re.fill(0)
    spectrum.im.fill(0)
    for (let i = 0; i < d; i++) spectrum.re[i] = values[k * d + i]! - mean[i]!
    fft(spectrum)
    for (let i = 0; i < size; i++) power.re[i]! += spectrum.re[i]! ** 2 + spectrum.im[i]! ** 2
  }
  fft(power, { inverse: true })
  return Float64Array.from({ length: d }, (_, r) => power.re[r]! / (size * (n - 1) * (ring ? d : d - r)))
}

/** Susceptibility χ = Σ_ij C_ij / Σ_i C_ii from covariance sums by height (i = j included: 1 when independent). */
export const susceptibility = (sums: ArrayLike<number>): number =>
  Array.from(sums).reduce((a, b) => a + b, 0) / sums[0]!

/** C(ℓ)/C(0) at each height [L + 1], from covariance sums by height: means over pairs, 1 at height 0. */
export function relativeCorrelations(sums: ArrayLike<number>, s: number): number[] {
  const counts = pairCounts(s ** (sums.length - 1), s)
  return counts.map((pairs, height) => sums[height]! / pairs / (sums[0]! / counts[0]!))
}

/** Distance between leaves that stands for a height: r = s^ℓ − 1, the largest in a block. */
export const distanceAt = (height: number, s: number): number => s ** height - 1

/**
 * Correlation length ξ from covariance sums by height: the mean distance of partners, weighted by distance and
 * correlation, Σ r² C / Σ r C. Proportional to the cutoff of C ~ r^−a for any a < 2.
 */
export function correlationLength(sums: ArrayLike<number>, s: number): number {
  let [first, second] = [0, 0]
  for (let height = 1; height < sums.length; height++) {
    const r = distanceAt(height, s)
    first += r * sums[height]!
    second += r * r * sums[height]!
  }
  return second / first
}

/**
 * Mean distance of the tokens that change with a token, itself among them, from covariance sums by height: Σ r C / Σ C over all
 * ordered pairs, i = j included. 0 where tokens change independently, where `correlationLength` is 0/0; and the largest distance
 * counts once and not twice, so it takes fewer round trips to tell.
 */
export function meanDistance(sums: ArrayLike<number>, s: number): number {
  let [first, all] = [0, 0]
  for (let height = 0; height < sums.length; height++) {
    first += distanceAt(height, s) * sums[height]!
    all += sums[height]!
  }
  return first / all
}
