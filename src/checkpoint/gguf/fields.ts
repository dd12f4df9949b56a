/** @file The metadata of a GGUF file: numbers, texts, and arrays of them, each with the type it has in the file. */
import { fail } from '../../base/index.ts'
import { quoted } from '../header.ts'
import type { Cursor } from './cursor.ts'

/** Types of fixed size: their code in the file and the array that holds them. `bool` is a byte, 0 or 1. */
const NUMBERS = {
  uint8: [0, Uint8Array],
  int8: [1, Int8Array],
  uint16: [2, Uint16Array],
  int16: [3, Int16Array],
  uint32: [4, Uint32Array],
  int32: [5, Int32Array],
  float32: [6, Float32Array],
  bool: [7, Uint8Array],
  uint64: [10, BigUint64Array],
  int64: [11, BigInt64Array],
  float64: [12, Float64Array],
} as const
const STRING = 8
const ARRAY = 9

/** A type of fixed size. */
export type GgufNumber = keyof typeof NUMBERS
/** Arrays of numbers are typed arrays, so that they take no more memory than in the file; of `bool`, bytes 0 and 1. */
export type GgufNumbers =
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | BigUint64Array
  | BigInt64Array
  | Float32Array
  | Float64Array

/** One value and its type. 64-bit integers beyond 2^53 are bigints. */
export type GgufField =
  | { type: GgufNumber; value: number | bigint | boolean }
  | { type: 'string'; value: string }
  | { type: 'array'; of: GgufNumber; value: GgufNumbers }
  | { type: 'array'; of: 'string'; value: readonly string[] }
  | { type: 'array'; of: 'array'; value: readonly GgufField[] }

const typeNames = new Map(
  Object.entries(NUMBERS).map(([name, [code]]) => [code as number, name as GgufNumber]),
)

/** Arrays of arrays deeper than this are in no model file. */
const MAX_DEPTH = 8
/** Arrays within arrays, over the whole file: each costs more memory than its 12 bytes in the file. */
const MAX_NESTED = 1 << 16

/** The value alone: nested arrays as arrays of arrays. */
const plainValue = (field: GgufField): unknown =>
  field.type === 'array' && field.of === 'array' ? field.value.map(plainValue) : field.value

/** A list of texts that are decoded at the first look. */
function textsField(decode: () => readonly string[]): GgufField {
  let later: (() => readonly string[]) | undefined = decode
  let value: readonly string[] = []
  return {
    ...{ type: 'array', of: 'string' },
    get value() {
      if (later) value = later()
      later = undefined
      return value
    },
  }
}

/** Values alone, by key. */
export function plainValues(fields: ReadonlyMap<string, GgufField>): Record<string, unknown> {
  const values: Record<string, unknown> = {}
  for (const [key, field] of fields) {
    const get = (): unknown => plainValue(field)
    const isLong = field.type === 'array' && field.of === 'string'
    Object.defineProperty(values, key, { enumerable: true, ...(isLong ? { get } : { value: get() }) })
  }
  return values
}

/** Reads typed values; one reader for a whole header, because it counts what it meets. Throws `TL_BAD_FILE`. */
export function fieldReader(cursor: Cursor, label: string) {
  let nested = 0

  function scalar(type: GgufNumber, what: string): GgufField {
    const [, make] = NUMBERS[type]
    const found = new make(cursor.bytes(make.BYTES_PER_ELEMENT, what).buffer)[0]!
    if (type === 'bool') return { type, value: truth(found as number, what) }
    const wide = typeof found === 'bigint' && !Number.isSafeInteger(Number(found))
    return { type, value: wide ? found : Number(found) }
  }
  function truth(byte: number, what: string): boolean {
    if (byte > 1) fail('TL_BAD_FILE', `${label}: ${what}: a bool is ${byte}, expected 0 or 1`)
    return byte === 1
  }
  function array(what: string, depth: number): GgufField {
    const code = cursor.u32(`the element type of ${what}`)
    const type = typeNames.get(code)
    if (type !== undefined) {
      const [, make] = NUMBERS[type]
      const length = cursor.count(`the length of ${what}`, make.BYTES_PER_ELEMENT)
      const value = new make(cursor.bytes(length * make.BYTES_PER_ELEMENT, what).buffer)
      if (type === 'bool') for (const byte of value) truth(byte as number, what)
      return { type: 'array', of: type, value }
    }
    if (code === STRING) {
      const length = cursor.count(`the length of ${what}`, 8)
      return textsField(cursor.texts(length, what))
    }
    if (code !== ARRAY) return unknownType(code, `the elements of ${what}`)
    if (depth === MAX_DEPTH)
      fail('TL_BAD_FILE', `${label}: ${what}: arrays nested more than ${MAX_DEPTH} deep`)
    const length = cursor.count(`the length of ${what}`, 12)
    nested += length
    if (nested > MAX_NESTED)
      fail('TL_BAD_FILE', `${label}: ${what}: more than ${MAX_NESTED} arrays in arrays`)
    const value: GgufField[] = []
    for (let i = 0; i < length; i++) value.push(array(what, depth + 1))
    return { type: 'array', of: 'array', value }
  }
  const unknownType = (code: number, what: string): never =>
    fail('TL_BAD_FILE', `${label}: ${what}: unknown type ${code}, expected 0 to 12`)

  /** The type and value that follow a key. */
  return (key: string): GgufField => {
    const what = `metadata ${quoted(key)}`
    const code = cursor.u32(`the type of ${what}`)
    if (code === STRING) return { type: 'string', value: cursor.text(what) }
    if (code === ARRAY) return array(what, 1)
    const type = typeNames.get(code)
    return type === undefined ? unknownType(code, what) : scalar(type, what)
  }
}

