/** @file What clustering claims. */
import {
  besideTheory,
  type Claim,
  claim,
  control,
  type Estimate,
  geometricMeanOverReplicas,
  groupBy,
  jackknife,
  overReplicas,
  shown,
  where,
} from '../../lab/index.ts'
import {
  type Answer,
  type ClimbedRow,
  cellColumns,
  classFormula,
  climbFactor,
  climbSlope,
  type ExactRow,
  exactFactor,
  factor,
  leafFormula,
  overRules,
  power,
  reaching,
  settingName,
  spread,
  spreadByRules,
} from './settings.ts'

const settings = (answers: readonly Answer[]): string => `${groupBy(answers, ...cellColumns).length} settings`

export function leafClaims(answers: readonly Answer[], exact: readonly ExactRow[]): Claim[] {
  const leaf = where(answers, { part: 'leaf' })
  const seen = reaching(leaf, 'contrast', 'expected')
  const found = reaching(leaf, 'clustered')
  const slope = besideTheory(jackknife, seen, power('contrast', leafFormula), power('expected', leafFormula))
  const ratio = besideTheory(
    jackknife,
    seen,
    factor('contrast', leafFormula),
    factor('expected', leafFormula),
  )
  const places = groupBy(exact, ...cellColumns, 'height').length
  const both = reaching(leaf, 'clustered', 'expected')
  const [before, byFormula] = [() => 1, leafFormula].map((unit) => jackknife(both, spread('clustered', unit)))
  return [
    claim(
      `signal equals noise in the context vectors: power of P in v m^(ℓ+1)/(1 − f), ${settings(seen)}: as in the rules of the same grammars, 1 for large v and m`,
      slope.measured,
    ).equals(slope.predicted, { by: 0.15 }),
    claim(
      'the same P over v m^(ℓ+1)/(1 − f), geometric mean over settings: as in the rules of the same grammars, 1 for large v and m',
      ratio.measured,
    ).equals(ratio.predicted, { factor: 1.5 }),
    claim(
      'the same P over the one that follows from the rules of the same grammars',
      jackknife(seen, overRules),
    ).equals(1, { share: 0.1 }),
    claim(
      `P at which the exact covariance equals its noise over v m^(ℓ+1)/(1 − f), from the rules: geometric mean over ${places} shapes and heights`,
      jackknife(exact, exactFactor),
    ).equals(1, { share: 0.25 }),
    claim(
      `k-means finds the synonyms (score 1/2): power of P in v m^(ℓ+1)/(1 − f), ${settings(found)}`,
      jackknife(found, power('clustered', leafFormula)),
    ).equals(1, { by: 0.15 }),
    claim(
      'the same P over v m^(ℓ+1)/(1 − f), geometric mean over settings',
      jackknife(found, factor('clustered', leafFormula)),
    ).equals(1, { factor: 3 }),
    claim(
      `collapse: spread of ln P over settings in units of the P at which signal equals noise by the rules of the same grammars, ${shown(byFormula!)} in units of v m^(ℓ+1)/(1 − f): a third of the spread without units, ${before!.value.toFixed(2)}, or less`,
      jackknife(both, spreadByRules),
    ).atMost(before!.value / 3),
  ]
}

export function classClaims(answers: readonly Answer[]): Claim[] {
  const classes = where(answers, { part: 'class' })
  const seen = reaching(classes, 'contrast', 'expected')
  const found = reaching(classes, 'clustered')
  const { clustered, contrast } = classFormula
  const slope = besideTheory(jackknife, seen, power('contrast', contrast), power('expected', contrast))
  return [
    claim(
      `tuples by their classes, k-means: power of P in √n_c m^L, ${settings(found)}`,
      jackknife(found, power('clustered', clustered)),
    ).equals(1, { by: 0.15 }),
    claim(
      'tuples by their classes, signal equals noise: P over the one that follows from the rules of the same grammars',
      jackknife(seen, overRules),
    ).equals(1, { share: 0.1 }),
    claim(
      `tuples by their classes, signal equals noise: power of P in n_c m^L, ${settings(seen)}: as in the rules of the same grammars, 1 for large v, m and n_c`,
      slope.measured,
    ).equals(slope.predicted, { by: 0.15 }),
  ]
}

/** Factor of the examples from one height to the next, over the grammars; NaN unless every one is climbed to the top. */
export const growthOf = (rows: readonly ClimbedRow[]): Estimate => {
  const factors = groupBy(rows, 'seed', 'replica').map(({ rows: own }) => climbFactor(own))
  return factors.every(Number.isFinite)
    ? geometricMeanOverReplicas(rows, climbFactor)
    : { value: Number.NaN, error: null }
}

/** Slope of ln P* in L over grammars; a grammar in which a height is not reached has none. */
export const depthSlope = (rows: readonly ClimbedRow[], context: 'tokens' | 'latents'): Estimate =>
  overReplicas(where(rows, { context }), climbSlope)

export function climbClaims(rows: readonly ClimbedRow[]): Claim[] {
  const m = rows[0]!.m
  const half = Math.log(m) / 2
  return [
    claim(
      'climbing with leaves as context: factor of examples from one height to the next, predicted m',
      growthOf(where(rows, { context: 'tokens' })),
    ).equals(m, { factor: 1.5 }),
    claim(
      'climbing with the symbols found as context: the same factor, predicted 1, below √m',
      growthOf(where(rows, { context: 'latents' })),
    ).atMost(Math.sqrt(m)),
    claim(
      'leaves as context: slope of ln P* against the number of levels, predicted ln m',
      depthSlope(rows, 'tokens'),
    ).equals(Math.log(m), { by: half }),
    claim('the symbols found as context: the same slope, predicted 0', depthSlope(rows, 'latents')).equals(
      0,
      { by: half },
    ),
  ]
}

export function controlClaims(answers: readonly Answer[]): Claim[] {
  const controls = where(answers, { part: 'control' })
  const final = (match: Partial<Answer>): Estimate =>
    overReplicas(where(controls, match), ([answer]) => answer!.finalScore)
  const [shuffled] = where(controls, { context: 'shuffled' })
  return [
    control('uncorrelated grammars: score with the most data', final({ rules: 'uncorrelated' })).vanishes({
      below: 0.1,
    }),
    claim(
      'random grammars of the same shape: score with the most data',
      final({ context: 'leaf', rules: 'random' }),
    ).atLeast(0.5),
    control(
      `leaf of another string as context, ${settingName(shuffled!)}: score with the most data`,
      final({ context: 'shuffled' }),
    ).vanishes({ below: 0.1 }),
  ]
}
