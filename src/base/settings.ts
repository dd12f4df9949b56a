/** @file Typed access to the settings in a JSON file of a model; a wrong one is named with its file, what was expected, and the value. */
import { fail } from './errors.ts'
import { isObject, type JsonObject } from './json.ts'

/** Settings of one file. A setting that is absent or null has its fallback. */
export interface Settings {
  readonly label: string
  readonly fields: JsonObject
  readonly has: (key: string) => boolean
  readonly flag: (key: string, fallback: boolean) => boolean
  /** A finite number. */
  readonly number: (key: string, fallback: number) => number
  /** A whole number from `least` on, at most 2^20. */
  readonly whole: (key: string, fallback: number, least?: number) => number
  /** One of some words; others are refused with the list. */
  readonly word: <W extends string>(key: string, fallback: W, words: readonly W[]) => W
  readonly list: <T>(
    key: string,
    fallback: readonly T[],
    isOne: (value: unknown) => value is T,
  ) => readonly T[]
  /** Refuse a value that is one of nothing we support. */
  readonly refuse: (key: string, supported: string) => never
}

export const isText = (value: unknown): value is string => typeof value === 'string'
export const isFiniteNumber = (value: unknown): value is number =>
  typeof value === 'number' && Number.isFinite(value)
export const isSize = (value: unknown): value is number =>
  Number.isSafeInteger(value) && (value as number) >= 1 && (value as number) <= 2 ** 20

/** The settings of an object, `label` being its file. Throws `TL_BAD_FILE` where it is none. */
export function settingsOf(value: unknown, label: string): Settings {
  if (!isObject(value)) return fail('TL_BAD_FILE', `${label}: expected a JSON object`)
  const fields = value
  const has = (key: string): boolean => fields[key] !== undefined && fields[key] !== null
  const wrong = (key: string, expected: string): never =>
    fail('TL_BAD_FILE', `${label}: "${key}" should be ${expected}, got ${JSON.stringify(fields[key])}`)
  const refuse = (key: string, supported: string): never =>
    fail(
      'TL_UNSUPPORTED',
      `${label}: "${key}" is ${JSON.stringify(fields[key])}, which is not supported: expected ${supported}`,
    )
  const read = <T>(key: string, fallback: T, expected: string, fits: (value: unknown) => value is T): T => {
    if (!has(key)) return fallback
    const own = fields[key]
    return fits(own) ? own : wrong(key, expected)
  }
  return {
    label,
    fields,
    has,
    refuse,
    flag: (key, fallback) =>
      read(key, fallback, 'true or false', (own): own is boolean => typeof own === 'boolean'),
    number: (key, fallback) => read(key, fallback, 'a finite number', isFiniteNumber),
    whole: (key, fallback, least = 1) =>
      read(
        key,
        fallback,
        `a whole number from ${least} to 2^20`,
        (own): own is number =>
          Number.isSafeInteger(own) && (own as number) >= least && (own as number) <= 2 ** 20,
      ),
    word<W extends string>(key: string, fallback: W, words: readonly W[]): W {
      const own = read<string>(key, fallback, 'a text', isText)
      return (
        words.find((word) => word === own) ??
        refuse(key, words.map((word) => JSON.stringify(word)).join(' or '))
      )
    },
    list: <T>(key: string, fallback: readonly T[], isOne: (value: unknown) => value is T) =>
      read<readonly T[]>(
        key,
        fallback,
        'a list of such values',
        (own): own is T[] =>
          Array.isArray(own) && own.length > 0 && own.length <= 2 ** 20 && own.every(isOne),
      ),
  }
}
