import {
  fail,
  isObject,
  type JsonObject,
  type Placed,
  parseRecords,
  TreelineError,
} from '../../base/index.ts'
import { readText } from '../../base/read.ts'
import type { Fact, FactSource } from './fact.ts'
import { fieldsOf } from './fields.ts'
import {
  type Lesson,
  type Loose,
  present,
  type Questions,
  rewriteShape,
  type Shape,
  shapes,
  withSubjectIn,
} from './shapes.ts'

const has = (record: JsonObject, field: string): boolean =>
  Object.hasOwn(record, field) && record[field] !== null

/** The shape a record comes nearest to, for messages: the largest part of its fields is there. Our own, if in doubt. */
function nearestShape(record: JsonObject): Shape | undefined {
  const share = ({ fields }: Shape): number =>
    fields.filter((field) => has(record, field)).length / fields.length
  const best = shapes.toReversed().sort((a, b) => share(b) - share(a))[0]!
  return share(best) > 0 ? best : undefined
}

export interface ReadOptions {
  /** Facts that are only to be taught: what evaluation alone would ask is left out where it cannot be read (default false). */
  readonly teaching?: boolean
}

/** One fact: what it teaches must be readable; what else it asks, unless it is only to be taught. */
function factOf(
  source: FactSource,
  { teaching = false }: ReadOptions,
  lesson: () => Lesson,
  questions: () => Loose<Questions>,
): Fact {
  const own = lesson()
  const { subject } = own
  const place = `${source.file}:${source.line}: record ${source.record}`
  let asked: Questions = {}
  try {
    asked = present(questions())
    const { rephrase } = asked
    if (rephrase !== undefined) asked = { ...asked, rephrase: withSubjectIn(rephrase, subject, place) }
  } catch (error) {
    if (!teaching || !(error instanceof TreelineError)) throw error
  }
  return { ...own, ...asked, source }
}

function factsOf({ value, line }: Placed, record: number, file: string, options: ReadOptions): Fact[] {
  const where = `${file}:${line}: record ${record}`
  if (!isObject(value)) return fail('TL_BAD_FILE', `${where}: expected an object with a prompt and a target`)
  const place = { file, record, line }
  const rewrites = value['requested_rewrite']
  const isNested =
    Array.isArray(rewrites) ||
    (isObject(rewrites) && (has(value, 'paraphrase_prompts') || has(value, 'neighborhood_prompts'))) ||
    (isObject(rewrites) && isObject(rewrites['target_new']))
  if (isNested) {
    const shape = Array.isArray(rewrites) ? 'mquake' : 'counterfact, nested'
    const all = fieldsOf(value, where).parts('requested_rewrite')
    if (all.length === 0) fail('TL_BAD_FILE', `${where}: field "requested_rewrite" is an empty list`)
    return all.map((rewrite, i) =>
      factOf(
        { ...place, shape, ...(all.length > 1 && { part: i + 1 }) },
        options,
        () => rewriteShape.lesson(rewrite, where),
        () => rewriteShape.questions(rewrite, fieldsOf(value, where)),
      ),
    )
  }
  // results of EasyEdit repeat the request under this name
  const body = isObject(rewrites) ? rewrites : value
  const shape = shapes.find(({ fields }) => fields.every((field) => has(body, field)))
  if (shape) {
    const fields = fieldsOf(body, where)
    const source = { ...place, shape: shape.name }
    return [
      factOf(
        source,
        options,
        () => shape.lesson(fields, where),
        () => shape.questions(fields),
      ),
    ]
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
export function parseFacts(text: string, file: string, options: ReadOptions = {}): Fact[] {
  const records = parseRecords(text, file)
  if (records.length === 0) fail('TL_BAD_FILE', `${file}: an empty list; expected at least one fact`)
  return records.flatMap((record, index) => factsOf(record, index + 1, file, options))
}

/** The facts in a file. Throws `TL_IO` and what `parseFacts` throws. */
export function readFacts(path: string, options: ReadOptions = {}): Fact[] {
  return parseFacts(readText(path), path, options)
}
