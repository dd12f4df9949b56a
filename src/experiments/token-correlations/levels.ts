/** @file What the rows of token correlations say of each height of each grammar: signal, noise, threshold, measured and exact. */
import { levelThreshold, type Shape, typicalTokenCorrelation } from '../../grammar/index.ts'
import {
  crossing,
  type Drawn,
  type Estimate,
  geometricMean,
  groupBy,
  type Measured,
  mean,
  powerOf,
  where,
} from '../../lab/index.ts'

/** Symbols, rules of each, branching, levels. */
export interface Sizes {
  readonly v: number
  readonly m: number
  readonly s: number
  readonly L: number
}

/** Grammars of one shape; those beside the control are no part of the other claims. */
export interface Cell extends Sizes {
  readonly group: 'shapes' | 'control'
  readonly rules: 'random' | 'uncorrelated'
}

/** Mean squares of all places whose lowest common ancestor with the last token is at `height`, counted from P strings. */
export interface Counted {
  readonly part: 'tokens' | 'tuples'
  readonly height: number
  readonly P: number
  readonly within: number
  readonly between: number
  /** From the rules: the mean square, and P times its noise. */
  readonly exact: number
  readonly noise: number
}
/** The token t before the last one: mean square with the most data, noise taken off, and from the rules. */
export interface Distance {
  readonly part: 'distance'
  readonly t: number
  readonly signal: number
  readonly exact: number
}
/** Nats of the last token given the s^height − 1 before it: entropy from the rules, cross-entropy of inference on strings. */
export interface Loss {
  readonly part: 'plateau'
  readonly height: number
  readonly exact: number
  readonly loss: number
}
export type CountedRow = Measured<Cell, Counted>

export const fullShape = ({ v, m, s, L }: Sizes): Shape => ({ v, classes: v, m, s, L })
export const shapeName = ({ v, m, s }: Sizes): string => `v = ${v}, m = ${m}, s = ${s}`
export const thresholdFormula = (sizes: Sizes, height: number): number =>
  levelThreshold(fullShape(sizes), 'transformer', height)
export const covarianceFormula = (sizes: Sizes, height: number): number =>
  typicalTokenCorrelation(fullShape(sizes), height)

/** One height of one grammar over all numbers of data. */
export interface Level extends Cell, Drawn {
  readonly part: Counted['part']
  readonly height: number
  /** Mean square without noise, from the most data; near or below 0 where nothing is seen. */
  readonly signal: number
  readonly exact: number
  /** P times the mean square between strings, from the most data. */
  readonly noise: number
  /** Strings at which the mean square is twice the noise; NaN where it does not get there. */
  readonly threshold: number
  /** The same from the rules: noise over signal. */
  readonly exactThreshold: number
  /** Mean square over noise, minus 1, with the most data. */
  readonly excess: number
}

export const cellColumns = ['group', 'rules', 'v', 'm', 's', 'L'] as const

export const levelsOf = (rows: readonly CountedRow[]): Level[] =>
  groupBy(rows, 'seed', 'replica', ...cellColumns, 'part', 'height').map(({ key, rows: own }) => {
    const { P, within, between, exact, noise } = own.at(-1)!
    const curve = own.map((row) => ({ x: row.P, y: row.within / row.between }))
    return {
      ...{ ...key, signal: within - between, exact, noise: between * P },
      threshold: crossing(curve, 2) ?? Number.NaN,
      ...{ exactThreshold: noise / exact, excess: within / between - 1 },
    }
  })

/** Levels of tokens whose signal has left the noise in every grammar: only there is a signal more than a guess. */
export const clearOf = (levels: readonly Level[]): Level[] =>
  groupBy(where(levels, { part: 'tokens' }), ...cellColumns, 'height')
    .filter(({ rows }) => rows.every(({ threshold }) => Number.isFinite(threshold)))
    .flatMap(({ rows }) => rows)

/** Measured, or from the rules. */
export type Kind = 'threshold' | 'exactThreshold'

/** Geometric mean over grammars of the strings at which a level is seen, of those in which it is. */
export const geometric = (rows: readonly Level[], kind: Kind): Estimate =>
  geometricMean(rows.map((level) => level[kind]).filter(Number.isFinite))

/** [formula, geometric mean over grammars] of each shape and height. */
export const pairsOf = (levels: readonly Level[], kind: Kind): [formula: number, measured: number][] =>
  groupBy(levels, ...cellColumns, 'height').map(({ key, rows }) => [
    thresholdFormula(key, key.height),
    geometric(rows, kind).value,
  ])

export const powerOfThresholds = (kind: Kind) => (levels: readonly Level[]) =>
  powerOf(pairsOf(levels, kind)).value
export const factorOfThresholds = (kind: Kind) => (levels: readonly Level[]) =>
  geometricMean(pairsOf(levels, kind).map(([formula, measured]) => measured / formula)).value

/** Token over tuple, at equal height, of the rms signal or noise, each over √m; of the grammars in which both are seen. */
export const tupleFactor = (kind: 'signal' | 'noise') => (levels: readonly Level[]) =>
  geometricMean(
    groupBy(levels, 'seed', 'replica', ...cellColumns, 'height').flatMap(({ key, rows }) => {
      const [token] = where(rows, { part: 'tokens' })
      const [tuple] = where(rows, { part: 'tuples' })
      if (!token || !tuple || Number.isNaN(token.threshold + tuple.threshold)) return []
      return [Math.sqrt(token[kind] / tuple[kind] / key.m)]
    }),
  ).value

/** A statistic of each shape's rows, averaged over shapes. */
const overShapes = <R extends Cell>(
  rows: readonly R[],
  statistic: (rows: R[], sizes: Cell) => number,
): number => mean(groupBy(rows, ...cellColumns).map(({ key, rows: own }) => statistic(own, key)))

export const noiseFactor = (levels: readonly Level[]): number =>
  overShapes(levels, (own, { v }) => Math.sqrt(mean(own.map(({ noise }) => noise))) * (v / (1 - 1 / v)))

export const excessOf = (levels: readonly Level[]): number =>
  mean(levels.filter(({ part, height }) => part === 'tokens' && height > 1).map(({ excess }) => excess))
