/** @file Parts of a tokenizer.json, checked: what has another form than expected is refused in one line. */
import { fail, isObject, type JsonObject } from '../base/index.ts'

const short = (value: unknown): string => (JSON.stringify(value) ?? 'missing').slice(0, 60)

/** Throws `TL_BAD_FILE` unless the value is an object. */
export const objectOf = (value: unknown, what: string, label: string): JsonObject =>
  isObject(value) ? value : fail('TL_BAD_FILE', `${label}: ${what} is ${short(value)}, expected an object`)

/** Throws `TL_BAD_FILE` unless the value is a list of objects. */
export const objectsOf = (value: unknown, what: string, label: string): JsonObject[] =>
  Array.isArray(value)
    ? value.map((one) => objectOf(one, `an entry of ${what}`, label))
    : fail('TL_BAD_FILE', `${label}: ${what} is ${short(value)}, expected a list of objects`)

/** Throws `TL_BAD_FILE` unless the value is a text. */
export const textOf = (value: unknown, what: string, label: string): string =>
  typeof value === 'string'
    ? value
    : fail('TL_BAD_FILE', `${label}: ${what} is ${short(value)}, expected a text`)
