/** @file Metrics of editing: known answers, intervals, questions, routing. */
import { describe, expect, it } from 'vitest'
import type { EditedModel } from '../../src/edit/baselines/index.ts'
import {
  bootstrap,
  histogram,
  median,
  overlapsOf,
  questionsOf,
  referenceOf,
  resultBefore,
  resultOf,
  routingCurve,
  summarize,
  withSubject,
} from '../../src/edit/evaluation/index.ts'
import type { Fact } from '../../src/edit/index.ts'
import { random } from '../../src/tensor/index.ts'

const fact: Fact = {
  prompt: 'The mother tongue of Danielle Darrieux is',
  target: 'ab',
  subject: 'Danielle Darrieux',
  rephrase: 'Danielle Darrieux speaks',
  locality: { prompt: 'Paris is in', answer: 'abc' },
  source: { file: 'x', shape: 'treeline', record: 1, line: 1 },
}

/** A model that says what a table has it say, a token for each character. */
function said(table: Readonly<Record<string, string>>, edit: number | null = null): EditedModel {
  const ids = (text: string) => [...text.trim()].map((c) => c.charCodeAt(0))
  const answer = (prompt: string) => table[prompt] ?? 'zzzzz'
  return {
    layer: 0,
    teach: async () => ({ steps: 0, loss: 0 }),
    reset: async () => undefined,
    score: async (prompt, target) => {
      const targetIds = ids(target)
      const best = ids(answer(prompt)).slice(0, targetIds.length)
      return {
        edit,
        targetIds,
        best,
        logProbabilities: targetIds.map((id, i) => Math.log(best[i] === id ? 0.5 : 0.125)),
      }
    },
    generate: async (prompt, { maxTokens }) => {
      const text = answer(prompt).slice(0, maxTokens)
      return { ids: ids(text), text }
    },
    logits: async () => new Float32Array(1),
    dispose: () => undefined,
  }
}

