/**
 * @file χ of controls at a finite size without sampling: covariances of |x_0 − x̂_0| over round trips of one datum, averaged
 * over data. Two round trips of the same datum have E|y_i||y'_j| = E[m_i m_j], m the means of one datum: no average over data
 * has to be carried out.
 */
import { fftField, zeros } from './fourier.ts'
import { type GaussianField, modePosterior } from './gaussianField.ts'
import type { MixtureShape } from './mixture.ts'

/** E|a||b| of normal a, b of variance 1 and correlation ρ. (Nabeya 1951) */
const absoluteProduct = (rho: number): number => {
  const r = Math.max(-1, Math.min(1, rho))
  return (2 / Math.PI) * (Math.sqrt(1 - r * r) + r * Math.asin(r))
}

/** Covariances by place [d] of a stationary field whose modes have these variances [d]. */
function byPlace({ d, side, dimensions }: GaussianField, modes: Float64Array): Float64Array {
  const space = zeros(d)
  space.re.set(modes)
  fftField(space, side, dimensions)
  return space.re.map((sum) => sum / d)
}

/**
 * χ of a Gaussian field. x̂_0 − x_0 is normal, mode by mode: (g √ᾱ − 1) x_0 of the datum, and noise of variance
 * g² (1 − ᾱ) + v of the round trip, with gain g and variance v of the Wiener filter.
 */
export function fieldSusceptibility(field: GaussianField, alphaBar: number): number {
  const kept = new Float64Array(field.d)
  const all = new Float64Array(field.d)
  for (const [k, power] of field.power.entries()) {
    const { gain, variance } = modePosterior(power, alphaBar)
    kept[k] = (1 - gain * Math.sqrt(alphaBar)) ** 2 * power
    all[k] = kept[k]! + gain * gain * (1 - alphaBar) + variance
  }
  const [oneTrip, twoTrips] = [byPlace(field, all), byPlace(field, kept)]
  const square = oneTrip[0]!
  const covariances = oneTrip.map(
    (sum, r) => square * (absoluteProduct(sum / square) - absoluteProduct(twoTrips[r]! / square)),
  )
  return covariances.reduce((sum, c) => sum + c, 0) / covariances[0]!
}

/** E f(z) over normal z, by the trapezoid rule. */
function normalMean(f: (z: number) => number, step = 0.05): number {
  let [sum, weight] = [0, 0]
  for (let z = -8; z <= 8; z += step) {
    const density = Math.exp(-(z * z) / 2)
    sum += density * f(z)
    weight += density
  }
  return sum / weight
}

/**
 * χ of a mixture of two modes. A round trip ends in the other mode with a probability q of its own datum; given the mode, each
 * coordinate differs by a normal number. What the mode says of the noise of a single coordinate, of order 1/√d times the small
 * gain of the filter, is left out.
 */
export function modesSusceptibility({ d, separation, variance }: MixtureShape, alphaBar: number): number {
  const total = variance * alphaBar + 1 - alphaBar
  const gain = (variance * Math.sqrt(alphaBar)) / total
  const [kept, lost] = [Math.sqrt(alphaBar), Math.sqrt(1 - alphaBar)]
  const norm = Math.sqrt(separation)
  /** q of a datum that lies z standard deviations from its mode's centre, along the line between the modes. */
  const other = (z: number): number => {
    const along = kept * (separation + norm * Math.sqrt(variance) * z)
    return normalMean((w) => 1 / (1 + Math.exp((2 * kept * (along + lost * norm * w)) / total)))
  }
  const q = normalMean(other)
  const flips = normalMean((z) => other(z) * (1 - other(z)))
  // a coordinate: distance between the modes, then what the round trip does around them
  const apart = (2 * norm) / Math.sqrt(d)
  const shrink = 1 - gain * kept
  const width = Math.sqrt(gain * gain * (1 - alphaBar) + (variance * (1 - alphaBar)) / total)
  /** Mean and variance of |x_0 − x̂_0| of a coordinate z deviations from its centre, having ended in a mode `shift` away. */
  const moments = (z: number, shift: number) => {
    const centre = shrink * (shift - Math.sqrt(variance) * z)
    const mean = normalMean((e) => Math.abs(centre + width * e))
    return { mean, variance: centre * centre + width * width - mean * mean }
  }
  let [gap, gapSquare, around, weight] = [0, 0, 0, 0]
  for (let z = -6; z <= 6; z += 0.1) {
    const density = Math.exp(-(z * z) / 2)
    const [same, changed] = [moments(z, 0), moments(z, apart)]
    weight += density
    gap += density * (changed.mean - same.mean)
    gapSquare += density * (changed.mean - same.mean) ** 2
    around += density * (q * changed.variance + (1 - q) * same.variance)
  }
  const ownVariance = (flips * gapSquare + around) / weight
  return 1 + ((d - 1) * flips * (gap / weight) ** 2) / ownVariance
}
