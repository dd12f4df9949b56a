/** @file The file format `treeline-grammar/1`: a grammar as JSON, read without trusting it. */
import { didYouMean, fail, TreelineError } from '../base/index.ts'
import { checkShape, type Grammar, parentsAt, type Shape } from './grammar.ts'
import { invertTable } from './inverse.ts'
import { asList, asObject, asSymbol, asWeight, describe, expected, parseJson } from './json.ts'

const formatName = 'treeline-grammar/1'
const sizes = ['v', 'classes', 'm', 's', 'L'] as const
const fields: readonly string[] = ['format', ...sizes, 'rules', 'probabilities']

/** Rows whose sum is this close to 1 are kept to the bit. */
const exactSum = 1e-12
/** Rows whose sum is this close to 1, as those of single precision are, are divided by it. */
const nearSum = 1e-6
/** Symbols beyond which the text no longer fits a JavaScript string. */
const maxWritten = 2 ** 26

/** The rows of a flat table as nested lists: [parents][m] of numbers, or of tuples when s is given. */
function nest(table: ArrayLike<number>, m: number, s?: number): unknown[][] {
  const width = s ?? 1
  const one = (rule: number): unknown =>
    s === undefined ? table[rule] : Array.from({ length: s }, (_, i) => table[rule * s + i])
  return Array.from({ length: table.length / (m * width) }, (_, parent) =>
    Array.from({ length: m }, (_, k) => one(parent * m + k)),
  )
}

/**
 * A grammar as the text of a `*.grammar.json` file, one line for each table. Reading it gives the same grammar to the bit.
 * Throws TL_UNSUPPORTED for tables of more than 2^26 symbols.
 */
export function grammarToText(grammar: Grammar): string {
  const symbols = grammar.rules.reduce((sum, table) => sum + table.length, 0)
  if (symbols > maxWritten)
    fail('TL_UNSUPPORTED', `grammar: ${symbols} symbols of rules are too many for a JSON file (at most 2^26)`)
  const { m, s, rules, probabilities } = grammar
  const head = sizes.map((name) => `"${name}": ${grammar[name]}`).join(', ')
  const tables = (name: string, all: unknown[][][]): string =>
    `  "${name}": [\n${all.map((table) => `    ${JSON.stringify(table)}`).join(',\n')}\n  ]`
  const parts = [
    `  "format": "${formatName}", ${head}`,
    tables(
      'rules',
      rules.map((table) => nest(table, m, s)),
    ),
  ]
  if (probabilities)
    parts.push(
      tables(
        'probabilities',
        probabilities.map((rows) => nest(rows, m)),
      ),
    )
  return `{\n${parts.join(',\n')}\n}\n`
}

/** The text of a `*.grammar.json` file to a grammar; `where` (a file's name) begins every message. See `readGrammar`. */
export const grammarFromText = (text: string, where = 'grammar'): Grammar =>
  readGrammar(parseJson(text, where), where)

/**
 * Parsed JSON to a grammar. Throws TL_BAD_FILE, with the place, for whatever breaks the format or a constraint: a missing
 * field or table, impossible sizes, a symbol out of range, a tuple with two parents, probabilities that do not sum to 1
 * (within 1e-6; they are then divided by their sum). Memory stays in proportion to the file.
 */
export function readGrammar(value: unknown, where = 'grammar'): Grammar {
  const file = asObject(value, where, 'an object { "format": "treeline-grammar/1", … }')
  if (file['format'] !== formatName) expected(`${where}: format`, `"${formatName}"`, file['format'])
  for (const name of Object.keys(file))
    if (!fields.includes(name))
      fail(
        'TL_BAD_FILE',
        `${where}: ${describe(name)}: there is no such field: ${didYouMean(name.slice(0, 40), fields)}`,
      )
  const shape = readShape(file, where)
  const { v, m, s, L } = shape
  const levels = asList(file['rules'], `${where}: rules`, 'tables, one a level, the root’s first', L)
  const rules = levels.map((table, level) => readTable(table, shape, level, `${where}: rules[${level}]`))
  const grammar = { v, classes: shape.classes, m, s, L, d: s ** L, rules }
  if (file['probabilities'] === undefined) return grammar
  const rows = asList(file['probabilities'], `${where}: probabilities`, 'tables, one a level', L)
  return {
    ...grammar,
    probabilities: rows.map((table, level) =>
      readProbabilities(table, shape, level, `${where}: probabilities[${level}]`),
    ),
  }
}

function readShape(file: Record<string, unknown>, where: string): Shape {
  for (const name of sizes)
    if (typeof file[name] !== 'number') expected(`${where}: ${name}`, 'an integer', file[name])
  const { v, classes, m, s, L } = file as unknown as Shape
  const shape = { v, classes, m, s, L }
  try {
    checkShape(shape, where)
  } catch (error) {
    // sizes of a file are no usage of the program
    if (error instanceof TreelineError) fail('TL_BAD_FILE', error.message)
    throw error
  }
  return shape
}

/** Lists [parents][m] of one level, each of the right length. Nothing is allocated before all of them are there. */
function rows(value: unknown, shape: Shape, level: number, where: string): readonly (readonly unknown[])[] {
  const parents = parentsAt(shape, level)
  const of = level === 0 ? 'rows, one a class' : 'rows, one a symbol'
  return asList(value, where, of, parents).map((row, parent) =>
    asList(row, `${where}[${parent}]`, 'rules of each symbol (m)', shape.m),
  )
}

function readTable(value: unknown, shape: Shape, level: number, where: string): Int32Array {
  const { v, m, s } = shape
  const all = rows(value, shape, level, where)
  const out = new Int32Array(all.length * m * s)
  let at = 0
  for (const [parent, row] of all.entries())
    for (const [k, tuple] of row.entries()) {
      const place = `${where}[${parent}][${k}]`
      for (const [i, symbol] of asList(tuple, place, 'symbols (s)', s).entries())
        out[at++] = asSymbol(symbol, `${place}[${i}]`, v)
    }
  invertTable(shape, out, all.length, (rule, first) => {
    const name = (n: number): string => `${where}[${Math.floor(n / m)}][${n % m}]`
    const tuple = out.subarray(rule * s, (rule + 1) * s).join(', ')
    fail(
      'TL_BAD_FILE',
      `${name(rule)}: expected a tuple of its own, got (${tuple}), which is that of ${name(first)} already (every tuple has at most one parent)`,
    )
  })
  return out
}

function readProbabilities(value: unknown, shape: Shape, level: number, where: string): Float64Array {
  const { m } = shape
  const all = rows(value, shape, level, where)
  const out = new Float64Array(all.length * m)
  for (const [parent, row] of all.entries()) {
    let sum = 0
    for (const [k, p] of row.entries()) {
      const probability = asWeight(p, `${where}[${parent}][${k}]`, 'a probability 0 … 1')
      out[parent * m + k] = probability
      sum += probability
    }
    if (!(Math.abs(sum - 1) <= nearSum))
      fail('TL_BAD_FILE', `${where}[${parent}]: expected probabilities that sum to 1, they sum to ${sum}`)
    if (Math.abs(sum - 1) > exactSum) for (let k = 0; k < m; k++) out[parent * m + k]! /= sum
  }
  return out
}
