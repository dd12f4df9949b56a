/** @file Tables as files: Parquet for programs, CSV (RFC 4180) for everything. The same table gives the same bytes. */
import { parquetWriteBuffer } from 'hyparquet-writer'
import { fail } from '../../base/index.ts'
import { type OutputRule, writeOutput } from '../../base/outputs.ts'
import type { Cell, Column, Table } from './table.ts'

/** Empty for nothing; an empty text is quoted, so that the two can be told apart. */
function csvCell(cell: Cell): string {
  if (cell === null) return ''
  const text = String(cell)
  const quote = typeof cell === 'string' && (text === '' || /[",\r\n]/.test(text))
  return quote ? `"${text.replaceAll('"', '""')}"` : text
}

/** A table as CSV: a head, commas, CRLF at the end of every row. */
export function csvText({ columns, rows }: Table): string {
  const lines = [columns.map(({ name }) => csvCell(name)).join(',')]
  for (let row = 0; row < rows; row++) lines.push(columns.map(({ cells }) => csvCell(cells[row]!)).join(','))
  return lines.map((line) => `${line}\r\n`).join('')
}

const isInt32 = (cell: Cell): boolean => Number.isInteger(cell) && Math.abs(Number(cell)) < 2 ** 31

/** What was measured is a real number, whatever it happens to be; fields and counts may be whole ones. */
const mayBeWhole = (name: string): boolean => !/^(result|metric|timing)\./.test(name)

/** A column's type is that of its values; where they differ in kind, all are texts. */
function parquetColumn({ name, cells }: Column) {
  const present = cells.filter((cell) => cell !== null)
  const all = (type: string): boolean => present.every((cell) => typeof cell === type)
  if (all('number')) {
    const whole = mayBeWhole(name) && present.every(isInt32) && present.length > 0
    return { name, data: [...cells], type: whole ? ('INT32' as const) : ('DOUBLE' as const), nullable: true }
  }
  if (all('boolean')) return { name, data: [...cells], type: 'BOOLEAN' as const, nullable: true }
  const texts = cells.map((cell) => (cell === null ? null : String(cell)))
  return { name, data: texts, type: 'STRING' as const, nullable: true }
}

/** A table as a Parquet file: nullable columns of INT32, DOUBLE, BOOLEAN or UTF-8 text. */
export const parquetBytes = ({ columns }: Table): Uint8Array =>
  new Uint8Array(parquetWriteBuffer({ columnData: columns.map(parquetColumn), createdBy: 'treeline' }))

/** Formats by file ending. */
const writers: Readonly<Record<string, (table: Table) => string | Uint8Array>> = {
  '.parquet': parquetBytes,
  '.csv': csvText,
}

/** Refuse an ending that says nothing about the format. Throws TL_USAGE. */
export function checkTablePath(path: string): void {
  if (Object.keys(writers).some((ending) => path.toLowerCase().endsWith(ending))) return
  fail('TL_USAGE', `${path}: expected a file that ends in ${Object.keys(writers).join(' or ')}`)
}

/** Write a table to a file; its ending says how. Throws TL_USAGE for another ending, TL_EXISTS as `writeOutput` does. */
export function writeTable(path: string, table: Table, rule: OutputRule = {}): 'written' | 'unchanged' {
  checkTablePath(path)
  const [, write] = Object.entries(writers).find(([ending]) => path.toLowerCase().endsWith(ending))!
  return writeOutput(path, write(table), rule)
}
