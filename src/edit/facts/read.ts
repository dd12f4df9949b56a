/** @file Files of facts, as JSON lists or JSON lines, in any of the published shapes. */
import { readFileSync } from 'node:fs'
import { explainSystemError } from '../../base/files.ts'
import { fail, type Placed, parseRecords } from '../../base/index.ts'
import type { Fact } from './fact.ts'
import { fieldsOf, isObject, type Json, type Shape, shapes } from './shapes.ts'

const has = (record: Json, field: string): boolean => Object.hasOwn(record, field) && record[field] !== null

/** The shape a record comes nearest to, for messages: the largest part of its fields is there. Our own, if in doubt. */
function nearestShape(record: Json): Shape | undefined {
  const share = ({ fields }: Shape): number =>
    fields.filter((field) => has(record, field)).length / fields.length
  const best = shapes.toReversed().sort((a, b) => share(b) - share(a))[0]!
  return share(best) > 0 ? best : undefined
}

function factOf({ value, line }: Placed, record: number, file: string): Fact {
  const where = `${file}:${line}: record ${record}`
  if (!isObject(value)) return fail('TL_BAD_FILE', `${where}: expected an object with a prompt and a target`)
  // results of EasyEdit repeat the request under this name
  const inner = value['requested_rewrite']
  const wrapped = isObject(inner) && !Object.hasOwn(value, 'paraphrase_prompts')
  const body = wrapped ? inner : value
  const shape = shapes.find(({ fields }) => fields.every((field) => has(body, field)))
  if (shape) {
    const fact = shape.read(fieldsOf(body, where))
    return { ...fact, source: { file, shape: shape.name, record, line } }
  }
  const near = nearestShape(body)
  const missing = near?.fields.filter((field) => !has(body, field)) ?? []
  const known = shapes.map(({ name, fields }) => `${name}: ${fields.join(', ')}`).join('; ')
  return fail(
    'TL_BAD_FILE',
    near
      ? `${where}: field "${missing[0]}" is missing (the shape "${near.name}" has ${near.fields.join(', ')})`
      : `${where}: none of the fields of a fact is there (known: ${known})`,
  )
}

/**
 * The facts in a text. Throws `TL_BAD_FILE`: for malformed JSON with the line, for a record without a field or with an
 * empty prompt or target with the record and the field.
 */
export function parseFacts(text: string, file: string): Fact[] {
  const records = parseRecords(text, file)
  if (records.length === 0) fail('TL_BAD_FILE', `${file}: an empty list; expected at least one fact`)
  return records.map((record, index) => factOf(record, index + 1, file))
}

/** The facts in a file. Throws `TL_IO` and what `parseFacts` throws. */
export function readFacts(path: string): Fact[] {
  let bytes: Uint8Array
  try {
    bytes = readFileSync(path)
  } catch (error) {
    return explainSystemError(error, `cannot read ${path}`)
  }
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    return fail('TL_BAD_FILE', `${path}: expected JSON in UTF-8; this is no text`)
  }
  return parseFacts(text, path)
}
