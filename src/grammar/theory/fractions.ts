/** @file How many tuples are legal, and the checks that every formula of this folder shares. */
import { fail } from '../../base/index.ts'
import { checkShape, type Shape } from '../grammar.ts'

/** Throws TL_BAD_CONFIG unless a grammar of this shape exists and a symbol can be mistaken for another. */
export function checkTheory(shape: Shape): void {
  checkShape(shape)
  if (shape.v < 2)
    fail('TL_BAD_CONFIG', `config.v: expected at least 2 symbols, got ${shape.v} (one symbol is never wrong)`)
}

/** Throws TL_BAD_CONFIG unless low ≤ value ≤ high (which also refuses NaN). */
export function checkRange(name: string, value: number, low: number, high: number, about: string): void {
  if (!(value >= low && value <= high))
    fail('TL_BAD_CONFIG', `${name}: expected a number in [${low}, ${high}], got ${value} (${about})`)
}

/** Throws TL_BAD_CONFIG unless `height` is an integer in [low, L]. */
export function checkHeight(shape: Shape, height: number, low = 1): void {
  if (!(Number.isInteger(height) && height >= low && height <= shape.L))
    fail(
      'TL_BAD_CONFIG',
      `height: expected an integer from ${low} to L = ${shape.L}, got ${height} (leaves are at height 0, the root is at L)`,
    )
}

/** Throws TL_BAD_CONFIG unless P is a number of data. */
export function checkData(P: number): void {
  if (!(P > 0)) fail('TL_BAD_CONFIG', `P: expected a number of data > 0, got ${P}`)
}

/**
 * Share of the v^s tuples that are legal: f = m·v / v^s = m / v^{s−1}, in (0, 1]. The version of correlations and thresholds.
 * (Cagnetta & Wyart 2024, Eq. 8)
 */
export const legalShare = ({ v, m, s }: Shape): number => m / v ** (s - 1)

/**
 * Chance that a tuple is legal when another tuple is known to be: f = (m·parents − 1) / (v^s − 1), in [0, 1]. The version of
 * the mean-field maps. `parents` is v, or the number of classes at the root. (Sclocchi et al. 2025, SI Eqs. 35–42)
 */
export const otherLegalShare = ({ v, m, s }: Shape, parents = v): number => (m * parents - 1) / (v ** s - 1)

/** Chance that a tuple belongs to a given symbol when another of its tuples is known: b = (m − 1) / (v^s − 1). (ibid.) */
export const synonymShare = ({ v, m, s }: Shape): number => (m - 1) / (v ** s - 1)

/**
 * Chance that random leaves below a node at this height derive from some symbol, with independent draws at every node:
 * f^{(s^height − 1)/(s − 1)}, f = m / v^{s−1}. Height 0 gives 1. (Favero et al. 2025)
 */
export function randomValidity(shape: Shape, height: number): number {
  checkTheory(shape)
  checkHeight(shape, height, 0)
  return legalShare(shape) ** ((shape.s ** height - 1) / (shape.s - 1))
}

/** Validity on a scale where random strings have 0 and those of the grammar 1: (A − A_0)/(1 − A_0), A_0 as `randomValidity`. */
export function validityOverChance(shape: Shape, height: number, validity: number): number {
  const chance = randomValidity(shape, height)
  return (validity - chance) / (1 - chance)
}
