/** @file Relations of a user: what is asked of the user's own subjects, in several wordings each. */
import { type ErrorCode, fail, isObject, parseRecords } from '../../base/index.ts'
import { readText } from '../../base/read.ts'
import { plainText } from '../memoir/subject.ts'
import { generalQuestions, type Kind, place } from './questions.ts'

/** Subjects of one kind, and what is asked of them: each relation a question in two or more wordings with {} for the subject. */
export interface Relations {
  readonly subjects: readonly string[]
  readonly relations: readonly (readonly string[])[]
}

/** Learning takes time with the prompts, and with the cube of the relations. */
const most = { prompts: 10_000, relations: 500, characters: 1000 }

const shape = '{ "subjects": ["…"], "relations": [["{} works as", "The job of {} is"]] }'

const shown = (value: unknown): string => {
  if (value === undefined) return 'nothing'
  const text = JSON.stringify(value)
  return text.length > 60 ? `${text.slice(0, 59)}…` : text
}

/** One kind of a list. `at` is its place in words. */
function kindOf(value: unknown, at: string, code: ErrorCode): Kind {
  const refuse = (where: string, expected: string, found: unknown): never =>
    fail(code, `${at}${where}: expected ${expected}, got ${shown(found)}`)
  const listOf = (list: unknown, where: string, least: number, expected: string): readonly unknown[] =>
    Array.isArray(list) && list.length >= least ? list : refuse(where, expected, list)
  function textOf(text: unknown, where: string, expected: string): string {
    if (typeof text !== 'string' || plainText(text).trim() === '') return refuse(where, expected, text)
    return text.length <= most.characters
      ? text
      : refuse(where, `at most ${most.characters} characters`, text.length)
  }
  if (!isObject(value)) return refuse('', shape, value)
  const subjects = listOf(value['subjects'], ', "subjects"', 1, 'a list of one or more names').map(
    (subject, i) => textOf(subject, `, subject ${i + 1}`, 'a name with a letter or a digit'),
  )
  const seen = new Map<string, string>()
  const questions = listOf(
    value['relations'],
    ', "relations"',
    1,
    'a list of one or more relations, each a list of wordings',
  ).map((relation, r) =>
    listOf(relation, `, relation ${r + 1}`, 2, 'a list of two or more wordings of one question').map(
      (wording, w) => {
        const where = `, relation ${r + 1}, wording ${w + 1}`
        const text = textOf(wording, where, `a text with ${place} for the subject and a word beside it`)
        if (text.split(place).length !== 2) refuse(where, `${place} once, where the subject stands`, text)
        const before = seen.get(text)
        if (before !== undefined)
          fail(code, `${at}${where}: ${shown(text)} is ${before} already: leave one of them out`)
        seen.set(text, where.slice(2))
        return text
      },
    ),
  )
  return { subjects, questions }
}

/** Each item with its place in words. Throws with the code for a list that is empty, or longer than can be learned from. */
function kindsAt(
  items: readonly { readonly value: unknown; readonly at: string }[],
  label: string,
  code: ErrorCode,
): Kind[] {
  if (items.length === 0) fail(code, `${label}: an empty list; expected ${shape}`)
  const kinds = items.map(({ value, at }) => kindOf(value, at, code))
  const relations = kinds.reduce((sum, { questions }) => sum + questions.length, 0)
  if (relations > most.relations)
    fail(
      code,
      `${label}: expected at most ${most.relations} relations in all, got ${relations}: leave some out`,
    )
  const prompts = kinds.reduce(
    (sum, { subjects, questions }) =>
      sum + subjects.length * (generalQuestions.length + questions.flat().length),
    0,
  )
  if (prompts > most.prompts)
    fail(
      code,
      `${label}: expected at most ${most.prompts} prompts (of every subject each wording and ${generalQuestions.length} general questions), got ${prompts}: leave out subjects`,
    )
  return kinds
}

/** Relations of a program, checked. Throws `TL_BAD_ARGUMENT` with the place. */
export const kindsOf = (relations: readonly Relations[]): Kind[] =>
  kindsAt(
    relations.map((value, i) => ({ value, at: `relations: item ${i + 1}` })),
    'relations',
    'TL_BAD_ARGUMENT',
  )

/** The relations in a text: a JSON list of them, or one. Throws `TL_BAD_FILE` with line and place. */
export function parseRelations(text: string, file: string): Relations[] {
  const items = parseRecords(text, file).map(({ value, line }, i) => ({
    value,
    at: `${file}:${line}: item ${i + 1}`,
  }))
  return kindsAt(items, file, 'TL_BAD_FILE').map(({ subjects, questions }) => ({
    subjects,
    relations: questions,
  }))
}

/** The relations in a file. Throws `TL_IO` and what `parseRelations` throws. */
export const readRelations = (path: string): Relations[] => parseRelations(readText(path), path)
