/**
 * @file Rules as others keep them: one table [parents, m, s] for each level, the root's first, and nothing else. Sizes follow from
 * the tables.
 */
import { fail } from '../base/index.ts'
import { readGrammar } from './format.ts'
import type { Grammar } from './grammar.ts'
import { asList, asObject, expected, parseJson } from './json.ts'

const isNumbered = (keys: readonly string[]): boolean =>
  keys.length > 0 && keys.every((key) => /^\d{1,6}$/.test(key))

/** Tables as a list, or as an object with keys 0, 1, … as Python's dicts of levels become. */
function tablesOf(value: unknown, where: string): readonly unknown[] {
  if (Array.isArray(value)) return value
  const what = 'tables of rules, as a list, or an object with keys 0, 1, …'
  const table = asObject(value, where, what)
  const keys = Object.keys(table)
  if (!isNumbered(keys)) return expected(where, what, value)
  return keys.map((_, level) =>
    Object.hasOwn(table, level)
      ? table[level]
      : fail('TL_BAD_FILE', `${where}: expected tables 0 … ${keys.length - 1}, table ${level} is missing`),
  )
}

/** The length of a list that is not empty. */
function lengthOf(value: unknown, where: string, of: string): number {
  const { length } = asList(value, where, of)
  return length > 0 ? length : fail('TL_BAD_FILE', `${where}: expected at least one of ${of}`)
}

const first = (value: unknown): unknown => (value as readonly unknown[])[0]

/** The largest symbol of a table + 1; what is no number does not count here, and is refused with its place later. */
function symbolsIn(table: unknown): number {
  const flat = (table as unknown[]).flat(2)
  return flat.reduce<number>(
    (most, symbol) => (typeof symbol === 'number' ? Math.max(most, symbol + 1) : most),
    1,
  )
}

/**
 * Tables of rules to a grammar: `[level][parent][rule]` tuples, in a list, or an object with keys 0, 1, …, or under `rules` in an
 * object. `v` is the number of parents at level 1; with one level, the largest symbol + 1 unless `v` is given. Throws TL_BAD_FILE with
 * the place, as `readGrammar`.
 */
export function readRules(value: unknown, where = 'rules', v?: number): Grammar {
  const isWrapped = typeof value === 'object' && value !== null && Object.hasOwn(value, 'rules')
  const place = isWrapped ? `${where}: rules` : where
  const tables = tablesOf(isWrapped ? (value as { rules: unknown }).rules : value, place)
  const L = lengthOf(tables, place, 'tables, one a level, the root’s first')
  const classes = lengthOf(tables[0], `${place}[0]`, 'rows, one a class')
  const m = lengthOf(first(tables[0]), `${place}[0][0]`, 'rules of each symbol (m)')
  const s = lengthOf(first(first(tables[0])), `${place}[0][0][0]`, 'symbols (s)')
  const symbols =
    v ??
    (L > 1 ? lengthOf(tables[1], `${place}[1]`, 'rows, one a symbol') : symbolsIn(asTable(tables[0], place)))
  const file = { format: 'treeline-grammar/1', v: symbols, classes, m, s, L, rules: tables }
  return readGrammar(file, where)
}

/** A table whose rows are lists of lists. */
function asTable(table: unknown, place: string): unknown {
  for (const [parent, row] of asList(table, `${place}[0]`, 'rows').entries())
    for (const [k, tuple] of asList(row, `${place}[0][${parent}]`, 'rules').entries())
      asList(tuple, `${place}[0][${parent}][${k}]`, 'symbols (s)')
  return table
}

/** The text of a JSON file of rules to a grammar. See `readRules`. */
export const rulesFromText = (text: string, where = 'rules', v?: number): Grammar =>
  readRules(parseJson(text, where), where, v)
