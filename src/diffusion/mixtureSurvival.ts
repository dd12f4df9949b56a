/** @file What survives a round trip in a mixture of Gaussians: its mode, and the coordinates around it. (Sclocchi et al. 2025, SI 5) */
import { random } from '../tensor/index.ts'
import { type Mixture, mixturePosterior, mixtureRoundTrips } from './mixture.ts'

/** Survival at one noise level: both numbers are 1 without noise and 0 by chance. */
export interface MixtureSurvival {
  /** 2 P(true mode | x_t) − 1, of two modes. */
  readonly mode: number
  /** Σ δ·δ̂ / Σ δ²: overlap of the fluctuations δ around the mode's centre before and after the round trip. */
  readonly coordinate: number
}

/** Survival of one point x_0 [d] of a mode after a round trip to ᾱ. */
export function mixtureSurvival(
  mixture: Mixture,
  x0: Float64Array,
  mode: number,
  { alphaBar, key }: { alphaBar: number; key: random.Key },
): MixtureSurvival {
  const { d, centres } = mixture
  const centre = centres.subarray(mode * d, (mode + 1) * d)
  const noise = random.sampleNormal(random.foldIn(key, 1), d)
  const noisy = x0.map((x, i) => Math.sqrt(alphaBar) * x + Math.sqrt(1 - alphaBar) * noise[i]!)
  const back = mixtureRoundTrips(mixture, x0, alphaBar, random.foldIn(key, 2), 1)
  const ended = centres.subarray(back.modes[0]! * d, (back.modes[0]! + 1) * d)
  let [product, square] = [0, 0]
  for (let i = 0; i < d; i++) {
    const before = x0[i]! - centre[i]!
    product += before * (back.points[i]! - ended[i]!)
    square += before ** 2
  }
  return {
    mode: 2 * mixturePosterior(mixture, noisy, alphaBar)[mode]! - 1,
    coordinate: product / square,
  }
}

/** The overlap of coordinates in theory: s0² ᾱ/(s0² ᾱ + 1 − ᾱ), the gain of the Wiener filter. */
export const coordinateOverlap = (variance: number, alphaBar: number): number => {
  const kept = variance * alphaBar
  return kept / (kept + 1 - alphaBar)
}
