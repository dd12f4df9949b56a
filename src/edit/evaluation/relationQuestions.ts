/**
 * @file The same in another wording, and something else about the same subject: by relations that are given, or by the questions of
 * other facts.
 */
import type { Fact } from '../facts/index.ts'
import { plainText } from '../memoir/subject.ts'
import { asked, place } from '../scope/questions.ts'
import type { Relations } from '../scope/relations.ts'
import { type Questions, withSubject } from './questions.ts'

type RelationQuestions = Pick<Questions, 'wording' | 'otherRelation'>

/** Words that say little of what is asked. */
const little = new Set(
  'what which who whom whose where how is are was were the a an of in on at to for by from did does do has have had s name named called with that and it kind type'.split(
    ' ',
  ),
)
/** Words of one meaning. */
const ofTime = new Set(['when', 'year', 'date', 'day', 'time'])

/** What a template asks, roughly: its words but for the little ones, by their first five letters. */
function stemsOf(template: string): ReadonlySet<string> {
  const words = plainText(template).trim().split(' ')
  return new Set(
    words
      .filter((word) => word && !little.has(word))
      .map((word) => (ofTime.has(word) ? '' : word.slice(0, 5))),
  )
}

/** The prompt of a fact with {} for its subject; undefined where it does not name it once. */
function templateOf(fact: Fact, text = fact.prompt): string | undefined {
  const found = withSubject({ ...fact, prompt: text }, place)
  return found?.split(place).length === 2 ? found : undefined
}

/** By relations: another wording of the fact's own, and a wording of another relation of the same kind of thing. */
function byRelations(relations: readonly Relations[], fact: Fact, index: number): RelationQuestions {
  const template = templateOf(fact)
  if (template === undefined || fact.subject === undefined) return {}
  const own = plainText(template)
  const isOwn = (wordings: readonly string[]): boolean => wordings.some((one) => plainText(one) === own)
  const kind = relations.find((one) => one.relations.some(isOwn))?.relations
  if (!kind) return {}
  const at = kind.findIndex(isOwn)
  const rephrase = fact.rephrase === undefined ? undefined : plainText(fact.rephrase)
  const wordings = kind[at]!.filter(
    (one) => plainText(one) !== own && plainText(asked(one, fact.subject!)) !== rephrase,
  )
  const wording = wordings[index % Math.max(1, wordings.length)]
  const others = kind.length - 1
  const other = others > 0 ? kind[(at + 1 + (index % others)) % kind.length]! : undefined
  const way = other && other[Math.floor(index / others) % other.length]!
  return {
    ...(wording && { wording: { prompt: asked(wording, fact.subject), answer: fact.target } }),
    ...(way && { otherRelation: { prompt: asked(way, fact.subject) } }),
  }
}

/** Step through the other facts that visits all of most lists before any twice. */
const stride = 7919

/**
 * Questions of facts about relations, by the facts' places in the list. Where no relations are given, the other question is one that
 * another fact of the list asks of its subject, and that shares no word with the fact's own prompt and rephrasing.
 */
export function relationQuestionsOf(
  facts: readonly Fact[],
  relations?: readonly Relations[],
): (index: number) => RelationQuestions {
  if (relations) return (index) => byRelations(relations, facts[index]!, index)
  const templates = facts.flatMap((fact) => {
    const template = templateOf(fact)
    return template === undefined ? [] : [{ template, stems: stemsOf(template) }]
  })
  return (index) => {
    const fact = facts[index]!
    if (fact.subject === undefined) return {}
    const { subject } = fact
    const texts = [fact.prompt, fact.rephrase ?? ''].map((text) => templateOf(fact, text) ?? text)
    const own = stemsOf(texts.join(' '))
    for (let i = 0; i < templates.length; i++) {
      const { template, stems } = templates[(index + 1 + i * stride) % templates.length]!
      if (stems.size > 0 && ![...stems].some((stem) => own.has(stem)))
        return { otherRelation: { prompt: asked(template, subject) } }
    }
    return {}
  }
}
