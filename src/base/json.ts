/** @file JSON as people and programs write lists: one list, or one object a line; mistakes are named by their line. */
import { fail } from './errors.ts'

/** An object of a parsed file, before anything is known of its members. */
export type JsonObject = Record<string, unknown>

/** Is a parsed value an object with keys, no list? */
export const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** A value and the line on which it begins. */
export interface Placed {
  readonly value: unknown
  readonly line: number
}

const lineAt = (text: string, offset: number): number => text.slice(0, offset).split('\n').length

const space = /[ \t\r\n]*/y
const scalar =
  /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y
const text = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y

/**
 * Walk over a text as JSON. Gives where the items of its outermost list begin and, for a text that is no JSON, where it
 * stops being one. `JSON.parse` says neither reliably.
 */
export function scanJson(source: string): { items: number[]; error?: { offset: number; expected: string } } {
  const items: number[] = []
  /** Closing brackets of what is open. */
  const open: string[] = []
  let at = 0
  const skip = (expression: RegExp): boolean => {
    expression.lastIndex = at
    if (!expression.test(source)) return false
    at = expression.lastIndex
    return true
  }
  const wrong = (expected: string) => ({ items, error: { offset: at, expected } })
  let expected: 'value' | 'first' | 'key' | 'more' = 'value'
  for (;;) {
    skip(space)
    const character = source[at]
    if (expected === 'more') {
      if (open.length === 0) return at === source.length ? { items } : wrong('nothing more')
      if (character === open.at(-1)) {
        open.pop()
        at++
      } else if (character === ',') {
        at++
        expected = open.at(-1) === '}' ? 'key' : 'value'
      } else return wrong(`"," or "${open.at(-1)}"`)
      continue
    }
    if (expected === 'first' && character === open.at(-1)) {
      open.pop()
      at++
      expected = 'more'
      continue
    }
    if (open.at(-1) === '}') {
      if (!skip(text)) return wrong('a key in double quotes')
      skip(space)
      if (source[at] !== ':') return wrong('":"')
      at++
      skip(space)
    }
    if (open.length === 1 && open[0] === ']') items.push(at)
    const opening = source[at]
    if (opening === '[' || opening === '{') {
      open.push(opening === '[' ? ']' : '}')
      at++
      expected = 'first'
    } else if (skip(scalar)) expected = 'more'
    else return wrong('a value')
  }
}

/** A text as JSON; `line` is where it begins. Throws `TL_BAD_FILE` with the line on which it stops being JSON. */
export function parseJson(source: string, label: string, line = 1): unknown {
  try {
    return JSON.parse(source)
  } catch (error) {
    const { error: place } = scanJson(source)
    if (!place) return fail('TL_BAD_FILE', `${label}:${line}: not JSON: ${(error as Error).message}`, error)
    const where = line - 1 + lineAt(source, place.offset)
    const rest = source.slice(place.offset).split(/\r?\n/)[0]!.slice(0, 40)
    const found =
      rest === '' ? (place.offset < source.length ? 'the end of the line' : 'the end') : JSON.stringify(rest)
    return fail('TL_BAD_FILE', `${label}:${where}: not JSON: expected ${place.expected}, found ${found}`)
  }
}

/** The records of a text: the items of a list, the lines of JSON lines, or the one object there is. Throws `TL_BAD_FILE` with the line. */
export function parseRecords(source: string, label: string): Placed[] {
  const body = source.replace(/^\ufeff/, '')
  if (body.trim() === '') return fail('TL_BAD_FILE', `${label}: empty; expected a JSON list or JSON lines`)
  if (/^\s*\{/.test(body)) {
    const lines = body.split('\n')
    const filled = lines.flatMap((line, index) =>
      line.trim() === '' ? [] : [{ text: line, line: index + 1 }],
    )
    const first = scanJson(filled[0]!.text)
    if (!first.error)
      return filled.map(({ text: one, line }) => ({ value: parseJson(one, label, line), line }))
  }
  const value = parseJson(body, label, 1)
  if (!Array.isArray(value)) return [{ value, line: lineAt(body, body.search(/\S/)) }]
  const lines: Placed[] = []
  let line = 1
  let seen = 0
  for (const [index, offset] of scanJson(body).items.entries()) {
    for (let end = body.indexOf('\n', seen); end !== -1 && end < offset; end = body.indexOf('\n', seen)) {
      line++
      seen = end + 1
    }
    lines.push({ value: value[index], line })
  }
  return lines
}

/** Refuse the bytes of a file that some editors write by default. Throws `TL_BAD_FILE` naming `label`. */
export function refuseUtf16([first, second]: Uint8Array, label: string): void {
  if ((first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff))
    fail('TL_BAD_FILE', `${label}: is UTF-16: save it as UTF-8`)
}

/** Parse the bytes of a JSON file; `label` names it in messages. Throws `TL_BAD_FILE`. */
export function parseJsonBytes(bytes: Uint8Array, label: string): unknown {
  const [first, second, third] = bytes
  if (first === 0xef && second === 0xbb && third === 0xbf)
    fail('TL_BAD_FILE', `${label}: begins with a byte-order mark: save it as UTF-8 without one`)
  refuseUtf16(bytes, label)
  try {
    return JSON.parse(new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes)) as unknown
  } catch (error) {
    return fail('TL_BAD_FILE', `${label}: not valid JSON: ${(error as Error).message.slice(0, 200)}`, error)
  }
}

/** A value that JSON can carry. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }

/** A copy that JSON carries as it is: numbers that are not finite become null, undefined members vanish, `toJSON` is asked. */
export function toJson(value: unknown): Json {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return value
  if (typeof value === 'number') return Number.isFinite(value) ? value : null
  if (typeof value === 'bigint') return value.toString()
  if (ArrayBuffer.isView(value) && !(value instanceof DataView))
    return Array.from(value as unknown as ArrayLike<number | bigint>, toJson)
  if (Array.isArray(value)) return value.map(toJson)
  if (typeof value !== 'object') return null
  if ('toJSON' in value && typeof value.toJSON === 'function') return toJson(value.toJSON())
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, member]) => member !== undefined)
      .map(([key, member]) => [key, toJson(member)]),
  )
}

/** Two-space JSON with a final newline, for files that people open. */
export const prettyJson = (value: unknown): string => `${JSON.stringify(toJson(value), null, 2)}\n`
