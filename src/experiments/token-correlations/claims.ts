/** @file What token correlations claim. */
import { exponents, plateauBound } from '../../grammar/index.ts'
import {
  besideTheory,
  type Claim,
  claim,
  control,
  distinct,
  type Estimate,
  groupBy,
  jackknife,
  type Measured,
  mean,
  overReplicas,
  powerOf,
  shown,
  shownEstimate,
  where,
} from '../../lab/index.ts'
import {
  type Cell,
  cellColumns,
  clearOf,
  excessOf,
  factorOfThresholds,
  fullShape,
  type Kind,
  type Level,
  type Loss,
  noiseFactor,
  pairsOf,
  powerOfThresholds,
  shapeName,
  tupleFactor,
} from './levels.ts'

export function generalClaims(levels: readonly Level[], plateaus: readonly Measured<Cell, Loss>[]): Claim[] {
  const shapes = where(levels, { group: 'shapes' })
  const clear = clearOf(shapes)
  const power = besideTheory(
    jackknife,
    clear,
    powerOfThresholds('threshold'),
    powerOfThresholds('exactThreshold'),
  )
  const factor = besideTheory(
    jackknife,
    clear,
    factorOfThresholds('threshold'),
    factorOfThresholds('exactThreshold'),
  )
  const above = plateaus.filter(({ height }) => height > 0)
  const overPlateaus = (ratioOf: (row: Measured<Cell, Loss>) => number): Estimate =>
    overReplicas(above, (own) => mean(own.map(ratioOf)))
  const [beside, uncorrelated] = (['random', 'uncorrelated'] as const).map((rules) =>
    overReplicas(where(levels, { group: 'control', rules }), excessOf),
  )
  return [
    claim(
      `power of the data at which signal equals noise in v m^(2ℓ−1)/(1 − f), ${pairsOf(clear, 'threshold').length} shapes and heights: as in the rules of the same grammars, 1 for large v and m`,
      power.measured,
    ).equals(power.predicted, { by: 0.1 }),
    claim(
      'the same data over v m^(2ℓ−1)/(1 − f), geometric mean: as in the rules of the same grammars, 1 for large v and m',
      factor.measured,
    ).equals(factor.predicted, { factor: 1.5 }),
    claim(
      'noise of the covariance over (1 − 1/v)(v² P)^(−1/2)',
      overReplicas(where(shapes, { part: 'tokens' }), noiseFactor),
    ).equals(1, { share: 0.05 }),
    claim(
      'token–token covariance over tuple–token covariance, over √m',
      jackknife(shapes, tupleFactor('signal')),
    ).equals(1, { share: 0.1 }),
    claim('the same for their noise', jackknife(shapes, tupleFactor('noise'))).equals(1, { share: 0.1 }),
    claim(
      'exact loss of the last token over its bound ln N̄_ℓ, mean over ℓ ≥ 1 and grammars',
      overPlateaus(({ exact, height, ...sizes }) => exact / plateauBound(fullShape(sizes), height)),
    ).atMost(1),
    claim(
      'the same loss from inference on strings over that from the rules',
      overPlateaus(({ exact, loss }) => loss / exact),
    ).equals(1, { share: 0.05 }),
    control(
      `uncorrelated grammars: squared covariance over noise, minus 1, beyond neighbours, with the most data; 2 % of that of random grammars of the same shape, ${shown(beside!, 1)}, would be seen`,
      uncorrelated!,
    ).vanishes({ below: 0.02 * beside!.value }),
  ]
}

/** Three claims about each shape of which two heights are seen. */
export const shapeClaims = (levels: readonly Level[]): Claim[] =>
  groupBy(clearOf(where(levels, { group: 'shapes' })), ...cellColumns).flatMap(({ key, rows }) => {
    const heights = distinct(rows, 'height')
    if (heights.length < 2) return []
    const of = `heights ${heights[0]} to ${heights.at(-1)}`
    const { beta } = exponents(fullShape(key))
    const decay = (kind: 'signal' | 'exact') => (own: readonly Level[]) =>
      -powerOf(own.map((level) => [key.s ** level.height, Math.sqrt(level[kind])])).value
    const growth = (kind: Kind) => (own: readonly Level[]) =>
      powerOf(own.map((level) => [level[kind], key.s ** level.height])).value
    const fall = besideTheory(overReplicas, rows, decay('signal'), decay('exact'))
    const grown = besideTheory(overReplicas, rows, growth('threshold'), growth('exactThreshold'))
    return [
      claim(
        `${shapeName(key)}: squared covariance counted from data over the exact one of the same grammar, ${of}`,
        overReplicas(rows, (own) => mean(own.map(({ signal, exact }) => signal / exact))),
      ).equals(1, { share: 0.05 }),
      claim(
        `${shapeName(key)}: power with which covariances fall with distance, ${of}: as in the rules of the same grammars, β = ln m/ln s = ${shownEstimate({ value: beta, error: null })} for large v and m`,
        fall.measured,
      ).equals(fall.predicted, { share: 0.15 }),
      claim(
        `${shapeName(key)}: power of P with which the visible context grows, ${of}: as in the rules of the same grammars, 1/2β = ${shownEstimate({ value: 1 / (2 * beta), error: null })} for large v and m`,
        grown.measured,
      ).equals(grown.predicted, { share: 0.15 }),
    ]
  })
