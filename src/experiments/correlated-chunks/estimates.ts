/** @file From covariances summed over data to χ, C(r), ξ and their exponents; a statistic of rows takes all their replicas together. */
import {
  type ControlName,
  correlationLength,
  distanceAt,
  pairCounts,
  relativeCorrelations,
  susceptibility,
} from '../../diffusion/index.ts'
import { meanFieldChi, pairStatistics } from '../../grammar/index.ts'
import { type Curve, groupBy, logSpread, slopeOf } from '../../lab/index.ts'
import { alphaBarAt, noisesOf, type Rows } from './cells.ts'
import { type Config, shapeOf } from './config.ts'

/** Sums over the rows of `of`, entry by entry. */
function total(rows: Rows, of: 'sums' | 'distances' = 'sums'): Float64Array {
  const out = new Float64Array(rows[0]?.[of].length ?? 0)
  for (const row of rows) for (let i = 0; i < out.length; i++) out[i]! += row[of][i]!
  return out
}

/** χ of rows at one noise level. */
export const chiOf = (rows: Rows): number => susceptibility(total(rows))

/** C(ℓ)/C(0) by height of rows at one noise level. */
export const relativeOf = (rows: Rows, s: number): number[] => relativeCorrelations(total(rows), s)

/** ξ of rows at one noise level. */
export const lengthOf = (rows: Rows, s: number): number => correlationLength(total(rows), s)

/** C(r)/C(0) of rows at one noise level, the mean over distances in [from, to). */
export const byDistance = (rows: Rows, [from, to]: readonly [number, number]): number => {
  const sums = total(rows, 'distances')
  return sums.subarray(from, to).reduce((a, b) => a + b, 0) / (to - from) / sums[0]!
}

/** A statistic at each noise level. */
export function alongNoise(rows: Rows, statistic: (rows: Rows) => number): Curve {
  const levels = groupBy(rows, 'noise')
  return { x: levels.map(({ key }) => key.noise), y: levels.map((level) => statistic(level.rows)) }
}

/**
 * Exponent a of C ~ s^{−aℓ} from C(ℓ)/C(0): heights 1 … L − 3, above which the tree's end is felt (all of them in a tree too
 * short for that).
 */
export function decayExponent(relative: readonly number[], s: number): number {
  const last = Math.max(2, relative.length - 4)
  const points = Array.from({ length: last }, (_, i) => i + 1)
    .filter((height) => relative[height]! > 0)
    .map((height) => [height * Math.log(s), Math.log(relative[height]!)] as const)
  return -slopeOf(points).value
}

/**
 * ν of ξ ~ |ε − ε*|^{−ν}: one slope for both sides, each with an amplitude of its own; of the levels at `places` alone. NaN
 * when there are too few.
 */
export function lengthExponent({ x, y }: Curve, critical: number, places = x.map((_, i) => i)): number {
  let [top, bottom] = [0, 0]
  for (const sign of [-1, 1]) {
    const side = places.filter((i) => (x[i]! - critical) * sign > 1e-9)
    if (side.length < 2) continue
    const at = side.map((i) => Math.log(Math.abs(x[i]! - critical)))
    const centre = at.reduce((a, b) => a + b, 0) / at.length
    const spread = at.reduce((sum, one) => sum + (one - centre) ** 2, 0)
    top += spread * slopeOf(at.map((one, i) => [one, Math.log(y[side[i]!]!)] as const)).value
    bottom += spread
  }
  return -top / bottom
}

/** ξ in mean field at the size of the tree. */
export const meanFieldLength = (config: Config, eps: number): number => {
  const { s, L } = config
  const { relative } = pairStatistics(shapeOf(config, L), eps)
  return correlationLength(
    pairCounts(s ** L, s).map((pairs, height) => pairs * relative[height]!),
    s,
  )
}

/**
 * Places where a power law of ξ can be seen, by mean field (so that the choice does not depend on what was measured): from
 * 0.2 below ε* to 0.17 above, ξ of more than a few tokens and far from the size of the tree.
 */
export const resolvedPlaces = (config: Config, noises: readonly number[], critical: number): number[] =>
  noises.flatMap((eps, i) => {
    const off = eps - critical
    const length = meanFieldLength(config, eps)
    return off > -0.2 && off < 0.17 && length > 3 && length < config.s ** config.L / 6 ? [i] : []
  })

/** Curves C(r)·r^a, one for each noise level. */
interface CollapseCurve extends Curve {
  readonly eps: number
}

/** Noise levels of the collapse, and the heights at which C is drawn for each. */
type CollapsePlaces = ReadonlyMap<number, readonly number[]>

