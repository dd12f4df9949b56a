/** @file From the counted covariances of several grammars to signals, noise, thresholds and the visible context. */
import { crossing, type Estimate, geometricMean, meanOf, powerOf, rootMean } from '../../lab/index.ts'
import type { CorrelationJob, Look, MeanSquares } from './measure.ts'

/** Height of the lowest common ancestor of the last token and the one `distance` before it. */
export function heightOf(distance: number, s: number): number {
  let height = 1
  while (s ** height <= distance) height++
  return height
}

/** A mean square covariance at one number of data: within data, and between data (noise). */
export interface Square {
  readonly P: number
  readonly within: number
  readonly between: number
}

/** One grammar at one LCA height. */
export interface Curve {
  readonly height: number
  readonly squares: readonly Square[]
  /** Mean square without noise, from the most data: within − between. Near or below 0 where nothing is seen. */
  readonly signal: number
  /** The same from the rules alone, by transfer matrices. */
  readonly exact: number
  /** Data at which the mean square is twice the noise; null when not reached. */
  readonly threshold: number | null
}

/** One grammar: token–token heights 1 … L, tuple–token heights 2 … L, and token–token signals at every distance. */
export interface GrammarCurves {
  readonly tokens: readonly Curve[]
  readonly tuples: readonly Curve[]
  /** Of distances 1 … d − 1: mean square without noise, and exact. */
  readonly distances: readonly { readonly t: number; readonly signal: number; readonly exact: number }[]
}

/** Mean squares that follow from the rules: per distance 1 … d − 1, and per tuple, nearest first. */
export interface Exact {
  readonly tokens: readonly number[]
  readonly tuples: readonly number[]
}

/** Join places of equal height. `heights` gives each place's. */
function curves(
  looks: readonly { P: number; squares: MeanSquares }[],
  exact: readonly number[],
  heights: readonly number[],
): Curve[] {
  return [...new Set(heights)].map((height) => {
    const mean = (values: readonly number[]) =>
      meanOf(values.filter((_, place) => heights[place] === height)).value
    const squares = looks.map(({ P, squares: { within, between } }) => ({
      P,
      within: mean(within),
      between: mean(between),
    }))
    const last = squares.at(-1)!
    return {
      height,
      squares,
      signal: last.within - last.between,
      exact: mean(exact),
      threshold: crossing(
        squares.map(({ P, within, between }) => ({ x: P, y: within / between })),
        2,
      ),
    }
  })
}

/** One grammar's looks by LCA height. */
export function grammarCurves(
  { shape: { s } }: CorrelationJob,
  looks: readonly Look[],
  exact: Exact,
): GrammarCurves {
  const last = looks.at(-1)!
  const distances = exact.tokens.map((_, i) => i + 1)
  return {
    tokens: curves(
      looks.map(({ P, tokens }) => ({ P, squares: tokens })),
      exact.tokens,
      distances.map((t) => heightOf(t, s)),
    ),
    tuples: curves(
      looks.map(({ P, tuples }) => ({ P, squares: tuples })),
      exact.tuples,
      exact.tuples.map((_, block) => heightOf(block + 1, s) + 1),
    ),
    distances: distances.map((t) => ({
      t,
      signal: last.tokens.within[t - 1]! - last.tokens.between[t - 1]!,
      exact: exact.tokens[t - 1]!,
    })),
  }
}

/** A height over several grammars. */
export interface HeightSummary {
  readonly height: number
  /** rms covariance over grammars, noise taken off at the most data. */
  readonly covariance: Estimate
  readonly exact: Estimate
  /** Measured over exact, grammar by grammar; of the squares. */
  readonly ratio: Estimate
  /** Geometric mean of the data at which the signal equals the noise, over the grammars that reach it. */
  readonly threshold: Estimate | null
  /** The same from the exact covariances, over the same grammars. */
  readonly exactThreshold: Estimate | null
  readonly reached: number
}

/** Noise (mean square)·P, from the most data: what 1/P multiplies. */
export const noiseAmplitude = ({ squares }: Curve): number => squares.at(-1)!.between * squares.at(-1)!.P

/** Summaries of each height; `grammars` are those of one shape. */
export function summarizeHeights(grammars: readonly (readonly Curve[])[]): HeightSummary[] {
  return grammars[0]!.map(({ height }, place) => {
    const all = grammars.map((curvesOfOne) => curvesOfOne[place]!)
    const reached = all.filter(({ threshold }) => threshold !== null)
    return {
      height,
      covariance: rootMean(all.map(({ signal }) => signal)),
      exact: rootMean(all.map(({ exact }) => exact)),
      ratio: meanOf(all.map(({ signal, exact }) => signal / exact)),
      threshold: reached.length ? geometricMean(reached.map(({ threshold }) => threshold!)) : null,
      exactThreshold: reached.length
        ? geometricMean(reached.map((curve) => noiseAmplitude(curve) / curve.exact))
        : null,
      reached: reached.length,
    }
  })
}

/** Power with which rms covariance falls with distance s^ℓ, one per grammar, over the heights given. */
export const decayOf = (curvesOfOne: readonly Curve[], s: number, heights: readonly number[]): number =>
  -powerOf(
    curvesOfOne
      .filter(({ height, signal }) => heights.includes(height) && signal > 0)
      .map(({ height, signal }) => [s ** height, Math.sqrt(signal)] as const),
  ).value

/** Length of the window before and with the last token in which tokens stand out from the noise of P data: s^ℓ, 1 when none. */
export function visibleWindow(curvesOfOne: readonly Curve[], s: number, P: number): number {
  const seen = curvesOfOne.filter(({ threshold }) => threshold !== null && threshold <= P)
  return s ** Math.max(0, ...seen.map(({ height }) => height))
}
