/** @file When layers come not to mind another rule below a hidden symbol, beside when the loss says that its level is known. */
import { column, crossing, distinct, groupBy, type Measured, where } from '../../lab/index.ts'
import { halfWay } from '../lastToken/halfWay.ts'
import type { Cell, Row } from './measure.ts'

export type Found = Measured<Cell, Row>
type Rows = readonly Found[]

/** What a layer minds of another rule over what it minds of another symbol: (1 − q_R)/(1 − q_S). */
export const ratioOf = ({ rule, symbol }: Pick<Row, 'rule' | 'symbol'>): number => (1 - rule) / (1 - symbol)

/** The first clear fall of the ratio from 1. */
export const clear = 0.75

export const levelsOf = (rows: Rows): number[] => distinct(rows, 'level').toSorted((a, b) => a - b)
export const lastLayer = (rows: Rows): number => Math.max(...column(rows, 'layer'))
/** The layer that the prediction is read from. */
export const atLast = (rows: Rows): Found[] =>
  groupBy(rows, 'network').flatMap(({ rows: own }) => where(own, { layer: lastLayer(own) }))

const bySamples = (rows: Rows): Found[] => rows.toSorted((a, b) => a.samples - b.samples)
export const lengthOf = (rows: Rows): number => Math.max(...column(rows, 'samples'))

/** Strings after which a falling curve stays below `level` for good; NaN when it never does. */
const staysBelow = (points: readonly { readonly x: number; readonly y: number }[], level: number): number =>
  crossing(
    points.map(({ x, y }) => ({ x, y: -y })),
    -level,
  ) ?? Number.NaN

/** Strings of one network after which the ratio of a level in the last layer stays below `below`; NaN when it never does. */
export const onset = (own: Rows, level: number, below = clear): number =>
  staysBelow(
    bySamples(where(atLast(own), { level })).map((row) => ({ x: row.samples, y: ratioOf(row) })),
    below,
  )

/**
 * Strings of one network after which its loss is half way from plateau ℓ to plateau ℓ + 1: the symbols of height ℓ beside the path
 * to the last token are what the latter plateau takes. NaN when it is never there.
 */
export const lossHalfWay = (own: Rows, level: number): number =>
  halfWay(
    where(own, { level, layer: 1 }).map((row) => ({ ...row, isCut: false })),
    level + 1,
  )

/** Of one network, in how many times the strings of level ℓ the next level falls. */
export const growth = (own: Rows, level: number): number => onset(own, level + 1) / onset(own, level)

/** The same, at least: a level that has not fallen falls after the end. */
export function leastGrowth(own: Rows, level: number): number {
  const next = onset(own, level + 1)
  return (Number.isFinite(next) ? next : lengthOf(own)) / onset(own, level)
}

/** How many times the strings of half way the training of a network must last for its end to say what becomes of a level. */
export const patience = 4

/**
 * Ratios of a level at the end of one network's training, of the layers that satisfy `which`; none where training ended before the
 * level could be learned well.
 */
export function ratiosAtEnd(own: Rows, level: number, which: (layer: number) => boolean): number[] {
  const end = lengthOf(own)
  if (!(end >= patience * lossHalfWay(own, level))) return []
  return where(own, { level, samples: end })
    .filter(({ layer }) => which(layer))
    .map(ratioOf)
}