/** From 0.14 below ε* to 0.17 above it (the paper's .60 to .90), where ξ is smaller than the tree and C larger than noise. */
export function collapsePlaces(
  rows: Rows,
  { s, L }: Pick<Config, 's' | 'L'>,
  critical: number,
): CollapsePlaces {
  const places = new Map<number, readonly number[]>()
  for (const { key, rows: own } of groupBy(rows, 'noise')) {
    const off = key.noise - critical
    if (off < -0.14 || off > 0.17 || lengthOf(own, s) > s ** L / 4) continue
    const relative = relativeOf(own, s)
    const heights = Array.from({ length: L - 1 }, (_, i) => i + 1).filter((h) => relative[h]! > 1e-4)
    if (heights.length >= 2) places.set(key.noise, heights)
  }
  return places
}

/** The curves at some places, which are chosen once: the error of what follows is not that of the choice. */
export function collapseCurves(
  rows: Rows,
  s: number,
  { decay, places }: { readonly decay: number; readonly places: CollapsePlaces },
): CollapseCurve[] {
  return groupBy(rows, 'noise').flatMap(({ key: { noise }, rows: own }) => {
    const heights = places.get(noise)
    if (!heights) return []
    const relative = relativeOf(own, s)
    const x = heights.map((height) => distanceAt(height, s))
    return [{ eps: noise, x, y: heights.map((height, i) => relative[height]! * x[i]! ** decay) }]
  })
}

/** Spread of ln y of the curves of both sides of ε*, each side on its own: against r, and against r·|ε − ε*|^ν. */
export function collapse(
  curves: readonly CollapseCurve[],
  critical: number,
  nu: number,
): { readonly before: number; readonly after: number } {
  const sides = [-1, 1]
    .map((sign) => curves.filter(({ eps }) => (eps - critical) * sign > 0))
    .filter((side) => side.length >= 3)
  const together = (unit: (eps: number) => number): number => {
    const squares = sides.map(
      (side) => logSpread(side.map(({ eps, x, y }) => ({ x: x.map((r) => r * unit(eps)), y }))) ** 2,
    )
    return Math.sqrt(squares.reduce((a, b) => a + b, 0) / squares.length)
  }
  return { before: together(() => 1), after: together((eps) => Math.abs(eps - critical) ** nu) }
}

/** Largest χ over the larger one at the ends; where no token changed at all there is no χ. */
export function interiorOf(rows: Rows): number {
  const { y } = alongNoise(rows, chiOf)
  const largest = (some: readonly number[]): number => Math.max(...some.filter(Number.isFinite))
  return largest(y) / largest([y[0]!, y.at(-1)!])
}

/** χ at the end over the largest χ: 1 when it rises to the end. */
export const endOf = ({ y }: Pick<Curve, 'y'>): number => y.at(-1)! / Math.max(...y.filter(Number.isFinite))

/** χ of a control in theory, at its size and at the times of the run; null where there is no closed form. */
export function controlTheory(
  config: Config,
  susceptibilityOf: ((d: number, alphaBar: number) => number) | null,
): Curve | null {
  if (!susceptibilityOf) return null
  const x = noisesOf(config, 'control')
  return { x, y: x.map((time) => susceptibilityOf(config.controls.d, alphaBarAt(time))) }
}

/** Rows of a control at the time at which its χ is largest. */
export function atLargest(rows: Rows): Rows {
  const { x, y } = alongNoise(rows, chiOf)
  const top = x[y.indexOf(Math.max(...y.filter(Number.isFinite)))]
  return rows.filter(({ noise }) => noise === top)
}

/** Exponent a of C ~ r^−a of a control at one time, over r = 1 … d/8; `all` are its distances. */
export function controlExponent(rows: Rows, all: readonly number[]): number {
  const sums = total(rows, 'distances')
  const last = all.length - 3
  return -slopeOf(
    all
      .slice(1, last)
      .flatMap((r, i) =>
        sums[i + 1]! > 0 ? [[Math.log(r), Math.log(sums[i + 1]! / sums[0]!)] as const] : [],
      ),
  ).value
}

/** C(r)/C(0) of a control at its distance number `i`. */
export const controlDecay = (rows: Rows, i: number): number => {
  const sums = total(rows, 'distances')
  return sums[i]! / sums[0]!
}

export const isControl =
  (name: ControlName) =>
  ({ control }: Rows[number]): boolean =>
    control === name

/** Place and height of the peak of mean-field χ at a depth, on a grid of 0.0005. */
export const fineNoises: readonly number[] = Array.from({ length: 1901 }, (_, i) => 0.04 + i * 0.0005)
export const meanFieldCurve = (config: Config, L: number, x: readonly number[]): Curve => ({
  x,
  y: x.map((eps) => meanFieldChi(shapeOf(config, L), eps)),
})
