/** @file Reading JSON that nobody vouches for: every complaint names the place, what was expected and what is there. */
import { fail } from '../base/index.ts'

/** A value in words, short whatever it is. */
export function describe(value: unknown): string {
  if (value === undefined) return 'nothing'
  if (Array.isArray(value)) return value.length === 1 ? 'a list of 1' : `a list of ${value.length}`
  if (typeof value === 'object' && value !== null) return 'an object'
  const text = typeof value === 'number' ? String(value) : JSON.stringify(value)
  return text.length > 40 ? `${text.slice(0, 37)}…` : text
}

/** Throws TL_BAD_FILE: `where: expected …, got …`. */
export const expected = (where: string, what: string, got: unknown): never =>
  fail('TL_BAD_FILE', `${where}: expected ${what}, got ${describe(got)}`)

/** Text to a value; what is no JSON is refused with the parser's own words. */
export function parseJson(text: string, where: string): unknown {
  try {
    return JSON.parse(text.replace(/^\uFEFF/, ''))
  } catch (error) {
    const reason = (error as Error).message.replace(/\s+/g, ' ').slice(0, 160)
    return fail('TL_BAD_FILE', `${where}: this is not JSON (${reason})`, error)
  }
}

/** An object that is no list. */
export function asObject(value: unknown, where: string, what: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return expected(where, what, value)
  return value as Record<string, unknown>
}

/** A list, of this length when one is given. `of` says what it holds, as in `8 symbols`. */
export function asList(value: unknown, where: string, of: string, length?: number): readonly unknown[] {
  if (!Array.isArray(value))
    return expected(where, `a list of ${length ?? ''} ${of}`.replace('  ', ' '), value)
  if (length !== undefined && value.length !== length)
    fail('TL_BAD_FILE', `${where}: expected ${length} ${of}, got ${value.length}`)
  return value
}

/** A symbol 0 … below − 1. */
export function asSymbol(value: unknown, where: string, below: number): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value >= below)
    return expected(where, `a symbol 0 … ${below - 1}`, value)
  return value
}

/** A finite number ≥ 0. */
export function asWeight(value: unknown, where: string, what: string): number {
  if (typeof value !== 'number' || !Number.isFinite(value) || value < 0) return expected(where, what, value)
  return value
}
