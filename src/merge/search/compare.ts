/** @file Methods of a search held against plain task arithmetic. */
import type { SearchValue } from './grid.ts'
import { type Estimate, pairedDifference } from './intervals.ts'
import type { Row } from './table.ts'

const first = ({ measures }: Row): readonly number[] | undefined => measures?.[0]?.items

const slopeOf = (values: Row['values']): SearchValue => values['lines.beta'] ?? 0

/** What a candidate is besides its numbers: its method, and whether LiNeS scales it. */
export const familyOf = ({ values }: Row, method: string): string =>
  `${values['merge_method'] ?? method}${slopeOf(values) === 0 ? '' : ' with LiNeS'}`

/** A family of candidates against plain task arithmetic, both at their best. */
export interface Comparison {
  readonly family: string
  /** Its best minus the best of task arithmetic, on the first measure; larger is better. */
  readonly difference: Estimate
  readonly isBetter: boolean
}

/**
 * The best of every family against the best of plain task arithmetic, by the mean difference over items. `method`: that of
 * the recipe. None without items or without task arithmetic.
 */
export function comparisons(rows: readonly Row[], method: string): Comparison[] {
  const scored = rows.filter((row) => row.score !== null && first(row))
  const best = new Map<string, Row>()
  for (const row of scored) {
    const family = familyOf(row, method)
    if (row.score! > (best.get(family)?.score ?? -Infinity)) best.set(family, row)
  }
  const plain = best.get('task_arithmetic')
  if (!plain) return []
  return [...best].flatMap(([family, row]) => {
    if (row === plain || first(row)!.length !== first(plain)!.length) return []
    const difference = pairedDifference(first(row)!, first(plain)!)
    return [{ family, difference, isBetter: difference.low > 0 }]
  })
}
