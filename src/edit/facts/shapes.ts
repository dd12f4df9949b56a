/**
 * @file The shapes in which editing data are published, recognised by their fields. One row each, the more particular
 * first. ZsRE (Levy et al. 2017, in MEND's and SERAC's form), CounterFact (Meng et al. 2022, and flattened as EasyEdit
 * reads it), SelfCheckGPT and temporal edits (WISE, Wang et al. 2024), EasyEdit's requests, and our own.
 */
import { fail } from '../../base/index.ts'
import type { Fact } from './fact.ts'

export type Json = Readonly<Record<string, unknown>>
type Body = Omit<Fact, 'source'>

/** Fields of a record, checked: a mistake names the record's place and the field. */
export interface Fields {
  /** A text that must be there and not be blank. */
  text(key: string): string
  /** A text that may be absent or blank. */
  optional(key: string): string | undefined
  /** A part that is an object, or undefined where there is none. */
  part(key: string): Fields | undefined
  /** The first text of a list, or undefined where there is none. */
  first(key: string): string | undefined
  readonly keys: readonly string[]
}

export const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const kind = (value: unknown): string => {
  if (value === undefined) return 'missing'
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'a list'
  return typeof value === 'object' ? 'an object' : `${JSON.stringify(value)}`
}

export function fieldsOf(record: Json, where: string, path = ''): Fields {
  const wrong = (key: string, expected: string): never =>
    fail('TL_BAD_FILE', `${where}: field "${path}${key}" is ${kind(record[key])}, expected ${expected}`)
  const has = (key: string): boolean => Object.hasOwn(record, key) && record[key] !== null
  const optional = (key: string): string | undefined => {
    if (!has(key)) return undefined
    const value = record[key]
    if (typeof value !== 'string') return wrong(key, 'a text')
    return value.trim() === '' ? undefined : value
  }
  return {
    keys: Object.keys(record),
    optional,
    text(key) {
      if (!Object.hasOwn(record, key) || typeof record[key] !== 'string') return wrong(key, 'a text')
      return optional(key) ?? wrong(key, 'a text that is not empty')
    },
    part(key) {
      if (!has(key)) return undefined
      const value = record[key]
      return isObject(value) ? fieldsOf(value, where, `${path}${key}.`) : wrong(key, 'an object')
    },
    first(key) {
      if (!has(key)) return undefined
      const value = record[key]
      if (typeof value === 'string') return optional(key)
      if (!Array.isArray(value)) return wrong(key, 'a text or a list of texts')
      const [text] = value as unknown[]
      if (text === undefined) return undefined
      return typeof text === 'string'
        ? text.trim() === ''
          ? undefined
          : text
        : wrong(key, 'a list of texts')
    },
  }
}

/** Only what is there: no key with an undefined value. */
const present = (body: { [K in keyof Body]: Body[K] | undefined } & Pick<Body, 'prompt' | 'target'>): Body =>
  Object.fromEntries(Object.entries(body).filter(([, value]) => value !== undefined)) as unknown as Body

/** A question and its answer; without an answer there is nothing to hold on to. */
const pair = (prompt: string | undefined, answer: string | undefined): Fact['locality'] =>
  prompt !== undefined && answer !== undefined ? { prompt, answer } : undefined

export interface Shape {
  readonly name: string
  /** A record has this shape when it has all these fields. */
  readonly fields: readonly string[]
  readonly read: (fields: Fields) => Body
}

/** `prompt`, `target_new` and what else the flat files have. */
const flat =
  (rephrase: string) =>
  (fields: Fields): Body =>
    present({
      prompt: fields.text('prompt'),
      target: fields.text('target_new'),
      subject: fields.optional('subject'),
      rephrase: fields.first(rephrase),
      locality: pair(fields.first('locality_prompt'), fields.first('locality_ground_truth')),
      unrelated: fields.optional('loc_prompt'),
      before: fields.first('ground_truth'),
    })

/** EasyEdit keeps locality under names of its own, the usual one being `neighborhood`; texts may be lists of texts. */
function neighborhood(fields: Fields): Fact['locality'] {
  const locality = fields.part('locality')
  const name = locality?.keys.includes('neighborhood') ? 'neighborhood' : locality?.keys[0]
  const one = name === undefined ? undefined : locality?.part(name)
  return pair(one?.first('prompt'), one?.first('ground_truth'))
}

function counterfact(fields: Fields): Body {
  const rewrite = fields.part('requested_rewrite')!
  const subject = rewrite.text('subject')
  const before = rewrite.part('target_true')?.optional('str')
  return present({
    prompt: rewrite.text('prompt').replaceAll('{}', () => subject),
    target: (rewrite.part('target_new') ?? rewrite).text(rewrite.part('target_new') ? 'str' : 'target_new'),
    subject,
    rephrase: fields.first('paraphrase_prompts'),
    locality: pair(fields.first('neighborhood_prompts'), before),
    before,
  })
}

/** Every shape that is read. */
export const shapes: readonly Shape[] = [
  {
    name: 'zsre',
    fields: ['src', 'alt'],
    read: (fields) =>
      present({
        prompt: fields.text('src'),
        target: fields.text('alt'),
        subject: fields.optional('subject'),
        rephrase: fields.first('rephrase'),
        locality: pair(fields.first('loc'), fields.first('loc_ans')),
        unrelated: fields.optional('loc_prompt'),
      }),
  },
  { name: 'counterfact, nested', fields: ['requested_rewrite', 'paraphrase_prompts'], read: counterfact },
  {
    name: 'easyedit',
    fields: ['prompt', 'target_new', 'locality'],
    read: (fields) => {
      const locality = neighborhood(fields)
      return { ...flat('rephrase_prompt')(fields), ...(locality ? { locality } : {}) }
    },
  },
  { name: 'temporal', fields: ['prompt', 'target_new', 'ood_rephrase'], read: flat('ood_rephrase') },
  {
    name: 'counterfact',
    fields: ['prompt', 'target_new', 'rephrase_prompt', 'locality_prompt'],
    read: flat('rephrase_prompt'),
  },
  {
    name: 'selfcheckgpt',
    fields: ['prompt', 'target_new', 'locality_prompt'],
    read: flat('rephrase_prompt'),
  },
  { name: 'easyedit', fields: ['prompt', 'target_new'], read: flat('rephrase_prompt') },
  {
    name: 'treeline',
    fields: ['prompt', 'target'],
    read: (fields) => {
      const locality = fields.part('locality')
      return present({
        prompt: fields.text('prompt'),
        target: fields.text('target'),
        subject: fields.optional('subject'),
        rephrase: fields.first('rephrase'),
        locality: locality && { prompt: locality.text('prompt'), answer: locality.text('answer') },
        unrelated: fields.optional('unrelated'),
        before: fields.optional('before'),
      })
    },
  },
]
