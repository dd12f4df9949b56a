/** @file What the clusterings say, and which claims they bear out. */
import { count } from '../../base/index.ts'
import {
  type Conclusion,
  type Estimate,
  geometricMean,
  powerOf,
  type RunView,
  shown,
  type Verdict,
} from '../../lab/index.ts'
import type { ClusteringConfig, ClusteringResult, Setting } from '../clustering.ts'
import {
  type ClimbSummary,
  classClusterFormula,
  classSignalFormula,
  climbSummary,
  collapse,
  exactRows,
  finalScore,
  leafFormula,
  pairsOf,
  type Row,
  rowsOf,
} from './analyse.ts'

export type View = RunView<ClusteringConfig, ClusteringResult>

/** `v = 16, m = 4, s = 2, ℓ = 3`. */
export const settingName = ({ v, m, s, height }: Setting): string =>
  `v = ${v}, m = ${m}, s = ${s}, ℓ = ${height}`

const none: Estimate = { value: Number.NaN, error: null }

/** A verdict; what could not be measured is null and does not pass. */
function verdict(
  claim: string,
  measured: Estimate | null,
  predicted: number | null,
  passes: (value: number, error: number) => boolean,
  control = false,
): Verdict {
  const { value, error } = measured ?? none
  if (!Number.isFinite(value)) return { claim, measured: null, error: null, predicted, pass: false, control }
  return { claim, measured: value, error, predicted, pass: passes(value, error ?? 0), control }
}

const within = (target: number, tolerance: number) => (value: number, error: number) =>
  Math.abs(value - target) <= Math.max(tolerance, 3 * error)
const factorWithin = (target: number, factor: number) => (value: number) =>
  value <= target * factor && value >= target / factor

/** Slope in logarithms, or null where there are too few points for one. */
const slopeOrNone = (pairs: readonly (readonly [number, number])[]): Estimate | null =>
  pairs.length < 3 ? null : powerOf(pairs)

/** Measured over exact, for every setting that has both. */
const overRules = <Of>(rows: readonly Row<Of>[]): number[] =>
  rows.flatMap(({ contrast, sameExact }) => (contrast && sameExact ? [contrast.value / sameExact.value] : []))

function leafVerdicts({ leaf, exact }: ClusteringResult): Verdict[] {
  const rows = rowsOf(leaf)
  const clustered = pairsOf(rows, leafFormula, 'clustered')
  const contrast = pairsOf(rows, leafFormula, 'contrast')
  const ratio = (pairs: readonly (readonly [number, number])[]) =>
    pairs.length === 0 ? null : geometricMean(pairs.map(([formula, measured]) => measured / formula))
  const same = overRules(rows)
  const deep = exactRows(exact).map(({ formula, threshold }) => threshold / formula)
  const { before, after } = collapse(clustered)
  return [
    verdict(
      `signal equals noise in the context vectors: power of P in v m^(ℓ+1)/(1 − f), ${contrast.length} settings (within 0.15)`,
      slopeOrNone(contrast),
      1,
      (value) => Math.abs(value - 1) <= 0.15,
    ),
    verdict(
      'the same P over v m^(ℓ+1)/(1 − f), geometric mean over settings (within a factor of 1.5)',
      ratio(contrast),
      1,
      factorWithin(1, 1.5),
    ),
    verdict(
      'the same P over the one that follows from the rules of the same grammars (within 10 % or 3 errors)',
      same.length === 0 ? null : geometricMean(same),
      1,
      within(1, 0.1),
    ),
    verdict(
      `P at which the exact covariance equals its noise over v m^(ℓ+1)/(1 − f), from the rules: geometric mean over ${deep.length} shapes and heights (within 25 %)`,
      deep.length === 0 ? null : geometricMean(deep),
      1,
      (value) => Math.abs(value - 1) <= 0.25,
    ),
    verdict(
      `k-means finds the synonyms (score 1/2): power of P in v m^(ℓ+1)/(1 − f), ${clustered.length} settings (within 0.15)`,
      slopeOrNone(clustered),
      1,
      (value) => Math.abs(value - 1) <= 0.15,
    ),
    verdict(
      'the same P over v m^(ℓ+1)/(1 − f), geometric mean over settings (within a factor of 3)',
      ratio(clustered),
      1,
      factorWithin(1, 3),
    ),
    verdict(
      `collapse: spread of ln P over settings in units of v m^(ℓ+1)/(1 − f); it is ${before.toFixed(2)} without (at most a third)`,
      { value: after, error: null },
      0,
      (value) => value <= before / 3,
    ),
  ]
}

