/** @file From sums over the data of each grammar to numbers with errors: curves, peaks, exponents. Errors are over grammars. */

import {
  correlationLength,
  type Estimate,
  jackknife,
  relativeCorrelations,
  susceptibility,
} from '../../diffusion/index.ts'
import { slopeOf } from '../../lab/index.ts'

/** A measured curve, point by point. */
export interface Curve {
  /** null where there is nothing to measure, such as χ when no token changed. */
  readonly value: (number | null)[]
  readonly error: (number | null)[]
}

/** Covariances by height of each grammar at each noise level: [grammar][noise][height]. */
export type Groups = readonly (readonly (readonly number[])[])[]

/** A number with its standard error; null where there is nothing to measure. */
export interface Measured {
  readonly value: number | null
  readonly error: number | null
}

/** Six digits, null for what is no number. */
export const short = (x: number | null): number | null =>
  x === null || !Number.isFinite(x) ? null : Number(x.toPrecision(6))

export const shortEstimate = ({ value, error }: Estimate): Measured => ({
  value: short(value),
  error: short(error),
})

/** Estimates as a curve. */
export const curveOf = (estimates: readonly Estimate[]): Curve => ({
  value: estimates.map(({ value }) => short(value)),
  error: estimates.map(({ error }) => short(error)),
})

/** The place of a curve's largest value; 0 when it has none. */
export const placeOfLargest = ({ value }: Curve): number =>
  Math.max(0, value.indexOf(Math.max(...value.filter((x) => x !== null))))

/** One number at each noise level. */
export const alongNoise = (groups: Groups, estimator: (sums: Float64Array) => number): Curve =>
  curveOf(
    groups[0]!.map((_, i) =>
      jackknife(
        groups.map((group) => group[i]!),
        estimator,
      ),
    ),
  )

export const chiCurve = (groups: Groups): Curve => alongNoise(groups, susceptibility)

/** C(ℓ)/C(0) at one noise level, by height 0 … L. */
export const relativeAt = (groups: Groups, noise: number, s: number): Curve =>
  curveOf(
    groups[0]![noise]!.map((_, height) =>
      jackknife(
        groups.map((group) => group[noise]!),
        (sums) => relativeCorrelations(sums, s)[height]!,
      ),
    ),
  )

export const lengthCurve = (groups: Groups, s: number): Curve =>
  alongNoise(groups, (sums) => correlationLength(sums, s))

/** Top of the parabola through the largest finite value and its neighbours; the largest itself at an end. */
export function peakOf(
  x: readonly number[],
  y: readonly number[],
): { at: number; height: number; inside: boolean } {
  const top = y.indexOf(Math.max(...y.filter(Number.isFinite)))
  const known = (i: number): boolean => Number.isFinite(y[i])
  if (top < 0) return { at: Number.NaN, height: Number.NaN, inside: false }
  if (!known(top - 1) || !known(top + 1)) return { at: x[top]!, height: y[top]!, inside: false }
  const [x0, x1, x2] = [x[top - 1]!, x[top]!, x[top + 1]!]
  const left = (y[top]! - y[top - 1]!) / (x1 - x0)
  const right = (y[top + 1]! - y[top]!) / (x2 - x1)
  const bend = (right - left) / (x2 - x0)
  if (bend >= 0) return { at: x1, height: y[top]!, inside: true }
  // Newton's form: y0 + left (x − x0) + bend (x − x0)(x − x1)
  const at = (x0 + x1) / 2 - left / (2 * bend)
  return { at, height: y[top - 1]! + left * (at - x0) + bend * (at - x0) * (at - x1), inside: true }
}

/** Place and height of the peak of χ, with errors. */
export function chiPeak(groups: Groups, x: readonly number[]): { at: Measured; height: Measured } {
  const rows = groups.map((group) => group.flat())
  const width = groups[0]![0]!.length
  const curve = (flat: Float64Array): number[] =>
    x.map((_, i) => susceptibility(flat.subarray(i * width, (i + 1) * width)))
  const find = (of: 'at' | 'height') => shortEstimate(jackknife(rows, (flat) => peakOf(x, curve(flat))[of]))
  return { at: find('at'), height: find('height') }
}

/**
 * Exponent a of C ~ s^{−aℓ} from C(ℓ)/C(0): heights 1 … L − 3, above which the tree's end is felt (all of them in a tree too
 * short for that).
 */
export function decayExponent(relative: readonly number[], s: number): number {
  const L = relative.length - 1
  const last = Math.max(2, L - 3)
  const points = Array.from({ length: last }, (_, i) => i + 1)
    .filter((height) => relative[height]! > 0)
    .map((height) => [height * Math.log(s), Math.log(relative[height]!)] as const)
  return -slopeOf(points).value
}

/** The exponent at one noise level, with its error. */
export const decayAt = (groups: Groups, noise: number, s: number): Measured =>
  shortEstimate(
    jackknife(
      groups.map((group) => group[noise]!),
      (sums) => decayExponent(relativeCorrelations(sums, s), s),
    ),
  )

/** ξ at distances from ε*, on one side. */
export interface Side {
  readonly distance: readonly number[]
  readonly length: readonly number[]
}

/**
 * ν of ξ ~ |ε − ε*|^{−ν}: one slope for both sides, each with an amplitude of its own. NaN when there are too few points.
 */
export function lengthExponent(sides: readonly Side[]): number {
  let [top, bottom] = [0, 0]
  for (const { distance, length } of sides) {
    if (distance.length < 2) continue
    const x = distance.map(Math.log)
    const spread = x.reduce((sum, at) => sum + (at - mean(x)) ** 2, 0)
    top += spread * slopeOf(x.map((at, i) => [at, Math.log(length[i]!)] as const)).value
    bottom += spread
  }
  return -top / bottom
}

const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length

/**
 * Places where a power law of ξ can be seen, by mean field (so that the choice does not depend on what was measured): from
 * 0.2 below ε* to 0.17 above, ξ of more than a few tokens and far from the size d of the tree.
 */
export const resolvedPlaces = (
  noises: readonly number[],
  meanField: readonly number[],
  epsStar: number,
  d: number,
): number[] =>
  noises.flatMap((eps, i) => {
    const off = eps - epsStar
    return off > -0.2 && off < 0.17 && meanField[i]! > 3 && meanField[i]! < d / 6 ? [i] : []
  })

/** Distances from ε* and lengths at some places, below and above it. */
export const sidesOf = (
  noises: readonly number[],
  lengths: readonly number[],
  epsStar: number,
  places: readonly number[] = noises.map((_, i) => i),
): Side[] =>
  [-1, 1].map((sign) => {
    const here = places.filter((i) => (noises[i]! - epsStar) * sign > 1e-9)
    return {
      distance: here.map((i) => Math.abs(noises[i]! - epsStar)),
      length: here.map((i) => lengths[i]!),
    }
  })

/** The exponent ν from some places, with its error. */
export function lengthExponentOf(
  groups: Groups,
  noises: readonly number[],
  epsStar: number,
  { s, places }: { s: number; places: readonly number[] },
): Measured {
  const width = groups[0]![0]!.length
  return shortEstimate(
    jackknife(
      groups.map((group) => group.flat()),
      (flat) => {
        const lengths = noises.map((_, i) => correlationLength(flat.subarray(i * width, (i + 1) * width), s))
        return lengthExponent(sidesOf(noises, lengths, epsStar, places))
      },
    ),
  )
}
