/** @file Fields of a record, checked: a mistake names the record's place and the field. */
import { fail, isObject, type JsonObject } from '../../base/index.ts'

export interface Fields {
  readonly keys: readonly string[]
  /** A text that must be there and not be blank. */
  text(key: string): string
  /** A text that may be absent or blank. */
  optional(key: string): string | undefined
  /** A text, `{ "str": text }`, or the first of a list of them, however nested; undefined where there is none. */
  first(key: string): string | undefined
  /** The same, which must be there. */
  answer(key: string): string
  /** An object, or each of a list of objects; none where there is none. */
  parts(key: string): Fields[]
}

const kind = (value: unknown): string => {
  if (value === undefined) return 'missing'
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'a list'
  return typeof value === 'object' ? 'an object' : `${JSON.stringify(value)}`
}

export function fieldsOf(record: JsonObject, where: string, path = ''): Fields {
  const wrong = (key: string, expected: string, value = record[key]): never =>
    fail('TL_BAD_FILE', `${where}: field "${path}${key}" is ${kind(value)}, expected ${expected}`)
  const has = (key: string): boolean => Object.hasOwn(record, key) && record[key] !== null
  const filled = (text: string): string | undefined => (text.trim() === '' ? undefined : text)
  function textIn(value: unknown, key: string): string | undefined {
    if (typeof value === 'string') return filled(value)
    if (isObject(value) && typeof value['str'] === 'string') return filled(value['str'])
    if (!Array.isArray(value)) return wrong(key, 'a text, { "str": a text }, or a list of texts', value)
    for (const one of value) {
      const text = one === null ? undefined : textIn(one, key)
      if (text !== undefined) return text
    }
    return undefined
  }
  const fields: Fields = {
    keys: Object.keys(record),
    optional(key) {
      if (!has(key)) return undefined
      const value = record[key]
      return typeof value === 'string' ? filled(value) : wrong(key, 'a text')
    },
    text(key) {
      if (!Object.hasOwn(record, key) || typeof record[key] !== 'string') return wrong(key, 'a text')
      return fields.optional(key) ?? wrong(key, 'a text that is not empty')
    },
    first: (key) => (has(key) ? textIn(record[key], key) : undefined),
    answer(key) {
      if (!has(key)) return wrong(key, 'a text')
      return fields.first(key) ?? wrong(key, 'a text that is not empty')
    },
    parts(key) {
      if (!has(key)) return []
      const value = record[key]
      if (isObject(value)) return [fieldsOf(value, where, `${path}${key}.`)]
      if (!Array.isArray(value)) return wrong(key, 'an object or a list of objects')
      return value.map((one, i) =>
        isObject(one)
          ? fieldsOf(one, where, `${path}${key}[${i}].`)
          : wrong(`${key}[${i}]`, 'an object', one),
      )
    },
  }
  return fields
}
