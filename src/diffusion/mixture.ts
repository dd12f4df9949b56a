/**
 * @file Control: a mixture of Gaussians of equal variance, with the exact score. Two modes: (Sclocchi et al. 2025, SI 5).
 * Many modes without structure: a single latent class on top of independent coordinates.
 */
import { fail } from '../base/index.ts'
import { random } from '../tensor/index.ts'
import { drawFrom } from './channels.ts'

/** Equally likely modes with centres [modes, d] and the same variance in every coordinate. */
export interface Mixture {
  readonly d: number
  readonly modes: number
  readonly centres: Float64Array
  readonly variance: number
}

/** The size of a mixture. */
export interface MixtureShape {
  readonly d: number
  readonly modes: number
  /** ‖μ‖² of each centre, spread evenly over the coordinates. */
  readonly separation: number
  /** Variance s0² of each coordinate around its centre. */
  readonly variance: number
}

/**
 * Centres with coordinates ±√(separation/d) of random signs; two modes are μ and −μ. Throws TL_BAD_ARGUMENT for sizes that
 * cannot be.
 */
export function makeMixture({ d, modes, separation, variance }: MixtureShape, key: random.Key): Mixture {
  for (const [name, value, least] of [
    ['d', d, 1],
    ['modes', modes, 1],
  ] as const)
    if (!(Number.isSafeInteger(value) && value >= least))
      fail('TL_BAD_ARGUMENT', `${name}: expected a whole number ≥ ${least}, got ${value}`)
  for (const [name, value] of Object.entries({ separation, variance }))
    if (!(value > 0 && Number.isFinite(value)))
      fail('TL_BAD_ARGUMENT', `${name}: expected a number above 0, got ${value}`)
  const size = Math.sqrt(separation / d)
  const signs = random.sampleIntegers(key, modes * d, 2)
  const centres = Float64Array.from(signs, (sign) => (2 * sign - 1) * size)
  if (modes === 2) for (let i = 0; i < d; i++) centres[d + i] = -centres[i]!
  return { d, modes, centres, variance }
}

/** `count` points [count, d], and the mode of each. */
export function sampleMixture(
  { d, modes, centres, variance }: Mixture,
  key: random.Key,
  count: number,
): { modes: Int32Array; points: Float64Array } {
  const [forMode, forPoint] = random.split(key)
  const chosen = random.sampleIntegers(forMode, count, modes)
  const normals = random.sampleNormal(forPoint, count * d)
  const points = Float64Array.from(
    normals,
    (z, at) => centres[chosen[Math.floor(at / d)]! * d + (at % d)]! + Math.sqrt(variance) * z,
  )
  return { modes: chosen, points }
}

/** Probabilities of modes from the logarithms of their weights. */
export function posteriorOf(logits: Float64Array): Float64Array {
  const largest = logits.reduce((a, b) => Math.max(a, b))
  const weights = logits.map((logit) => Math.exp(logit - largest))
  const sum = weights.reduce((a, b) => a + b, 0)
  return weights.map((weight) => weight / sum)
}

/**
 * Posterior probability of each mode [modes] given the noisy point x_t [d] at ᾱ: softmax of −‖x_t − √ᾱ μ‖²/2(s0² ᾱ + 1 − ᾱ);
 * for two modes the sigmoid of 2√ᾱ μ·x_t/(s0² ᾱ + 1 − ᾱ).
 */
export function mixturePosterior(
  { d, modes, centres, variance }: Mixture,
  noisy: Float64Array,
  alphaBar: number,
): Float64Array {
  const total = variance * alphaBar + 1 - alphaBar
  const logits = new Float64Array(modes)
  for (let mode = 0; mode < modes; mode++) {
    let product = 0
    for (let i = 0; i < d; i++) product += centres[mode * d + i]! * noisy[i]!
    logits[mode] = (Math.sqrt(alphaBar) * product) / total // all centres have the same norm
  }
  return posteriorOf(logits)
}

/** `count` round trips of one point x_0 [d]: noise up to ᾱ, then an exact sample of p(x_0 | x_t): points and their modes. */
export function mixtureRoundTrips(
  mixture: Mixture,
  x0: Float64Array,
  alphaBar: number,
  key: random.Key,
  count: number,
): { modes: Int32Array; points: Float64Array } {
  const { d, modes, centres, variance } = mixture
  const [forward, forMode, backward] = random.split(key, 3)
  const noise = random.sampleNormal(forward, count * d)
  const points = Float64Array.from(random.sampleNormal(backward, count * d))
  const units = random.sampleUniform(forMode, count)
  const total = variance * alphaBar + 1 - alphaBar
  const gain = (variance * Math.sqrt(alphaBar)) / total
  const deviation = Math.sqrt((variance * (1 - alphaBar)) / total)
  const noisy = new Float64Array(d)
  const chosen = new Int32Array(count)
  for (let n = 0; n < count; n++) {
    for (let i = 0; i < d; i++)
      noisy[i] = Math.sqrt(alphaBar) * x0[i]! + Math.sqrt(1 - alphaBar) * noise[n * d + i]!
    const mode = drawFrom(mixturePosterior(mixture, noisy, alphaBar), 0, modes, units[n]!)
    chosen[n] = mode
    for (let i = 0; i < d; i++) {
      const centre = centres[mode * d + i]!
      points[n * d + i] =
        centre + gain * (noisy[i]! - Math.sqrt(alphaBar) * centre) + deviation * points[n * d + i]!
    }
  }
  return { modes: chosen, points }
}
