/** @file The control without a hierarchy: a mixture of two Gaussians, denoised with its exact score. */
import {
  makeMixture,
  makeSchedule,
  mixturePosterior,
  mixtureRoundTrips,
  sampleMixture,
} from '../../diffusion/index.ts'
import { random } from '../../tensor/index.ts'
import type { Config } from './config.ts'
import { type Curve, curveOf, fall, passes } from './curves.ts'

/** Survival of the mode ("class") and of coordinates around its centre, both 1 without noise and 0 by chance. */
export interface MixtureResult {
  /** t/T. */
  time: number[]
  alphaBar: number[]
  /** 2 P(true mode | x_t) − 1. */
  mode: Curve
  /** Σ δ·δ̂ / Σ δ²: overlap of the fluctuations δ around the mode's centre before and after the round trip. */
  coordinate: Curve
  /** s0² ᾱ/(s0² ᾱ + 1 − ᾱ): the overlap in theory. */
  coordinateTheory: number[]
  /** t/T where half of the mode is lost. */
  half: number | null
  /** How steeply the mode falls there, per T. */
  steepness: number | null
}

/** Variance of a coordinate around its mode. */
const variance = 1
const steps = 1000

/** Measure the two-mode mixture of SI 5 of (Sclocchi et al. 2025): d dimensions, the schedule of DDPM. */
export function measureMixture({ seed, mixture: { d, separation, data, points } }: Config): MixtureResult {
  const [forCentres, forPoints, forTrips] = random.split(random.foldIn(random.key(seed), 0xd1ff), 3) as [
    random.Key,
    random.Key,
    random.Key,
  ]
  const mixture = makeMixture({ d, modes: 2, separation, variance }, forCentres)
  const { alphaBar } = makeSchedule('ddpm', steps)
  const times = Array.from({ length: points }, (_, i) => Math.round((i * steps) / (points - 1)))
  const { modes, points: clean } = sampleMixture(mixture, forPoints, data)
  const mode: number[][] = []
  const coordinate: number[][] = []
  for (let n = 0; n < data; n++) {
    const x0 = clean.subarray(n * d, (n + 1) * d)
    const centre = mixture.centres.subarray(modes[n]! * d, (modes[n]! + 1) * d)
    const own: number[] = []
    const overlaps: number[] = []
    for (const t of times) {
      const level = alphaBar(t)
      const key = random.foldIn(random.foldIn(forTrips, n), t)
      const noise = random.sampleNormal(random.foldIn(key, 1), d)
      const noisy = x0.map((x, i) => Math.sqrt(level) * x + Math.sqrt(1 - level) * noise[i]!)
      own.push(2 * mixturePosterior(mixture, noisy, level)[modes[n]!]! - 1)
      const back = mixtureRoundTrips(mixture, x0, level, random.foldIn(key, 2), 1)
      const ended = mixture.centres.subarray(back.modes[0]! * d, (back.modes[0]! + 1) * d)
      let [product, square] = [0, 0]
      for (let i = 0; i < d; i++) {
        const before = x0[i]! - centre[i]!
        product += before * (back.points[i]! - ended[i]!)
        square += before ** 2
      }
      overlaps.push(product / square)
    }
    mode.push(own)
    coordinate.push(overlaps)
  }
  const time = times.map((t) => t / steps)
  const modeCurve = curveOf(mode)
  const half = passes(time, modeCurve.mean, 0.5)
  return {
    time,
    alphaBar: times.map(alphaBar),
    mode: modeCurve,
    coordinate: curveOf(coordinate),
    coordinateTheory: times.map((t) => {
      const kept = variance * alphaBar(t)
      return kept / (kept + 1 - alphaBar(t))
    }),
    half,
    steepness: half === null ? null : fall(time, modeCurve.mean, half, 1 / (points - 1)),
  }
}