function classVerdicts({ classes }: ClusteringResult): Verdict[] {
  const rows = rowsOf(classes)
  const clustered = pairsOf(rows, classClusterFormula, 'clustered')
  const contrast = pairsOf(rows, classSignalFormula, 'contrast')
  const same = overRules(rows)
  return [
    verdict(
      `tuples by their classes, k-means: power of P in √n_c m^L, ${clustered.length} settings (within 0.15)`,
      slopeOrNone(clustered),
      1,
      (value) => Math.abs(value - 1) <= 0.15,
    ),
    verdict(
      'tuples by their classes, signal equals noise: P over the one that follows from the rules of the same grammars (within 10 % or 3 errors)',
      same.length === 0 ? null : geometricMean(same),
      1,
      within(1, 0.1),
    ),
    verdict(
      `tuples by their classes, signal equals noise: power of P in n_c m^L, ${contrast.length} settings (within 0.15)`,
      slopeOrNone(contrast),
      1,
      (value) => Math.abs(value - 1) <= 0.15,
    ),
  ]
}

const climbsOf = ({ config, result }: View): { tokens: ClimbSummary; latents: ClimbSummary } => ({
  tokens: climbSummary(result.climbs, 'tokens', config.climb),
  latents: climbSummary(result.climbs, 'latents', config.climb),
})

function climbVerdicts(run: View): Verdict[] {
  const { tokens, latents } = climbsOf(run)
  const { m } = run.config.climb
  return [
    verdict(
      'climbing with leaves as context: factor of examples from one height to the next, predicted m (within a factor of 1.5)',
      tokens.growth,
      m,
      factorWithin(m, 1.5),
    ),
    verdict(
      'climbing with the symbols found as context: the same factor, predicted 1 (below √m)',
      latents.growth,
      1,
      (value) => value < Math.sqrt(m),
    ),
  ]
}

function controlVerdicts({ controls, leaf }: ClusteringResult): Verdict[] {
  const beside = finalScore(controls.random)
  return [
    verdict(
      `uncorrelated grammars: score with the most data (0 within 0.1 or 3 errors; random grammars of the same shape ${shown(beside)})`,
      finalScore(controls.uncorrelated),
      0,
      (value, error) => within(0, 0.1)(value, error) && beside.value > 0.5,
      true,
    ),
    verdict(
      `leaf of another string as context, ${settingName(leaf[0]!.setting)}: score with the most data (0 within 0.1 or 3 errors)`,
      finalScore(controls.shuffled),
      0,
      within(0, 0.1),
      true,
    ),
  ]
}

const dataOf = (found: Estimate | null): string => (found ? count(Math.round(found.value)) : '–')

/** Headline, paragraph and verdicts of one run. */
export function concludeClustering(run: View): Conclusion {
  const { config, result } = run
  const rows = rowsOf(result.leaf)
  const clustered = pairsOf(rows, leafFormula, 'clustered')
  const slope = slopeOrNone(clustered) ?? none
  const contrast = slopeOrNone(pairsOf(rows, leafFormula, 'contrast')) ?? none
  const { before, after } = collapse(clustered)
  const { tokens, latents } = climbsOf(run)
  const verdicts = [
    ...leafVerdicts(result),
    ...classVerdicts(result),
    ...climbVerdicts(run),
    ...controlVerdicts(result),
  ]
  const { v, m, s, L } = config.climb
  return {
    headline: `k-means finds synonyms at P ∝ (v m^(ℓ+1)/(1 − f))^${shown(slope)}; the spread of ln P falls from ${before.toFixed(2)} to ${after.toFixed(2)}`,
    paragraph:
      'Tuples that can stand for the same hidden symbol occur in the same contexts. Nothing was trained here: for every tuple it was counted which leaf stands at a given place beside it, ' +
      `and the vectors of these frequencies were clustered by k-means. Over ${clustered.length} settings the number of strings at which the clusters become the true symbols grows as v m^(ℓ+1)/(1 − f) to the power ${shown(slope)}; ` +
      `that at which the vectors differ as much by their symbols as by chance, to the power ${shown(contrast)}. ` +
      `Relabelling tuples by their clusters and going on climbs the whole tree: with v = ${v}, m = ${m}, s = ${s}, L = ${L} the heights are found at ${tokens.data.map(dataOf).join(', ')} strings when leaves are the context, ` +
      `and at ${latents.data.map(dataOf).join(', ')} when it is the symbols already found. ` +
      'Where symbols stand equally often in every place, and where the context comes from another string, there is nothing to find.',
    numbers: [
      { label: 'power of the thresholds', value: shown(slope), note: 'k-means, predicted 1' },
      { label: 'power of signal = noise', value: shown(contrast), note: 'predicted 1' },
      {
        label: 'claims borne out',
        value: `${verdicts.filter(({ pass }) => pass).length} of ${verdicts.length}`,
      },
    ],
    verdicts,
  }
}
