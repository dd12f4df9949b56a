/** @file Tables for people: columns as wide as their widest cell. */

/** Rows of cells as lines; numbers to the right, the first column to the left where it holds words. */
export function columnsText(
  rows: readonly (readonly string[])[],
  { firstIsText = false }: { readonly firstIsText?: boolean } = {},
): string {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]!.length))) ?? []
  const padded = (cell: string, column: number): string =>
    firstIsText && column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)
  return rows.map((row) => `${row.map(padded).join('  ')}\n`).join('')
}