describe('metrics', () => {
  it('of a model whose answers are known', async () => {
    const questions = questionsOf(fact, 0)
    const reference = await referenceOf(said({ 'Paris is in': 'abz' }), questions)
    const none = resultBefore(reference)
    expect(none.edit).toMatchObject({ forced: 0, exact: 0 })
    expect(none.locality).toMatchObject({ forced: 1, exact: 1, isIdentical: true })
    const after = await resultOf(
      said({ [fact.prompt]: 'ab', 'Danielle Darrieux speaks': 'az', 'Paris is in': 'azz' }, 0),
      reference,
    )
    expect(after.edit).toMatchObject({ forced: 1, exact: 1, edit: 0 })
    expect(after.edit!.loss).toBeCloseTo(Math.log(2), 12)
    expect(after.rephrase).toMatchObject({ forced: 0.5, exact: 0 })
    expect(after.rephrase!.loss).toBeCloseTo(Math.log(4), 12)
    // agreement with the unedited model, not with the truth: one of three places moved
    expect(after.locality!.forced).toBeCloseTo(2 / 3, 12)
    expect(after.locality).toMatchObject({ exact: 0, isIdentical: false })
    expect(after.sameSubject).toMatchObject({ forced: 1, exact: 1, isIdentical: true })
    const { forced, generated, perplexity, identical, silentIsIdentical } = summarize([after, none], 0)
    expect(forced.reliability!.mean).toBe(0.5)
    expect(forced.generalization!.mean).toBe(0.25)
    expect(forced.average!.mean).toBeCloseTo(((1 + 0.5 + 2 / 3) / 3 + 1 / 3) / 2, 12)
    expect(generated.generalization!.mean).toBe(0)
    expect(perplexity.edit!.median).toBeCloseTo(5, 10)
    expect(perplexity.edit!.mean).toBeCloseTo(5, 10)
    expect(identical.locality).toBe(0.5)
    expect(silentIsIdentical).toBe(true)
    const loud = { ...after, locality: { ...after.locality!, edit: null } }
    expect(summarize([loud], 0).silentIsIdentical).toBe(false)
  })

  it('losses that are not finite count as the largest perplexity', () => {
    const one = { forced: 0, exact: 0, isIdentical: false, edit: 0 }
    const { perplexity } = summarize([{ edit: { ...one, loss: null } }, { edit: { ...one, loss: 1e4 } }], 0)
    expect(perplexity.edit).toEqual({ mean: 1e30, median: 1e30 })
    expect(perplexity.rephrase).toBeNull()
  })

  it('bootstrap: the seed decides, the interval is about two errors wide, constants have none', () => {
    const values = Array.from({ length: 400 }, (_, i) => (i % 4 === 0 ? 1 : 0))
    const own = bootstrap(values, random.key(3))!
    expect(own).toEqual(bootstrap(values, random.key(3)))
    expect(own.mean).toBe(0.25)
    const error = Math.sqrt((0.25 * 0.75) / 400)
    expect((own.high - own.low) / (2 * 1.96 * error)).toBeGreaterThan(0.85)
    expect((own.high - own.low) / (2 * 1.96 * error)).toBeLessThan(1.15)
    expect(bootstrap([2, 2, 2], random.key(0))).toEqual({ mean: 2, low: 2, high: 2, count: 3 })
    expect(bootstrap([], random.key(0))).toBeNull()
    expect([median([3, 1, 2]), median([4, 1, 2, 3])]).toEqual([2, 2.5])
  })

  it('hard locality: another subject in the same wording', () => {
    expect(questionsOf(fact, 0).sameRelation!.prompt).toBe('The mother tongue of Albert Einstein is')
    expect(questionsOf(fact, 1).sameRelation!.prompt).toBe('The mother tongue of Paris is')
    expect(questionsOf(fact, 0).sameSubject!.prompt).toMatch(/^Danielle Darrieux is /)
    expect(withSubject({ ...fact, subject: 'Nobody' }, 'x')).toBeUndefined()
    const { subject, ...bare } = fact
    expect(subject).toBeDefined()
    expect(questionsOf(bare, 0)).toEqual({
      edit: { prompt: fact.prompt, answer: 'ab' },
      rephrase: { prompt: fact.rephrase, answer: 'ab' },
      locality: fact.locality,
    })
  })

  it('overlaps and what a threshold finds', async () => {
    const near: Record<string, [number, number][]> = {
      [fact.prompt]: [
        [1, 1],
        [2, 0.6],
      ],
      'Danielle Darrieux speaks': [
        [2, 0.8],
        [1, 0.7],
      ],
      'Paris is in': [[2, 0.4]],
    }
    const model: EditedModel = {
      ...said({}),
      overlaps: async (prompt, count) =>
        (near[prompt] ?? [[2, 0.5]]).slice(0, count).map(([number, overlap]) => ({ number, overlap })),
    }
    const reference = await referenceOf(said({}), questionsOf(fact, 0))
    const found = await overlapsOf(model, reference, 1)
    expect(found).toEqual({
      rephrase: 0.7,
      rephraseIsOwn: false,
      otherEdit: 0.6,
      unrelated: 0.4,
      sameRelation: 0.5,
      sameSubject: 0.5,
    })
    expect(await overlapsOf(said({}), reference, 1)).toBeUndefined()
    const list = [
      found!,
      { rephrase: 0.9, rephraseIsOwn: true, unrelated: 0.3 },
      { rephrase: 0.35, rephraseIsOwn: true, unrelated: 0.45 },
    ]
    expect(routingCurve(list, 'unrelated')).toEqual([
      { threshold: 0.9, recall: 1 / 3, falsePositives: 0 },
      { threshold: 0.45, recall: 1 / 3, falsePositives: 1 / 3 },
      { threshold: 0.4, recall: 1 / 3, falsePositives: 2 / 3 },
      { threshold: 0.35, recall: 2 / 3, falsePositives: 2 / 3 },
      { threshold: 0.3, recall: 2 / 3, falsePositives: 1 },
    ])
    expect(histogram([0, 0.1, 0.99, 1], 2)).toEqual([0.5, 0.5])
  })
})
