/**
 * @file Control: the pixels of every place exchanged between images. Each place keeps how often it has which grey level, and nothing
 * is known of one pixel from another: the posterior of every pixel follows from its own noise alone, and χ is 1.
 */
import { fail } from '../base/index.ts'
import { random } from '../tensor/index.ts'
import { drawFrom } from './channels.ts'

/** Grey levels of each of d places: how often each was seen. */
export interface ShuffledPixels {
  readonly d: number
  /** Values of the levels, rising. */
  readonly levels: Float64Array
  /** Shares [d, levels]; those of a place add up to 1. */
  readonly shares: Float64Array
}

/** Count the values of points [n, d] at each place, rounded to `count` levels from −1 to 1. */
export function shufflePixels(points: ArrayLike<number>, d: number, count = 32): ShuffledPixels {
  const n = points.length / d
  if (!(Number.isInteger(n) && n >= 1))
    fail('TL_BAD_ARGUMENT', `points: expected a whole number of points of ${d} numbers, got ${points.length}`)
  if (!(Number.isSafeInteger(count) && count >= 2))
    fail('TL_BAD_ARGUMENT', `count: expected a whole number ≥ 2, got ${count}`)
  const levels = Float64Array.from({ length: count }, (_, level) => (2 * level) / (count - 1) - 1)
  const shares = new Float64Array(d * count)
  for (let at = 0; at < points.length; at++) {
    const level = Math.max(0, Math.min(count - 1, Math.round(((points[at]! + 1) / 2) * (count - 1))))
    shares[(at % d) * count + level]! += 1 / n
  }
  return { d, levels, shares }
}

/** `count` points [count, d], every place by itself. */
export function sampleShuffled(
  { d, levels, shares }: ShuffledPixels,
  key: random.Key,
  count: number,
): Float64Array {
  const units = random.sampleUniform(key, count * d)
  const size = levels.length
  return Float64Array.from(units, (unit, at) => {
    const place = at % d
    return levels[drawFrom(shares, place * size, size, unit)]!
  })
}

/** `count` round trips of one point x_0 [d]: noise up to ᾱ < 1, then an exact sample of p(x_0 | x_t), place by place: [count, d]. */
export function shuffledRoundTrips(
  { d, levels, shares }: ShuffledPixels,
  x0: ArrayLike<number>,
  alphaBar: number,
  key: random.Key,
  count: number,
): Float64Array {
  const [forward, backward] = random.split(key) as [random.Key, random.Key]
  const noise = random.sampleNormal(forward, count * d)
  const units = random.sampleUniform(backward, count * d)
  const [signal, variance] = [Math.sqrt(alphaBar), 1 - alphaBar]
  const weights = new Float64Array(levels.length)
  return Float64Array.from(noise, (z, at) => {
    const place = at % d
    const noisy = signal * x0[place]! + Math.sqrt(variance) * z
    let nearest = Number.POSITIVE_INFINITY
    for (let level = 0; level < levels.length; level++)
      if (shares[place * levels.length + level]! > 0)
        nearest = Math.min(nearest, (noisy - signal * levels[level]!) ** 2)
    // beside the nearest level, so that one is always above 0
    for (let level = 0; level < levels.length; level++) {
      const share = shares[place * levels.length + level]!
      weights[level] =
        share === 0
          ? 0
          : share * Math.exp((nearest - (noisy - signal * levels[level]!) ** 2) / (2 * variance))
    }
    return levels[drawFrom(weights, 0, levels.length, units[at]!)]!
  })
}
