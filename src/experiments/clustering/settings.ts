/** @file What the rows of clustering say of each setting: thresholds of each grammar, measured and from the rules; the climb. */
import {
  classificationThreshold,
  clusteringThreshold,
  levelThreshold,
  tupleCorrelationNoise,
} from '../../grammar/index.ts'
import {
  crossing,
  type Drawn,
  type Estimate,
  geometricMean,
  groupBy,
  type Measured,
  mean,
  powerOf,
  slopeOf,
  spreadOf,
} from '../../lab/index.ts'

/** A shape of grammars and what is done with them. */
export interface Cell {
  /** Tuples against a leaf or the class; where there is nothing to find; learned from the leaves up; from the rules alone. */
  readonly part: 'leaf' | 'class' | 'control' | 'climb' | 'exact'
  readonly context: 'leaf' | 'class' | 'shuffled' | 'tokens' | 'latents'
  readonly rules: 'random' | 'uncorrelated'
  readonly v: number
  readonly classes: number
  readonly m: number
  readonly s: number
  /** Height of the common ancestor of tuple and leaf, where that is the context. */
  readonly L: number
}
/** What k-means and the context vectors show at P strings. */
export interface Clustered {
  readonly P: number
  readonly adjustedRand: number
  readonly recall: number
  readonly precision: number
  /** Squared distance between tuples of different parents over that of synonyms, minus 1; null where there are none. */
  readonly contrast: number | null
  /** The same from the rules of the grammar. */
  readonly expected: number
}
/** Score of the symbols found at a height, on strings not learned from. */
export interface Climbed {
  readonly P: number
  readonly height: number
  readonly score: number
}
/** Mean square covariance of a leaf with the tuples one height below their common ancestor at `height`. */
export interface Exact {
  readonly height: number
  readonly square: number
}
export type ClusteredRow = Measured<Cell, Clustered>
export type ClimbedRow = Measured<Cell, Climbed>
export type ExactRow = Measured<Cell, Exact>

export const cellColumns = ['part', 'context', 'rules', 'v', 'classes', 'm', 's', 'L'] as const
type Sizes = Pick<Cell, 'v' | 'classes' | 'm' | 's' | 'L'>

/** `v = 16, m = 4, s = 2, ℓ = 3`. */
export const settingName = ({ v, m, s, L }: Sizes): string => `v = ${v}, m = ${m}, s = ${s}, ℓ = ${L}`

/** v m^{ℓ+1}/(1 − f). */
export const leafFormula = (sizes: Sizes, height = sizes.L): number =>
  levelThreshold(sizes, 'diffusion', height)
/** √n_c m^L, where clustering succeeds up to a factor; n_c m^L, where signal equals noise. */
export const classFormula: Readonly<Record<Kind, (sizes: Sizes) => number>> = {
  clustered: clusteringThreshold,
  contrast: classificationThreshold,
  expected: classificationThreshold,
}

/** Strings at which k-means succeeds; at which signal equals noise; at which it does by the rules. */
export type Kind = 'clustered' | 'contrast' | 'expected'

/** One grammar of a setting: strings P at which each threshold is passed for good, NaN where it is not. */
export interface Answer extends Cell, Drawn, Readonly<Record<Kind, number>> {
  readonly finalScore: number
}

/** Answers of every grammar of every setting. The rules are asked at the same P, so that the same is read off both curves. */
export const answersOf = (rows: readonly ClusteredRow[]): Answer[] =>
  groupBy(rows, 'seed', 'replica', ...cellColumns).map(({ key, rows: own }) => {
    const passes = (level: number, y: (row: ClusteredRow) => number | null): number =>
      crossing(
        own.flatMap((row) => (y(row) === null ? [] : [{ x: row.P, y: y(row)! }])),
        level,
      ) ?? Number.NaN
    return {
      ...key,
      clustered: passes(0.5, ({ adjustedRand }) => adjustedRand),
      contrast: passes(1, ({ contrast }) => contrast),
      expected: passes(1, ({ expected }) => expected),
      finalScore: own.at(-1)!.adjustedRand,
    }
  })

/** Answers of the settings in which every grammar passes all of `kinds`. */
export const reaching = (answers: readonly Answer[], ...kinds: Kind[]): Answer[] =>
  groupBy(answers, ...cellColumns)
    .filter(({ rows }) => rows.every((answer) => kinds.every((kind) => Number.isFinite(answer[kind]))))
    .flatMap(({ rows }) => rows)

