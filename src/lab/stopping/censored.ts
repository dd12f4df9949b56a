/** @file Least squares with known errors, where of some values only a lower bound is known: maximum likelihood. (Tobin 1958) */

/** A value, or a bound that it lies above, with its standard error. */
export interface Observation {
  readonly x: number
  readonly y: number
  readonly error: number
  /** `y` is only a lower bound. */
  readonly isBound: boolean
}

/** A line and, where it was asked for, the parabola added to it: `bend` times a square that is orthogonal to lines. */
export interface Line {
  readonly centre: number
  readonly intercept: number
  readonly slope: number
  readonly bend: number
  readonly varIntercept: number
  readonly varSlope: number
  readonly varBend: number
  /** The line through the squares (x − centre)²: its value at the centre, and its slope. */
  readonly squares: readonly [intercept: number, slope: number]
}

/** What is fitted: a constant, a line or a parabola. */
type Degree = 0 | 1 | 2

/** The logarithm of erfc(x)·exp(x²)/t for x ≥ 0, within 1.2e-7. (Press et al., Numerical Recipes, 2nd edition 1992, section 6.2) */
const erfcPolynomial = [
  -1.26551223, 1.00002368, 0.37409196, 0.09678418, -0.18628806, 0.27886807, -1.13520398, 1.48851587,
  -0.82215223, 0.17087277,
]

/** The hazard of the normal distribution: density over the probability of lying above z. */
export function hazard(z: number): number {
  // the polynomial's error would be that of the difference from z (Abramowitz & Stegun 26.2.12)
  if (z > 20) return z + 1 / z - 2 / z ** 3
  const size = Math.abs(z) / Math.SQRT2
  const t = 1 / (1 + size / 2)
  // density and tail share the factor exp(−z²/2), which is left out of both
  const tail = (t / 2) * Math.exp(erfcPolynomial.reduceRight((sum, value) => sum * t + value, 0))
  const density = 1 / Math.sqrt(2 * Math.PI)
  if (z >= 0) return density / tail
  const factor = Math.exp((-z * z) / 2)
  return (density * factor) / (1 - tail * factor)
}

/** The logarithm of the probability that a normal variable lies above z. */
export const logTail = (z: number): number =>
  // farther below the density is 0 in floats, and the probability is 1
  z < -30 ? 0 : (-z * z) / 2 - Math.log(Math.sqrt(2 * Math.PI) * hazard(z))

/** What an observation counts for at the present line: its weight, and the value that it stands for. */
export function standsFor(
  { y, error, isBound }: Observation,
  mean: number,
): { weight: number; value: number } {
  if (!isBound) return { weight: 1 / error ** 2, value: y }
  const z = (y - mean) / error
  const rate = hazard(z)
  // a bound far below the line says nothing
  const weight = Math.max(1e-12, rate * (rate - z)) / error ** 2
  return { weight, value: mean + rate / error / weight }
}

/** Newton's steps end here: the likelihood is concave, far fewer suffice. */
export const mostSteps = 100

/** The part of (x − centre)² that no line explains. */
const squareAt = (
  { centre, squares: [intercept, slope] }: Pick<Line, 'centre' | 'squares'>,
  x: number,
): number => (x - centre) ** 2 - intercept - slope * (x - centre)

/** Weighted least squares of values and of what bounds stand for. */
function solve(points: readonly { x: number; weight: number; value: number }[], degree: Degree): Line {
  const total = points.reduce((sum, { weight }) => sum + weight, 0)
  const mean = (of: (point: (typeof points)[number]) => number): number =>
    points.reduce((sum, point) => sum + point.weight * of(point), 0) / total
  const centre = mean(({ x }) => x)
  const intercept = mean(({ value }) => value)
  const none = { slope: 0, varSlope: 0, bend: 0, varBend: 0, squares: [0, 0] } as const
  const constant = { ...none, centre, intercept, varIntercept: 1 / total }
  if (degree === 0) return constant
  const square = mean(({ x }) => (x - centre) ** 2)
  const spread = total * square
  const slope = (total * mean(({ x, value }) => (x - centre) * (value - intercept))) / spread
  const line = { ...constant, slope, varSlope: 1 / spread }
  if (degree === 1) return line
  const curved = { ...line, squares: [square, mean(({ x }) => (x - centre) ** 3) / square] as const }
  const rest = total * mean(({ x }) => squareAt(curved, x) ** 2)
  const bend = (total * mean(({ x, value }) => squareAt(curved, x) * (value - intercept))) / rest
  return { ...curved, bend, varBend: 1 / rest }
}

/** The most likely line (`degree` 1), constant (0) or parabola (2, for three places of values at least). */
export function fitLine(observations: readonly Observation[], degree: Degree = 1): Line {
  const known = observations.filter(({ isBound }) => !isBound)
  let line = solve(
    known.map(({ x, y, error }) => ({ x, weight: 1 / error ** 2, value: y })),
    degree,
  )
  if (known.length === observations.length) return line
  for (let step = 0; step < mostSteps; step++) {
    const before = line
    const points = observations.map((one) => ({ x: one.x, ...standsFor(one, lineAt(before, one.x)) }))
    line = solve(points, degree)
    const moved = Math.max(...observations.map(({ x }) => Math.abs(lineAt(line, x) - lineAt(before, x))))
    if (moved < 1e-10) break
  }
  return line
}

/** The line at x. */
export const lineAt = (line: Line, x: number): number =>
  line.intercept + line.slope * (x - line.centre) + line.bend * squareAt(line, x)
