/** @file Collapse: curves C(r)·r^a of many noise levels fall on one when distances are measured in ξ = |ε − ε*|^−ν. */

/** One curve: distances r and C(r)·r^a. */
export interface CollapseCurve {
  readonly eps: number
  readonly r: readonly number[]
  readonly y: readonly number[]
}

const interpolate = (points: readonly (readonly [number, number])[], x: number): number | null => {
  const after = points.findIndex(([px]) => px >= x)
  if (after === 0 && points[0]![0] === x) return points[0]![1]
  if (after <= 0) return null
  const [[x0, y0], [x1, y1]] = [points[after - 1]!, points[after]!]
  return y0 + ((x - x0) / (x1 - x0)) * (y1 - y0)
}

/**
 * How far apart curves are: the standard deviation of ln y over the curves at a common abscissa, root mean square over
 * abscissas at which at least three have a value. `abscissa` gives each curve its unit of length.
 */
export function spreadOf(curves: readonly CollapseCurve[], unit: (curve: CollapseCurve) => number): number {
  const lines = curves.map((curve) =>
    curve.r.map((r, i) => [Math.log(r / unit(curve)), Math.log(curve.y[i]!)] as const),
  )
  const ends = lines.flatMap((line) => [line[0]![0], line.at(-1)![0]])
  const [low, high] = [Math.min(...ends), Math.max(...ends)]
  let [sum, count] = [0, 0]
  const steps = 60
  for (let step = 0; step <= steps; step++) {
    const x = low + ((high - low) * step) / steps
    const found = lines.map((line) => interpolate(line, x)).filter((y): y is number => y !== null)
    if (found.length < 3) continue
    const mean = found.reduce((a, b) => a + b, 0) / found.length
    sum += found.reduce((total, y) => total + (y - mean) ** 2, 0) / (found.length - 1)
    count++
  }
  return Math.sqrt(sum / count)
}

/** Spread of the curves of both sides of ε*, each side on its own: against r, and against r·|ε − ε*|^ν. */
export function collapse(
  curves: readonly CollapseCurve[],
  epsStar: number,
  nu: number,
): { before: number; after: number } {
  const sides = [-1, 1].map((sign) => curves.filter(({ eps }) => (eps - epsStar) * sign > 0))
  const together = (unit: (curve: CollapseCurve) => number): number => {
    const squares = sides.filter((side) => side.length >= 3).map((side) => spreadOf(side, unit) ** 2)
    return Math.sqrt(squares.reduce((a, b) => a + b, 0) / squares.length)
  }
  return {
    before: together(() => 1),
    after: together(({ eps }) => Math.abs(eps - epsStar) ** -nu),
  }
}
