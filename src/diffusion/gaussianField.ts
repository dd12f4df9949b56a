/**
 * @file Control: a Gaussian random field with power spectrum |k|^−a, whose reverse process is exact mode by mode. It has
 * long-range correlations but no hierarchy (Sclocchi et al. 2025b, appendix B).
 */
import { fail } from '../base/index.ts'
import { random } from '../tensor/index.ts'
import { type Complex, fftField, zeros } from './fourier.ts'

/** A field on a periodic grid of `side` points in each of `dimensions` directions. */
export interface GaussianField {
  readonly side: number
  readonly dimensions: number
  /** Points of the grid, side^dimensions. */
  readonly d: number
  /** Power S_k of each mode [d]; their mean is the variance of every point, 1 where a law gave them. */
  readonly power: Float64Array
}

/** |k| of each mode, each component folded into −side/2 … side/2. */
function wavenumbers(side: number, dimensions: number): Float64Array {
  const out = new Float64Array(side ** dimensions)
  for (let index = 0; index < out.length; index++) {
    let rest = index
    let square = 0
    for (let axis = 0; axis < dimensions; axis++) {
      const k = rest % side
      square += Math.min(k, side - k) ** 2
      rest = Math.floor(rest / side)
    }
    out[index] = Math.sqrt(square)
  }
  return out
}

/**
 * A field with S_k ∝ |k|^−a; the constant mode, where the law has no value, gets the power of |k| = 1. Throws
 * TL_BAD_ARGUMENT for a side that is no power of two, or more than two dimensions.
 */
export function gaussianField({
  side,
  dimensions = 1,
  exponent,
}: {
  side: number
  dimensions?: number
  exponent: number
}): GaussianField {
  if (!(Number.isInteger(Math.log2(side)) && side >= 2))
    fail('TL_BAD_ARGUMENT', `side: expected a power of two ≥ 2, got ${side}`)
  if (dimensions !== 1 && dimensions !== 2)
    fail('TL_BAD_ARGUMENT', `dimensions: expected 1 or 2, got ${dimensions}`)
  if (!Number.isFinite(exponent)) fail('TL_BAD_ARGUMENT', `exponent: expected a number, got ${exponent}`)
  const power = wavenumbers(side, dimensions).map((k) => Math.max(1, k) ** -exponent)
  const mean = power.reduce((sum, s) => sum + s, 0) / power.length
  return { side, dimensions, d: power.length, power: power.map((s) => s / mean) }
}

/**
 * The field with the power spectrum of images [n, side · side] around their mean: as grey and as rough as they are, with nothing but
 * pairs of pixels to know. Throws TL_BAD_ARGUMENT for another number of pixels, or images without any difference.
 */
export function fieldLike(images: ArrayLike<number>, side: number): GaussianField {
  const d = side * side
  const n = images.length / d
  if (!(Number.isSafeInteger(side) && side >= 2 && Number.isInteger(n) && n >= 1))
    fail(
      'TL_BAD_ARGUMENT',
      `images: expected a whole number of images of ${side} × ${side} pixels, got ${images.length} numbers`,
    )
  const mean = new Float64Array(d)
  for (let at = 0; at < images.length; at++) mean[at % d]! += images[at]! / n
  const power = new Float64Array(d)
  const space = zeros(d)
  for (let k = 0; k < n; k++) {
    for (let i = 0; i < d; i++) space.re[i] = images[k * d + i]! - mean[i]!
    space.im.fill(0)
    fftField(space, side, 2)
    for (let i = 0; i < d; i++) power[i]! += (space.re[i]! ** 2 + space.im[i]! ** 2) / (n * d)
  }
  if (!power.some((s) => s > 0))
    fail('TL_BAD_ARGUMENT', 'images: expected images that differ, got equal ones')
  return { side, dimensions: 2, d, power }
}

/** Multiply every mode of a real field by a factor of its own, in place; `from` is where the field begins. */
function filterModes(
  field: GaussianField,
  values: Float64Array,
  from: number,
  factor: Float64Array,
  space: Complex,
) {
  const { d, side, dimensions } = field
  space.re.set(values.subarray(from, from + d))
  space.im.fill(0)
  fftField(space, side, dimensions)
  for (let k = 0; k < d; k++) {
    space.re[k]! *= factor[k]!
    space.im[k]! *= factor[k]!
  }
  fftField(space, side, dimensions, true)
  for (let i = 0; i < d; i++) values[from + i] = space.re[i]! / d
}

/** `count` fields [count, d]. */
export function sampleField(field: GaussianField, key: random.Key, count: number): Float64Array {
  const out = Float64Array.from(random.sampleNormal(key, count * field.d))
  const factor = field.power.map(Math.sqrt)
  const space = zeros(field.d)
  for (let n = 0; n < count; n++) filterModes(field, out, n * field.d, factor, space)
  return out
}

/** Gain and variance of the posterior of a mode: x_k | x_t ~ N(gain·x_{t,k}, variance), the Wiener filter. */
export const modePosterior = (power: number, alphaBar: number): { gain: number; variance: number } => {
  const total = power * alphaBar + 1 - alphaBar
  return { gain: (power * Math.sqrt(alphaBar)) / total, variance: (power * (1 - alphaBar)) / total }
}

/** `count` round trips of one field x_0 [d]: noise added up to ᾱ, then an exact sample of p(x_0 | x_t): [count, d]. */
export function fieldRoundTrips(
  field: GaussianField,
  x0: Float64Array,
  alphaBar: number,
  key: random.Key,
  count: number,
): Float64Array {
  const { d, power } = field
  const [forward, backward] = random.split(key)
  const noise = random.sampleNormal(forward, count * d)
  const out = Float64Array.from(random.sampleNormal(backward, count * d))
  const posterior = Array.from(power, (s) => modePosterior(s, alphaBar))
  const gain = Float64Array.from(posterior, (p) => p.gain)
  const deviation = Float64Array.from(posterior, (p) => Math.sqrt(p.variance))
  const space = zeros(d)
  const noisy = new Float64Array(d)
  for (let n = 0; n < count; n++) {
    for (let i = 0; i < d; i++)
      noisy[i] = Math.sqrt(alphaBar) * x0[i]! + Math.sqrt(1 - alphaBar) * noise[n * d + i]!
    filterModes(field, noisy, 0, gain, space)
    filterModes(field, out, n * d, deviation, space)
    for (let i = 0; i < d; i++) out[n * d + i]! += noisy[i]!
  }
  return out
}
