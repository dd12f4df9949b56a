/** @file Where losses are half way between plateaus, and what follows: powers of m, ratios of networks, collapse, envelopes. */
import { exponents, levelThreshold } from '../../grammar/index.ts'
import {
  besideTheory,
  collapse,
  distinct,
  type Estimate,
  geometricMean,
  geometricMeanOverReplicas,
  groupBy,
  jackknifeByGroup,
  type Measured,
  mean,
  overReplicas,
  powerOf,
  replicasOf,
} from '../../lab/index.ts'
import { halfWay, levelsOf, worth } from '../lastToken/halfWay.ts'
import { type Architecture, kindOf, powerOfTheory } from '../lastToken/networks.ts'
import { type Cell, type Row, shapeOf } from './measure.ts'

export type Found = Measured<Cell, Row>
type Rows = readonly Found[]

/** Strings at half way over grammars: geometric mean. */
export const halfWays = (rows: Rows, level: number): Estimate =>
  geometricMeanOverReplicas(rows, (own) => halfWay(own, level))

/** Rows of the m in which every grammar reaches a level. */
export const reaching = (rows: Rows, level: number): Found[] =>
  groupBy(rows, 'm')
    .filter(({ rows: own }) => replicasOf(own).every((one) => Number.isFinite(halfWay(one, level))))
    .flatMap(({ rows: own }) => own)

/**
 * b of P_ℓ (1 − f)/v ∝ m^b: the strings at half way, without the factor 1/(1 − f) of theory. Grammars of each m are independent.
 * NaN with fewer than two m.
 */
export function powerOfRules(rows: Rows, level: number): Estimate {
  const own = reaching(rows, level)
  if (distinct(own, 'm').length < 2) return { value: Number.NaN, error: null }
  return jackknifeByGroup(
    own,
    ['m'],
    (some) =>
      powerOf(
        groupBy(some, 'm').map(({ key, rows: at }) => {
          const sizes = at[0]!
          const unit = levelThreshold(shapeOf(sizes), 'transformer', 1) / (sizes.v * key.m)
          return [
            key.m,
            geometricMean(replicasOf(at).map((one) => halfWay(one, level))).value / unit,
          ] as const
        }),
      ).value,
  )
}

/** Rows of two networks on the same grammars: strings at half way, of the first over the second, at each level. */
export const ratioAt = (rows: Rows, [a, b]: readonly [Architecture, Architecture], level: number): Estimate =>
  geometricMeanOverReplicas(
    rows.filter(({ network }) => network === a || network === b),
    (own) =>
      halfWay(
        own.filter(({ network }) => network === a),
        level,
      ) /
      halfWay(
        own.filter(({ network }) => network === b),
        level,
      ),
  )

/** The ratio at a level over that at level 2, where theory has all of them alike. */
export const ratioGrowth = (
  rows: Rows,
  pair: readonly [Architecture, Architecture],
  level: number,
): Estimate =>
  geometricMeanOverReplicas(rows, (own) => ratioAt(own, pair, level).value / ratioAt(own, pair, 2).value)

/** Mean over grammars of where the loss is between the plateau below a level (1) and that of the level (0). */
export const heightsOf = (rows: Rows, level: number): { x: number; y: number }[] =>
  groupBy(rows, 'samples')
    .map(({ key, rows: own }) => ({
      x: key.samples,
      y: mean(own.map((row) => (row.loss - row.plateaus[level]!) / worth(row, level))),
    }))
    .sort((a, b) => a.x - b.x)

/** What the strings of a level are in proportion to. */
export const scaleOf = ({ network, m }: Pick<Cell, 'network' | 'm'>, level: number): number =>
  m ** powerOfTheory(network, level)

/** How far the curves of different m lie apart in P at a level, as a factor: as they are, and over `scaleOf`. */
export function spreads(rows: Rows, level: number): { readonly before: Estimate; readonly after: Estimate } {
  const own = reaching(rows, level)
  const of = (which: 'before' | 'after') =>
    jackknifeByGroup(
      own,
      ['m'],
      (some) =>
        collapse(
          groupBy(some, 'm').map(({ rows: at }) => ({
            ...{ points: heightsOf(at, level), scale: scaleOf(at[0]!, level), unit: 1 },
          })),
          [0.7, 0.5, 0.3],
        )[which],
    )
  return { before: of('before'), after: of('after') }
}

/** −slope of the logarithm of what a level is worth against that of the strings it takes, over levels from 2 on. */
const envelopeSlope = (own: Rows, levels: readonly number[], strings: (level: number) => number): number =>
  -powerOf(levels.map((level) => [strings(level), worth(own[0]!, level)] as const)).value

interface Envelope {
  /** α of the steps of the loss, and that of theory on the exact plateaus of the same grammars. */
  readonly measured: Estimate
  readonly predicted: number
  /** |ln f|/ln m or half of it: what theory tends to at large v and deep levels. */
  readonly limit: number
  readonly levels: readonly number[]
}

/** The envelope of one network on grammars of one m, over the levels from 2 on that all of them reach; null with fewer than two. */
export function envelopeOf(rows: Rows): Envelope | null {
  const [first] = rows
  if (!first) return null
  const levels = levelsOf(rows)
    .slice(1)
    .filter((level) => reaching(rows, level).length > 0)
  if (levels.length < 2) return null
  const kind = kindOf(first.network)
  const shape = shapeOf(first)
  const { alphaCnn, alphaTransformer } = exponents(shape)
  const { measured, predicted } = besideTheory(
    overReplicas,
    rows,
    (own) => envelopeSlope(own, levels, (level) => halfWay(own, level)),
    (own) => envelopeSlope(own, levels, (level) => levelThreshold(shape, kind, level)),
  )
  return { measured, predicted, limit: (kind === 'cnn' ? alphaCnn : alphaTransformer)!, levels }
}