/** Text as the format has it: 64-bit length, UTF-8. */
export function encodeText(text: string): Uint8Array {
  const body = Buffer.from(text)
  const whole = Buffer.alloc(8 + body.byteLength)
  whole.writeBigUInt64LE(BigInt(body.byteLength))
  whole.set(body, 8)
  return whole
}

/** Type code and value of a field, as they stand after its key. Throws `TL_BAD_ARGUMENT` for a value its type cannot hold. */
export function encodeField(field: GgufField, what: string): Uint8Array[] {
  if (field.type === 'array') return [u32(ARRAY), ...encodeArray(field, what)]
  if (field.type === 'string') return [u32(STRING), encodeText(field.value)]
  const row = Object.hasOwn(NUMBERS, field.type) ? NUMBERS[field.type] : undefined
  if (!row) return fail('TL_BAD_ARGUMENT', `${what}: unknown type "${field.type}"`)
  const [code, make] = row
  const value = typeof field.value === 'boolean' ? Number(field.value) : field.value
  const wide = make === BigInt64Array || make === BigUint64Array
  if (wide && typeof value === 'number' && !Number.isInteger(value))
    fail('TL_BAD_ARGUMENT', `${what}: ${value} is no ${field.type}`)
  const stored = new make(1)
  stored[0] = wide ? BigInt(value) : Number(value)
  const float = field.type === 'float32' || field.type === 'float64'
  const beyond = field.type === 'bool' && Number(value) > 1
  // biome-ignore lint/suspicious/noDoubleEquals: 5n == 5 is what is meant
  if (beyond || !(float || stored[0] == value))
    fail('TL_BAD_ARGUMENT', `${what}: ${value} is no ${field.type}`)
  return [u32(code), new Uint8Array(stored.buffer)]
}

function encodeArray(field: GgufField & { type: 'array' }, what: string): Uint8Array[] {
  if (field.of === 'string') return [u32(STRING), u64(field.value.length), ...field.value.map(encodeText)]
  if (field.of === 'array') {
    const items = field.value.flatMap((item) => {
      if (item.type === 'array') return encodeArray(item, what)
      return fail('TL_BAD_ARGUMENT', `${what}: an array of arrays holds a ${item.type}`)
    })
    return [u32(ARRAY), u64(field.value.length), ...items]
  }
  const [code, make] = NUMBERS[field.of]
  const { value } = field
  if (!(value instanceof make))
    return fail('TL_BAD_ARGUMENT', `${what}: an array of ${field.of} takes a ${make.name}`)
  return [u32(code), u64(value.length), new Uint8Array(value.buffer, value.byteOffset, value.byteLength)]
}

export const u32 = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer)
export const u64 = (value: number): Uint8Array => new Uint8Array(BigUint64Array.of(BigInt(value)).buffer)

/**
 * The type that llama.cpp expects most often: whole numbers uint32 (int32 below zero, 64 bits beyond), others float32,
 * lists of whole numbers int32, of others float32. Where that is wrong (a float that happens to be whole) give the field
 * itself, `{ type: 'float32', value: 10000 }`. Throws `TL_BAD_ARGUMENT` for what the format has no type for.
 */
export function fieldOf(value: unknown, what: string): GgufField {
  if (typeof value === 'string') return { type: 'string', value }
  if (typeof value === 'boolean') return { type: 'bool', value }
  if (typeof value === 'bigint') return { type: value < 0n ? 'int64' : 'uint64', value }
  if (typeof value === 'number') return { type: numberType(value), value }
  if (Array.isArray(value)) return arrayField(value, what)
  for (const type of typeNames.values())
    if (type !== 'bool' && value instanceof NUMBERS[type][1]) return { type: 'array', of: type, value }
  if (isField(value)) return value
  return fail(
    'TL_BAD_ARGUMENT',
    `${what}: expected a number, text, truth value or list of them, got ${typeof value}`,
  )
}

const isField = (value: unknown): value is GgufField =>
  typeof value === 'object' && value !== null && 'type' in value && 'value' in value

function numberType(value: number): GgufNumber {
  if (!Number.isSafeInteger(value)) return 'float32'
  if (value < 0) return value < -(2 ** 31) ? 'int64' : 'int32'
  return value < 2 ** 32 ? 'uint32' : 'uint64'
}

function arrayField(list: unknown[], what: string): GgufField {
  if (list.length > 0 && list.every((item) => typeof item === 'string'))
    return { type: 'array', of: 'string', value: list }
  if (list.length > 0 && list.every((item) => typeof item === 'boolean'))
    return { type: 'array', of: 'bool', value: Uint8Array.from(list, Number) }
  if (list.every((item) => typeof item === 'number'))
    return list.every((item) => Number.isInteger(item) && Math.abs(item) < 2 ** 31)
      ? { type: 'array', of: 'int32', value: Int32Array.from(list) }
      : { type: 'array', of: 'float32', value: Float32Array.from(list) }
  const items = list.map((item) => fieldOf(item, what))
  if (items.every((item) => item.type === 'array')) return { type: 'array', of: 'array', value: items }
  return fail(
    'TL_BAD_ARGUMENT',
    `${what}: a list of one kind was expected: numbers, texts, truth values or lists`,
  )
}
