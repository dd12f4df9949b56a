/** @file Tidy rows: what a study measures, one observation a row, and the few ways to look at them. */
import type { Json } from '../../base/index.ts'

/** Which draw a row comes from: every run's seed has its own replicas. */
export interface Drawn {
  readonly seed: number
  readonly replica: number
}

/** A row as findings see it: what was asked, what was measured, and in which draw. */
export type Measured<Cell, Row> = Readonly<Cell> & Readonly<Row> & Drawn

/** Rows whose columns have the values of `match`. */
export function where<R extends object>(rows: readonly R[], match: Partial<R>): R[] {
  const wanted = Object.entries(match) as [keyof R, unknown][]
  return rows.filter((row) => wanted.every(([column, value]) => row[column] === value))
}

/** Rows with equal values in some columns, in the order in which these first occur. */
export function groupBy<R extends object, K extends keyof R>(
  rows: readonly R[],
  ...columns: readonly K[]
): { readonly key: Pick<R, K>; readonly rows: R[] }[] {
  const groups = new Map<string, { key: Pick<R, K>; rows: R[] }>()
  for (const row of rows) {
    const name = JSON.stringify(columns.map((column) => row[column]))
    const group = groups.get(name)
    if (group) group.rows.push(row)
    else {
      const key = Object.fromEntries(columns.map((column) => [column, row[column]])) as Pick<R, K>
      groups.set(name, { key, rows: [row] })
    }
  }
  return [...groups.values()]
}

/** The values of a column that are numbers; NaN stands for those that are not. */
export const column = <R extends object>(rows: readonly R[], name: keyof R): number[] =>
  rows.map((row) => (typeof row[name] === 'number' ? (row[name] as number) : Number.NaN))

/** Different values of a column, in the order in which they first occur. */
export const distinct = <R extends object, K extends keyof R>(rows: readonly R[], name: K): R[K][] => [
  ...new Set(rows.map((row) => row[name])),
]

/** The rows of each draw. */
export const replicasOf = <R extends Drawn>(rows: readonly R[]): R[][] =>
  groupBy(rows, 'seed', 'replica').map((group) => group.rows)

/** The rows of a finished run of a study; undefined of any other. */
export const studyRows = ({
  result,
}: {
  readonly result: Record<string, Json>
}): readonly Json[] | undefined =>
  Array.isArray(result['rows']) ? (result['rows'] as readonly Json[]) : undefined
