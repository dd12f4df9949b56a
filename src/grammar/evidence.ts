/** @file Files of strings and of evidence about strings, read without trusting them. */
import { didYouMean, fail } from '../base/index.ts'
import type { Grammar } from './grammar.ts'
import { asList, asObject, asSymbol, asWeight, describe, expected, parseJson } from './json.ts'

/** Strings of a grammar's length: leaves Int32Array [count, d]. */
export interface Strings {
  readonly count: number
  readonly leaves: Int32Array
}

/** What is known of the leaves of some strings, as likelihoods [count, d, v] ≥ 0, any scale for each row. */
export interface Evidence {
  readonly count: number
  readonly likelihood: Float64Array
  /** The file held a list (and answers should be one). */
  readonly list: boolean
}

/** Likelihoods of one file: 1 GB. Tokens are few bytes in a file and v numbers in memory. */
const maxLikelihoods = 2 ** 27

/** The text of a strings file; see `readStrings`. */
export const stringsFromText = (grammar: Grammar, text: string, where = 'strings'): Strings =>
  readStrings(grammar, parseJson(text, where), where)

/**
 * Parsed JSON to strings: `{ "strings": [[…], …] }` (what `treeline grammar sample --json` prints), a list of lists, or the
 * one list of a single string. Throws TL_BAD_FILE, with the place, for a wrong length or a symbol that does not exist.
 */
export function readStrings({ v, d }: Grammar, value: unknown, where = 'strings'): Strings {
  const object = typeof value === 'object' && value !== null && !Array.isArray(value)
  const found = object ? (value as Record<string, unknown>)['strings'] : value
  const place = object ? `${where}: strings` : `${where}: `
  if (!Array.isArray(found)) return expected(where, '{ "strings": [[…], …] } or a list of strings', value)
  const single = found.length > 0 && typeof found[0] === 'number'
  const all: readonly unknown[] = single ? [found] : found
  const lists = all.map((string, i) => asList(string, `${place}[${i}]`, 'symbols (d = s^L)', d))
  const leaves = new Int32Array(lists.length * d)
  for (const [i, string] of lists.entries())
    for (const [j, symbol] of string.entries())
      leaves[i * d + j] = asSymbol(symbol, `${place}[${i}][${j}]`, v)
  return { count: lists.length, leaves }
}

/** The text of an `*.evidence.json` file; see `readEvidence`. */
export const evidenceFromText = (grammar: Grammar, text: string, where = 'evidence'): Evidence =>
  readEvidence(grammar, parseJson(text, where), where)

/**
 * Parsed JSON to evidence: `{ "likelihood": d rows of v numbers ≥ 0 }` or `{ "tokens": d symbols, null where unseen }`, or a
 * list of these. A row may be all zeros (evidence that nothing can give). Throws TL_BAD_FILE with the place, also when the
 * likelihoods would take more than 1 GB.
 */
export function readEvidence(grammar: Grammar, value: unknown, where = 'evidence'): Evidence {
  const { v, d } = grammar
  const list = Array.isArray(value)
  const all: readonly unknown[] = list ? value : [value]
  if (all.length * d * v > maxLikelihoods)
    fail(
      'TL_BAD_FILE',
      `${where}: expected at most ${Math.floor(maxLikelihoods / (d * v))} data of ${d} · ${v} likelihoods at once, got ${all.length}`,
    )
  const data = all.map((datum, i) => checkDatum(datum, d, where, list ? `[${i}]` : ''))
  const likelihood = new Float64Array(all.length * d * v)
  for (const [i, { field, rows, place }] of data.entries()) {
    const out = likelihood.subarray(i * d * v, (i + 1) * d * v)
    if (field === 'tokens') fillTokens(rows, v, out, place)
    else fillLikelihood(rows, v, out, place)
  }
  return { count: all.length, likelihood, list }
}

/** One datum of a file: its rows, and what to call them. */
interface Datum {
  readonly field: 'likelihood' | 'tokens'
  readonly rows: readonly unknown[]
  readonly place: string
}

/** `at` is the place of the datum in a list, such as `[3]`. */
function checkDatum(value: unknown, d: number, where: string, at: string): Datum {
  const here = at ? `${where}: ${at}` : where
  const datum = asObject(value, here, '{ "likelihood": … } or { "tokens": … }')
  const names = Object.keys(datum)
  const known = ['likelihood', 'tokens'] as const
  for (const name of names)
    if (!known.some((field) => field === name))
      fail(
        'TL_BAD_FILE',
        `${here}: ${describe(name)}: there is no such field: ${didYouMean(name.slice(0, 40), known)}`,
      )
  if (names.length !== 1)
    fail(
      'TL_BAD_FILE',
      `${here}: expected either likelihood or tokens, got ${names.length === 0 ? 'neither' : 'both'}`,
    )
  const field = names[0] as Datum['field']
  const of = field === 'tokens' ? 'symbols or nulls (d = s^L)' : 'rows, one a leaf (d = s^L)'
  const place = `${where}: ${at ? `${at}.` : ''}${field}`
  return { field, rows: asList(datum[field], place, of, d), place }
}

function fillTokens(tokens: readonly unknown[], v: number, out: Float64Array, place: string): void {
  for (const [j, token] of tokens.entries()) {
    if (token === null) out.fill(1, j * v, (j + 1) * v)
    else out[j * v + asSymbol(token, `${place}[${j}] (or null, not seen)`, v)] = 1
  }
}

function fillLikelihood(rows: readonly unknown[], v: number, out: Float64Array, place: string): void {
  for (const [j, row] of rows.entries())
    for (const [symbol, weight] of asList(
      row,
      `${place}[${j}]`,
      'likelihoods, one a symbol (v)',
      v,
    ).entries())
      out[j * v + symbol] = asWeight(weight, `${place}[${j}][${symbol}]`, 'a finite number ≥ 0')
}
