/** Questions of relations about facts: the same in another wording, and something else about the same subject. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Fact, relationQuestionsOf } from '../../src/edit/index.ts'
import { fact } from './said.ts'

const of = (prompt: string, subject: string, rephrase?: string): Fact => ({
  ...{ prompt, subject, target: 'x', source: fact.source },
  ...(rephrase !== undefined && { rephrase }),
})

const facts = [
  of('What year did Zorn open?', 'Zorn', 'When was Zorn opened?'),
  of('Who wrote Blau?', 'Blau'),
  of('When was Karl born?', 'Karl'),
  of('The author of Grau is', 'Grau'),
  of('It has no name', 'Nobody'),
]

describe('by the questions of other facts', () => {
  const questions = relationQuestionsOf(facts)
  it('another fact asks something else: no word in common, and not of time where time was asked', () => {
    // of Zorn neither the birth, which is of time, nor its own question
    expect(questions(0).otherRelation!.prompt).toMatch(/^(Who wrote Zorn\?|The author of Zorn is)$/)
    expect(questions(1).otherRelation!.prompt).not.toMatch(/wrote/)
    expect(questions(0)).not.toHaveProperty('wording')
  })
  it('nothing where no other fact asks anything else, or a fact has no subject', () => {
    const same = [of('Who wrote Blau?', 'Blau'), of('Who wrote Grau?', 'Grau')]
    expect(relationQuestionsOf(same)(0)).toEqual({})
    const { subject, ...bare } = facts[0]!
    expect(relationQuestionsOf([bare, facts[1]!])(0)).toEqual({})
  })
  it('every other question stands in the list, names the subject, and shares no long word with the fact', () => {
    const word = fc.constantFrom('river', 'author', 'capital', 'colour', 'language', 'mayor', 'height')
    const one = fc.record({ ask: word, of: fc.constantFrom('Zorn', 'Blau', 'Karl', 'Grau') })
    fc.assert(
      fc.property(fc.array(one, { minLength: 1, maxLength: 12 }), (list) => {
        const made = list.map(({ ask, of: subject }) => of(`The ${ask} of ${subject} is`, subject))
        const ask = relationQuestionsOf(made)
        for (const [i, { ask: own, of: subject }] of list.entries()) {
          const others = list.map((other) => other.ask).filter((other) => other !== own)
          const { otherRelation } = ask(i)
          if (others.length === 0) expect(otherRelation).toBeUndefined()
          else expect(others.map((other) => `The ${other} of ${subject} is`)).toContain(otherRelation!.prompt)
        }
      }),
    )
  })
})

describe('by relations', () => {
  const relations = [
    { subjects: ['A'], relations: [['{} lies in', 'The country of {} is']] },
    {
      subjects: ['B'],
      relations: [
        ['The mother tongue of {} is', '{} speaks', 'The native language of {} is'],
        ['{} works as', 'The job of {} is'],
        ['{} was born in', 'The birthplace of {} is'],
      ],
    },
  ]
  it('another wording of the fact’s own relation, to be answered anew; another relation of the same kind of thing', () => {
    const { wording, otherRelation } = relationQuestionsOf([fact], relations)(0)
    // the other wording is the fact's rephrasing
    expect(wording).toEqual({ prompt: 'The native language of Danielle Darrieux is', answer: 'ab' })
    expect(otherRelation).toEqual({ prompt: 'Danielle Darrieux works as' })
    const many = Array.from({ length: 12 }, () => fact)
    const ask = relationQuestionsOf(many, relations)
    const asked = new Set(many.map((_, i) => ask(i).otherRelation!.prompt))
    expect(asked.size).toBeGreaterThan(2)
    for (const prompt of asked) expect(prompt).not.toMatch(/tongue|speaks|native|lies in|country/)
  })
  it('nothing of a fact that no relation asks', () => {
    const ask = relationQuestionsOf([of('The age of Karl is', 'Karl'), facts[4]!], relations)
    expect([ask(0), ask(1)]).toEqual([{}, {}])
  })
})
