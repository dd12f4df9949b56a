/** @file From scores at growing numbers of data to thresholds, collapse and growth from height to height. */
import { classificationThreshold, clusteringThreshold, levelThreshold } from '../../grammar/index.ts'
import { crossing, type Estimate, geometricMean, meanOf, spreadOf } from '../../lab/index.ts'
import type { ClassSetting, ClusteringResult, Measured, Setting } from '../clustering.ts'
import type { ThresholdAnswer } from './job.ts'

/** v m^{ℓ+1}/(1 − f). */
export const leafFormula = ({ v, m, s, height }: Setting): number =>
  levelThreshold({ v, classes: v, m, s, L: height }, 'diffusion', height)

/** √n_c m^L, where clustering succeeds up to a factor. */
export const classClusterFormula = (setting: ClassSetting): number => clusteringThreshold(setting)

/** n_c m^L, where signal equals noise. */
export const classSignalFormula = (setting: ClassSetting): number => classificationThreshold(setting)

/** Data at which the adjusted Rand index passes 1/2 for good; null when it does not. */
export const clusterThreshold = ({ looks }: ThresholdAnswer): number | null =>
  crossing(
    looks.map(({ P, adjustedRand }) => ({ x: P, y: adjustedRand })),
    0.5,
  )

/** Data at which the squared distance of context vectors that comes from the parents equals that from noise. */
export const contrastThreshold = ({ looks }: ThresholdAnswer): number | null =>
  crossing(
    looks.flatMap(({ P, contrast }) => (contrast === null ? [] : [{ x: P, y: contrast }])),
    1,
  )

/** Geometric mean over grammars; null unless every grammar reaches it. */
export function overGrammars(
  grammars: readonly ThresholdAnswer[],
  threshold: (answer: ThresholdAnswer) => number | null,
): Estimate | null {
  const found = grammars.map(threshold).filter((P): P is number => P !== null)
  return found.length === grammars.length ? geometricMean(found) : null
}

/** A setting's thresholds. */
export interface Row<Of> {
  readonly setting: Of
  readonly clustered: Estimate | null
  readonly contrast: Estimate | null
  /** Geometric mean of what follows from the rules of the same grammars for `contrast`. */
  readonly sameExact: Estimate | null
}

/** Thresholds of every setting. */
export const rowsOf = <Of>(measured: readonly Measured<Of>[]): Row<Of>[] =>
  measured.map(({ setting, grammars }) => ({
    setting,
    clustered: overGrammars(grammars, clusterThreshold),
    contrast: overGrammars(grammars, contrastThreshold),
    sameExact: overGrammars(grammars, ({ exact }) => exact),
  }))

/** [formula, measured] of the settings where there is something measured. */
export const pairsOf = <Of>(
  rows: readonly Row<Of>[],
  formula: (setting: Of) => number,
  kind: 'clustered' | 'contrast',
): (readonly [formula: number, measured: number])[] =>
  rows.flatMap((row) => {
    const measured = row[kind]
    return measured === null ? [] : [[formula(row.setting), measured.value] as const]
  })

/** Exact thresholds beside the formula, one row for each shape and height. */
export const exactRows = (exact: ClusteringResult['exact']) =>
  exact.flatMap(({ shape, thresholds }) =>
    thresholds.map((threshold, below) => {
      const height = below + 2
      return { shape, height, threshold, formula: leafFormula({ ...shape, height }) }
    }),
  )

/** Standard deviation of ln P over settings, as measured and in units of the formula. */
export const collapse = (
  pairs: readonly (readonly [number, number])[],
): { before: number; after: number } => ({
  before: spreadOf(pairs.map(([, measured]) => Math.log(measured))),
  after: spreadOf(pairs.map(([formula, measured]) => Math.log(measured / formula))),
})

/** Mean score at each number of data; a grammar that was found keeps its last score. */
export function meanCurve(grammars: readonly ThresholdAnswer[]): { P: number; score: Estimate }[] {
  const longest = grammars.map(({ looks }) => looks).reduce((a, b) => (b.length > a.length ? b : a))
  return longest.map(({ P }, i) => ({
    P,
    score: meanOf(grammars.map(({ looks }) => (looks[i] ?? looks.at(-1)!).adjustedRand)),
  }))
}

/** The score with the most data. */
export const finalScore = (grammars: readonly ThresholdAnswer[]): Estimate =>
  meanOf(grammars.map(({ looks }) => looks.at(-1)!.adjustedRand))

/** How one kind of context climbs: data, and examples (nodes of that height + 1) per height, and their growth. */
export interface ClimbSummary {
  readonly context: 'tokens' | 'latents'
  /** Heights 1 … L − 1: data at which the score passes 1/2; null unless every grammar reaches it. */
  readonly data: readonly (Estimate | null)[]
  /** The same times the nodes of the ancestor's height in a datum, s^{L−1−h}. */
  readonly examples: readonly (number | null)[]
  /** Factor of the examples from one height to the next, geometric mean; null unless the top is reached. */
  readonly growth: Estimate | null
}

/** Thresholds of the climb. */
export function climbSummary(
  climbs: ClusteringResult['climbs'],
  context: 'tokens' | 'latents',
  { s, L }: { s: number; L: number },
): ClimbSummary {
  const own = climbs.filter((one) => one.context === context)
  const reached = own[0]!.scores.map((_, grammar) =>
    Array.from({ length: L - 1 }, (_, below) =>
      crossing(
        own.map(({ P, scores }) => ({ x: P, y: scores[grammar]![below]! })),
        0.5,
      ),
    ),
  )
  const data = Array.from({ length: L - 1 }, (_, below) => {
    const found = reached.map((heights) => heights[below]!).filter((P) => P !== null)
    return found.length === reached.length ? geometricMean(found) : null
  })
  const nodes = (below: number): number => s ** (L - 2 - below)
  const factors = reached.flatMap((heights) => {
    const [first, last] = [heights[0], heights[L - 2]]
    return first == null || last == null ? [] : [(last / (first * nodes(0))) ** (1 / (L - 2))]
  })
  return {
    context,
    data,
    examples: data.map((found, below) => (found ? found.value * nodes(below) : null)),
    growth: factors.length === reached.length ? geometricMean(factors) : null,
  }
}
