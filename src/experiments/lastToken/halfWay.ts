/** @file Where losses are half way between exact plateaus. */
import { crossing } from '../../lab/index.ts'

/** The loss of a network after so many strings. */
export interface Point {
  readonly samples: number
  /** In nats. */
  readonly loss: number
  /** The exact plateaus of the grammar, ℓ = 0 … L, in nats. */
  readonly plateaus: readonly number[]
  /** Training ended before the least test loss was behind. */
  readonly isCut: boolean
}

export const levelsOf = (rows: readonly Pick<Point, 'plateaus'>[]): number[] =>
  Array.from({ length: (rows[0]?.plateaus.length ?? 1) - 1 }, (_, i) => i + 1)

/** By how much the tokens of a level lower the exact loss. */
export const worth = ({ plateaus }: Pick<Point, 'plateaus'>, level: number): number =>
  plateaus[level - 1]! - plateaus[level]!

/** Half way from the plateau below to that of a level. */
export const middle = ({ plateaus }: Pick<Point, 'plateaus'>, level: number): number =>
  (plateaus[level - 1]! + plateaus[level]!) / 2

const bySamples = (rows: readonly Point[]): Point[] => rows.toSorted((a, b) => a.samples - b.samples)

/**
 * Strings after which the loss of one network on one grammar is half way to a level, straight in their logarithm; NaN where it
 * never is, is from the first point on, or is between points of which a training was cut.
 */
export function halfWay(rows: readonly Point[], level: number): number {
  const own = bySamples(rows)
  if (own.length === 0) return Number.NaN
  const half = middle(own[0]!, level)
  const last = own.findLastIndex(({ loss }) => loss > half)
  if (own[last]?.isCut || own[last + 1]?.isCut) return Number.NaN
  return (
    crossing(
      own.map(({ samples, loss }) => ({ x: samples, y: -loss })),
      -half,
    ) ?? Number.NaN
  )
}
