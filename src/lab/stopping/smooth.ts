/** @file A logged curve made smooth: a parabola in ln(step) through the steps nearby, with the noise about it. (Cleveland 1979) */

/** A value at ln(step) = x. */
export interface Logged {
  readonly x: number
  readonly y: number
}

/** What the smooth curve is at one place. */
export interface SmoothPoint {
  readonly x: number
  readonly value: number
  /** Change of the value per unit of ln(step). */
  readonly slope: number
  /** The weight of each logged value in `value`: its noise is that of one value times their length. */
  readonly weights: Float64Array
}

/** The smooth curve. */
export interface Smooth {
  readonly logged: readonly Logged[]
  /** On a grid of 32 points in each doubling of the step, from the first logged step to the last. */
  readonly grid: readonly SmoothPoint[]
  at(x: number): SmoothPoint
  /** Standard deviation of one logged value about the curve, for steps within a factor 4 of `x`. */
  noiseAt(x: number): number
}

/** The parabola sees steps within this factor, and always as many as `fewest`. */
const nearby = Math.LN2
export const fewest = 5
/** Logged steps closer than this are averaged: logs of every step say no more than 16 in each doubling. */
const finest = Math.LN2 / 16
const perDoubling = 32
/** Most that the noise of the smooth curve may be of that of a logged value. */
const mostWeight = 1.5

/** Steps that are close together, as their mean. `logged` is sorted. */
function averaged(logged: readonly Logged[]): Logged[] {
  const bins: { x: number; y: number; n: number; from: number }[] = []
  for (const { x, y } of logged) {
    const last = bins.at(-1)
    if (last && x - last.from < finest) {
      last.x += x
      last.y += y
      last.n++
    } else bins.push({ x, y, n: 1, from: x })
  }
  return bins.map(({ x, y, n }) => ({ x: x / n, y: y / n }))
}

const median = (values: readonly number[]): number => {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/**
 * Without values that stand alone: farther from the median of their four neighbours than five times what is usual on the curve
 * (Hampel 1974), and more than twice as far as any neighbour. At most one in ten: what is more frequent is noise.
 */
function withoutOutliers(logged: readonly Logged[]): Logged[] {
  const far = logged.map(({ y }, i) => {
    const around = [i - 2, i - 1, i + 1, i + 2].flatMap((j) => logged[j]?.y ?? [])
    return around.length < 4 ? 0 : Math.abs(y - median(around))
  })
  const inner = far.slice(2, -2)
  if (inner.length === 0) return [...logged]
  const usual = 1.4826 * median(inner)
  const isAlone = far.map(
    (own, i) => own > 5 * usual && [i - 2, i - 1, i + 1, i + 2].every((j) => own > 2 * (far[j] ?? 0)),
  )
  const count = isAlone.filter(Boolean).length
  return count > logged.length / 10 ? [...logged] : logged.filter((_, i) => !isAlone[i])
}

/** How far the `fewest` nearest of sorted places reach. */
function reachOf(xs: Float64Array, x: number): number {
  let to = xs.findIndex((other) => other >= x)
  if (to < 0) to = xs.length
  let from = to
  while (to - from < fewest) {
    const below = from > 0 ? x - xs[from - 1]! : Number.POSITIVE_INFINITY
    const above = to < xs.length ? xs[to]! - x : Number.POSITIVE_INFINITY
    if (below < above) from--
    else to++
  }
  return Math.max(x - xs[from]!, xs[to - 1]! - x)
}

/** Weights of a parabola about x, nearer steps counting more: of its value and of its slope there. */
function parabola(xs: Float64Array, x: number): { value: Float64Array; slope: Float64Array } {
  const width = Math.max(nearby, 1.25 * reachOf(xs, x))
  const kernel = new Float64Array(xs.length)
  // moments of u = (x′ − x)/width, and the first two rows of the inverse of their matrix by cofactors
  let [m0, m1, m2, m3, m4] = [0, 0, 0, 0, 0]
  for (let i = 0; i < xs.length; i++) {
    const u = (xs[i]! - x) / width
    if (Math.abs(u) >= 1) continue
    const weight = (1 - Math.abs(u) ** 3) ** 3
    kernel[i] = weight
    m0 += weight
    m1 += weight * u
    m2 += weight * u * u
    m3 += weight * u ** 3
    m4 += weight * u ** 4
  }
  const first = [m2 * m4 - m3 * m3, m2 * m3 - m1 * m4, m1 * m3 - m2 * m2] as const
  const second = [first[1], m0 * m4 - m2 * m2, m1 * m2 - m0 * m3] as const
  const determinant = m0 * first[0] + m1 * first[1] + m2 * first[2]
  const row = (of: readonly [number, number, number], scale: number): Float64Array =>
    kernel.map((weight, i) => {
      const u = (xs[i]! - x) / width
      return (weight * (of[0] + of[1] * u + of[2] * u * u)) / (determinant * scale)
    })
  return { value: row(first, 1), slope: row(second, width) }
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!
  return sum
}

/** Standard error of the difference of a smooth curve between two places, for this noise of a logged value. */
export function errorBetween(a: SmoothPoint, b: SmoothPoint, noise: number): number {
  let sum = 0
  for (let i = 0; i < a.weights.length; i++) sum += (a.weights[i]! - b.weights[i]!) ** 2
  return noise * Math.sqrt(sum)
}

/** The smooth curve of logged values, sorted by x, each x once; undefined where fewer than five remain. */
export function smooth(values: readonly Logged[]): Smooth | undefined {
  const logged = averaged(withoutOutliers(values))
  if (logged.length < fewest) return undefined
  const xs = Float64Array.from(logged, ({ x }) => x)
  const ys = Float64Array.from(logged, ({ y }) => y)
  const at = (x: number): SmoothPoint => {
    const { value, slope } = parabola(xs, x)
    return { x, value: dot(value, ys), slope: dot(slope, ys), weights: value }
  }
  // the degrees of freedom that each residual has left (Fan and Gijbels 1996, section 4.2)
  const residuals = logged.map(({ x, y }, i) => {
    const { value, weights } = at(x)
    return { x, square: (y - value) ** 2, freedom: 1 - 2 * weights[i]! + dot(weights, weights) }
  })
  const first = xs[0]!
  // where a wide gap between logged steps would be bridged by guessing, there is no curve
  const isSeen = ({ weights }: SmoothPoint): boolean => Math.hypot(...weights) <= mostWeight
  const steps = Math.max(1, Math.ceil(((xs.at(-1)! - first) / Math.LN2) * perDoubling))
  const all = Array.from({ length: steps + 1 }, (_, i) => at(first + ((xs.at(-1)! - first) * i) / steps))
  const seen = all.filter(isSeen)
  const grid = seen.length > 0 ? seen : logged.map(({ x }) => at(x))
  return {
    ...{ logged, grid, at },
    noiseAt(x) {
      const near = residuals.filter((one) => Math.abs(one.x - x) <= 2 * Math.LN2)
      const used = near.length >= 2 * fewest ? near : residuals
      const freedom = used.reduce((sum, one) => sum + one.freedom, 0)
      return Math.sqrt(used.reduce((sum, one) => sum + one.square, 0) / freedom)
    },
  }
}
