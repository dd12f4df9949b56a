/**
 * @file The shapes in which editing data are published, recognised by their fields. One row each, the more particular first. ZsRE
 * (Levy et al. 2017, in MEND's and SERAC's form), CounterFact (Meng et al. 2022, and flattened as EasyEdit reads it) and ROME's
 * requests, MQuAKE (Zhong et al. 2023), SelfCheckGPT and temporal edits (WISE, Wang et al. 2024), KnowEdit (Zhang et al. 2024) and
 * EasyEdit's requests, and our own.
 */
import { fail } from '../../base/index.ts'
import type { Fact } from './fact.ts'
import type { Fields } from './fields.ts'

/** What a fact teaches. */
export type Lesson = Pick<Fact, 'prompt' | 'target' | 'subject'>
/** What only evaluation asks, or takes along. */
export type Questions = Omit<Fact, 'source' | keyof Lesson>

export interface Shape {
  readonly name: string
  /** A record has this shape when it has all these fields. */
  readonly fields: readonly string[]
  readonly lesson: (fields: Fields, where: string) => Lesson
  readonly questions: (fields: Fields) => Loose<Questions>
}

export type Loose<T> = { [K in keyof T]: T[K] | undefined }

/** Only what is there: no key with an undefined value. */
export const present = <T>(body: Loose<T>): T =>
  Object.fromEntries(Object.entries(body).filter(([, value]) => value !== undefined)) as T

/** The subject, by the names it has had. */
const subjectOf = (fields: Fields): string | undefined =>
  fields.optional('subject') ?? fields.optional('entity') ?? fields.optional('concept')

/** A prompt with its subject in the place of `{}`, as ROME writes requests. Throws `TL_BAD_FILE` where there is no subject. */
export function withSubjectIn(prompt: string, subject: string | undefined, where: string): string {
  if (!prompt.includes('{}')) return prompt
  if (subject === undefined)
    return fail(
      'TL_BAD_FILE',
      `${where}: the prompt ${JSON.stringify(prompt)} has {} in the place of a subject, and no subject is given: add one, or write the prompt out`,
    )
  return prompt.replaceAll('{}', () => subject)
}

/** A lesson whose texts stand under these names. */
const lessonOf =
  (prompt: string, target: string): Shape['lesson'] =>
  (fields, where) => {
    const subject = subjectOf(fields)
    return present({
      prompt: withSubjectIn(fields.text(prompt), subject, where),
      target: fields.answer(target),
      subject,
    })
  }

/** A question and its answer; without an answer there is nothing to hold on to. */
const pair = (prompt: string | undefined, answer: string | undefined): Fact['locality'] =>
  prompt !== undefined && answer !== undefined ? { prompt, answer } : undefined

/** `prompt`, `target_new` and what else the flat files have. */
const flat =
  (rephrase: string): Shape['questions'] =>
  (fields) => ({
    rephrase: fields.first(rephrase) ?? fields.first('rephrase'),
    locality: pair(fields.first('locality_prompt'), fields.first('locality_ground_truth')) ?? named(fields),
    unrelated: fields.optional('loc_prompt'),
    before: fields.first('ground_truth') ?? fields.first('target_true'),
  })

/** Names under which EasyEdit and KnowEdit keep locality, the usual ones first. */
const usual = ['neighborhood', 'Relation_Specificity', 'Forgetfulness']

/** EasyEdit and KnowEdit keep locality under names of their own: the first question that has an answer. */
function named(fields: Fields): Fact['locality'] {
  const rank = (name: string): number => (usual.indexOf(name) + 1 || usual.length + 1) - 1
  for (const all of fields.parts('locality'))
    for (const name of all.keys.toSorted((a, b) => rank(a) - rank(b)))
      for (const one of all.parts(name)) {
        const found = pair(one.first('prompt'), one.first('ground_truth'))
        if (found) return found
      }
  return undefined
}

/** Every shape of a record that is one fact. */
export const shapes: readonly Shape[] = [
  {
    name: 'zsre',
    fields: ['src', 'alt'],
    lesson: lessonOf('src', 'alt'),
    questions: (fields) => ({
      rephrase: fields.first('rephrase'),
      locality: pair(fields.first('loc'), fields.first('loc_ans')),
      unrelated: fields.optional('loc_prompt'),
    }),
  },
  {
    name: 'easyedit',
    fields: ['prompt', 'target_new', 'locality'],
    lesson: lessonOf('prompt', 'target_new'),
    questions: flat('rephrase_prompt'),
  },
  {
    name: 'temporal',
    fields: ['prompt', 'target_new', 'ood_rephrase'],
    lesson: lessonOf('prompt', 'target_new'),
    questions: flat('ood_rephrase'),
  },
  {
    name: 'counterfact',
    fields: ['prompt', 'target_new', 'rephrase_prompt', 'locality_prompt'],
    lesson: lessonOf('prompt', 'target_new'),
    questions: flat('rephrase_prompt'),
  },
  {
    name: 'selfcheckgpt',
    fields: ['prompt', 'target_new', 'locality_prompt'],
    lesson: lessonOf('prompt', 'target_new'),
    questions: flat('rephrase_prompt'),
  },
  {
    name: 'easyedit',
    fields: ['prompt', 'target_new'],
    lesson: lessonOf('prompt', 'target_new'),
    questions: flat('rephrase_prompt'),
  },
  {
    name: 'knowedit, wikibio',
    fields: ['text', 'labels'],
    lesson: lessonOf('text', 'labels'),
    questions: flat('rephrase_prompt'),
  },
  {
    name: 'treeline',
    fields: ['prompt', 'target'],
    lesson: lessonOf('prompt', 'target'),
    questions: (fields) => {
      const [locality] = fields.parts('locality')
      return {
        rephrase: fields.first('rephrase'),
        locality: locality && { prompt: locality.text('prompt'), answer: locality.answer('answer') },
        unrelated: fields.optional('unrelated'),
        before: fields.optional('before'),
      }
    },
  },
]

/** What stands inside `requested_rewrite`: one fact of a record that may ask more about it (CounterFact), or of several (MQuAKE). */
export const rewriteShape = {
  lesson: lessonOf('prompt', 'target_new'),
  questions: (rewrite: Fields, record: Fields): Loose<Questions> => {
    const before = rewrite.first('target_true')
    return {
      rephrase: record.first('paraphrase_prompts') ?? rewrite.first('question'),
      locality: pair(record.first('neighborhood_prompts'), before),
      before,
    }
  },
} as const
