/** @file Comma-separated tables of other programs: cells as text, with the line on which each row begins. (RFC 4180) */
import { fail } from '../../base/index.ts'

/** A row of a table: its cells, and the line of the file. */
interface CsvRow {
  readonly line: number
  readonly cells: readonly string[]
}

/** One record that begins at `at`: its cells and where the next begins. Throws TL_BAD_FILE for a quote that never ends. */
function recordAt(
  text: string,
  at: number,
  place: string,
): { readonly cells: string[]; readonly next: number } {
  const cells: string[] = []
  let position = at
  for (;;) {
    let cell = ''
    if (text[position] === '"') {
      for (;;) {
        const end = text.indexOf('"', position + 1)
        if (end < 0) fail('TL_BAD_FILE', `${place}: a quoted cell never ends: add the closing "`)
        cell += text.slice(position + 1, end)
        position = end + 1
        if (text[position] !== '"') break
        cell += '"'
      }
    }
    // an unquoted cell, or what stands after the closing quote
    const start = position
    while (position < text.length && !',\r\n'.includes(text[position]!)) position++
    cells.push((cell + text.slice(start, position)).trim())
    if (text[position] === ',') position++
    else break
  }
  if (text[position] === '\r' && text[position + 1] === '\n') position++
  return { cells, next: position + 1 }
}

/** All rows of a table that hold anything; the first is its header. Throws TL_BAD_FILE naming `label` and the line. */
export function parseCsv(text: string, label: string): CsvRow[] {
  const rows: CsvRow[] = []
  let [at, line] = [0, 1]
  while (at < text.length) {
    const { cells, next } = recordAt(text, at, `${label}, line ${line}`)
    if (cells.some((cell) => cell !== '')) rows.push({ line, cells })
    for (let i = at; i < Math.min(next, text.length); i++)
      if (text[i] === '\n' || (text[i] === '\r' && text[i + 1] !== '\n')) line++
    at = next
  }
  return rows
}