/** Geometric mean over grammars; NaN unless every one passes. */
export const overGrammars = (answers: readonly Answer[], kind: Kind): Estimate =>
  geometricMean(answers.map((answer) => answer[kind]))

/** [formula, geometric mean over grammars] of each setting. */
const pairsOf = (
  answers: readonly Answer[],
  kind: Kind,
  formula: (sizes: Sizes) => number,
): [formula: number, measured: number][] =>
  groupBy(answers, ...cellColumns).map(({ key, rows }) => [formula(key), overGrammars(rows, kind).value])

/** A statistic of answers. */
type Statistic = (answers: readonly Answer[]) => number

export const power =
  (kind: Kind, formula: (sizes: Sizes) => number): Statistic =>
  (answers) => {
    const pairs = pairsOf(answers, kind, formula)
    return pairs.length < 3 ? Number.NaN : powerOf(pairs).value
  }

/** Measured over formula, geometric mean over settings. */
export const factor =
  (kind: Kind, formula: (sizes: Sizes) => number): Statistic =>
  (answers) =>
    geometricMean(pairsOf(answers, kind, formula).map(([by, measured]) => measured / by)).value

/** `contrast` over `expected`, geometric mean over settings. */
export const overRules: Statistic = (answers) =>
  factor('contrast', () => 1)(answers) / factor('expected', () => 1)(answers)

/** Standard deviation of ln P over settings, in units of a formula. */
export const spread =
  (kind: Kind, formula: (sizes: Sizes) => number): Statistic =>
  (answers) =>
    spreadOf(pairsOf(answers, kind, formula).map(([by, measured]) => Math.log(measured / by)))

/** The same of k-means, in units of the strings at which signal equals noise by the rules of the same grammars. */
export const spreadByRules: Statistic = (answers) => {
  const rules = pairsOf(answers, 'expected', () => 1)
  return spreadOf(
    pairsOf(answers, 'clustered', () => 1).map(([, measured], i) => Math.log(measured / rules[i]![1])),
  )
}

/** Strings at which the noise of the covariance, (v² m P)^{−1/2}, equals its root mean square over symbols, places and grammars. */
export const exactThreshold = (rows: readonly ExactRow[]): number =>
  tupleCorrelationNoise(rows[0]!, 1) ** 2 / mean(rows.map(({ square }) => square))

/** The same over v m^(ℓ+1)/(1 − f), geometric mean over shapes and heights. */
export const exactFactor = (rows: readonly ExactRow[]): number =>
  geometricMean(
    groupBy(rows, ...cellColumns, 'height').map(
      ({ key, rows: own }) => exactThreshold(own) / leafFormula(key, key.height),
    ),
  ).value

/** Strings at which the score of a height passes 1/2; NaN where it does not. */
const climbThreshold = (rows: readonly ClimbedRow[]): number =>
  crossing(
    rows.map(({ P, score }) => ({ x: P, y: score })),
    0.5,
  ) ?? Number.NaN

/** The same over grammars, and examples: strings times the common ancestors in each, s^{L−1−height}. */
export function climbed(rows: readonly ClimbedRow[]): {
  readonly strings: Estimate
  readonly examples: Estimate
} {
  const strings = geometricMean(groupBy(rows, 'seed', 'replica').map(({ rows: own }) => climbThreshold(own)))
  const { s, L, height } = rows[0]!
  const nodes = s ** (L - 1 - height)
  const error = strings.error === null ? null : strings.error * nodes
  return { strings, examples: { ...strings, value: strings.value * nodes, error } }
}

/** Factor of the examples of one grammar from one height to the next; NaN unless the first and the top are reached. */
export function climbFactor(rows: readonly ClimbedRow[]): number {
  const { s, L } = rows[0]!
  const at = (height: number): number => climbThreshold(rows.filter((row) => row.height === height))
  return (at(L - 1) / (at(1) * s ** (L - 2))) ** (1 / (L - 2))
}

/**
 * Slope of ln P* against the number of levels L of one grammar, by least squares over its heights; NaN unless all are reached. P* are
 * the strings at which the symbols below the root of a grammar of L levels are found: what stands below a common ancestor of height
 * L is such a grammar, and every ancestor is a string of it.
 */
export function climbSlope(rows: readonly ClimbedRow[]): number {
  const { s, L } = rows[0]!
  return slopeOf(
    groupBy(rows, 'height').map(
      ({ key: { height }, rows: own }) =>
        [height + 1, Math.log(climbThreshold(own) * s ** (L - 1 - height))] as const,
    ),
  ).value
}
