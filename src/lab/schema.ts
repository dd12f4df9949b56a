/** @file What a config schema says about one field, in words and for parsing: a thin view of its JSON Schema. */
import { z } from 'zod'

/** The part of JSON Schema that zod writes and we read. */
export interface FieldSchema {
  type?: string
  description?: string
  default?: unknown
  enum?: readonly unknown[]
  const?: unknown
  minimum?: number
  maximum?: number
  exclusiveMinimum?: number
  exclusiveMaximum?: number
  multipleOf?: number
  minItems?: number
  maxItems?: number
  items?: FieldSchema
  properties?: Record<string, FieldSchema>
  additionalProperties?: boolean | FieldSchema
  anyOf?: readonly FieldSchema[]
}

const known = new WeakMap<z.ZodType, FieldSchema>()

/** The JSON Schema of what users may write (fields with defaults are optional). */
export function fieldSchema(schema: z.ZodType): FieldSchema {
  const before = known.get(schema)
  if (before) return before
  const made = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as FieldSchema
  known.set(schema, made)
  return made
}

/** The schema at a path, or undefined when there is no such field. `[]` is the whole. */
export function fieldAt(root: FieldSchema, path: readonly PropertyKey[]): FieldSchema | undefined {
  let node: FieldSchema | undefined = root
  for (const key of path) {
    if (typeof key === 'number') node = node?.items
    else if (node?.properties)
      node = Object.hasOwn(node.properties, String(key)) ? node.properties[String(key)] : undefined
    else node = typeof node?.additionalProperties === 'object' ? node.additionalProperties : undefined
    if (!node) return undefined
  }
  return node
}

function range(field: FieldSchema): string {
  // zod writes the bounds of the safe integers for every integer: no news for a reader
  const safe = (bound: number | undefined) =>
    bound !== undefined && Math.abs(bound) < Number.MAX_SAFE_INTEGER ? bound : undefined
  const low = safe(field.minimum)
  const high = safe(field.maximum)
  const parts: string[] = []
  if (low !== undefined) parts.push(`>= ${low}`)
  if (field.exclusiveMinimum !== undefined) parts.push(`> ${field.exclusiveMinimum}`)
  if (high !== undefined) parts.push(`<= ${high}`)
  if (field.exclusiveMaximum !== undefined) parts.push(`< ${field.exclusiveMaximum}`)
  const of = field.multipleOf === undefined ? '' : `, a multiple of ${field.multipleOf}`
  return parts.length ? ` ${parts.join(' and ')}${of}` : of
}

const shown = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value))

/** What a field accepts, in words: `an integer >= 2`, `one of relu, gelu`, `a list of numbers > 0`. */
export function describeField(field: FieldSchema | undefined): string {
  if (!field) return 'a valid value'
  if (field.enum) return `one of ${field.enum.map(shown).join(', ')}`
  if (field.const !== undefined) return shown(field.const)
  if (field.anyOf) return field.anyOf.map(describeField).join(' or ')
  if (field.type === 'integer') return `an integer${range(field)}`
  if (field.type === 'number') return `a number${range(field)}`
  if (field.type === 'boolean') return 'true or false'
  if (field.type === 'string') return 'a text'
  if (field.type === 'null') return 'null'
  if (field.type === 'array') {
    const size = field.minItems ? ` of at least ${field.minItems}` : ''
    return `a list${size} (${describeField(field.items)} each)`
  }
  if (field.type === 'object') return 'a group of fields'
  return 'a valid value'
}

/** Every leaf field as a dotted path with its schema, in order of definition. */
export function leafFields(field: FieldSchema, prefix = ''): [path: string, field: FieldSchema][] {
  if (!field.properties) return prefix ? [[prefix, field]] : []
  return Object.entries(field.properties).flatMap(([key, child]) =>
    leafFields(child, prefix ? `${prefix}.${key}` : key),
  )
}

/**
 * Read a word from the command line as the type its field asks for. A word that does not fit is returned as text, and
 * validation then says what was expected.
 */
export function parseWord(word: string, field: FieldSchema | undefined): unknown {
  for (const option of field?.anyOf ?? []) {
    const value = parseWord(word, option)
    if (fits(value, option)) return value
  }
  if (field?.enum) return field.enum.find((choice) => shown(choice) === word) ?? word
  if (field?.const !== undefined) return shown(field.const) === word ? field.const : word
  if (field?.type === 'integer' || field?.type === 'number') {
    const value = Number(word)
    return word.trim() !== '' && Number.isFinite(value) ? value : word
  }
  if (field?.type === 'boolean') return word === 'true' ? true : word === 'false' ? false : word
  if (field?.type === 'null') return word === 'null' ? null : word
  if (field?.type === 'array' && !/^\s*\[/.test(word))
    return word === '' ? [] : word.split(',').map((part) => parseWord(part.trim(), field.items))
  if (field?.type === 'array' || field?.type === 'object') {
    try {
      return JSON.parse(word) as unknown
    } catch {
      return word
    }
  }
  return word
}

function fits(value: unknown, field: FieldSchema): boolean {
  if (field.enum) return field.enum.includes(value)
  if (field.const !== undefined) return field.const === value
  if (field.type === 'integer') return Number.isInteger(value)
  if (field.type === 'null') return value === null
  if (field.type === 'array') return Array.isArray(value)
  if (field.type === 'object') return typeof value === 'object' && value !== null
  return field.type === undefined || typeof value === field.type
}
