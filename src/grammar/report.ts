/** @file Trees as plain lists, for JSON. */
import type { Trees } from './grammar.ts'
import { validity } from './parse.ts'

/** A symbol, or null for a node that has none. */
export type MaybeSymbol = number | null

/** What parsing found of one string. */
export interface ParsedString {
  /** It is of the grammar: all of its nodes are legal. */
  readonly valid: boolean
  readonly class: MaybeSymbol
  /** Symbols of each level, the root's first. */
  readonly levels: readonly (readonly MaybeSymbol[])[]
  /** Share of legal nodes at each height, leaves first. */
  readonly validity: readonly number[]
}

/** What parsing found of all strings, and the share of legal nodes at each height over all of them (null for none). */
export interface ParseReport {
  readonly strings: readonly ParsedString[]
  readonly validity: readonly (number | null)[]
}

/** The strings of trees as lists of symbols. */
export const stringsOf = ({ count, levels }: Trees): number[][] => {
  const leaves = levels.at(-1)!
  const d = leaves.length / count
  return Array.from({ length: count }, (_, i) => [...leaves.subarray(i * d, (i + 1) * d)])
}

/** One tree of a batch as lists, the root's level first; null for −1. */
export const treeLevels = ({ count, levels }: Trees, i: number): MaybeSymbol[][] =>
  levels.map((symbols) => {
    const width = symbols.length / count
    return Array.from(symbols.subarray(i * width, (i + 1) * width), (symbol) => (symbol < 0 ? null : symbol))
  })

/** What `treeline grammar parse --json` prints of parsed trees. */
export function parseReport(trees: Trees): ParseReport {
  const strings = Array.from({ length: trees.count }, (_, i): ParsedString => {
    const levels = treeLevels(trees, i)
    const shares = levels.toReversed().map((level) => level.filter((x) => x !== null).length / level.length)
    return { valid: shares.every((share) => share === 1), class: levels[0]![0]!, levels, validity: shares }
  })
  return {
    strings,
    validity: validity(trees).map((share) => (Number.isFinite(share) ? share : null)),
  }
}
