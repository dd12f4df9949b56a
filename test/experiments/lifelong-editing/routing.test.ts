/** @file Which edits prompts are near, and what a threshold between them finds. */
import { expect, it } from 'vitest'
import { questionsOf, referenceOf } from '../../../src/edit/index.ts'
import type { EditedModel } from '../../../src/experiments/lifelong-editing/methods/index.ts'
import {
  askingCurve,
  bestWithin,
  histogram,
  overlapsOf,
  routingCurve,
} from '../../../src/experiments/lifelong-editing/routing.ts'
import { fact, said } from '../../edit/said.ts'

const edited: EditedModel = {
  ...said({}),
  layer: 0,
  teach: async () => ({ steps: 0, loss: 0 }),
  reset: async () => undefined,
  logits: async () => new Float32Array(1),
  dispose: () => undefined,
}

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
    ...edited,
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
  expect(await overlapsOf(edited, reference, 1)).toBeUndefined()
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

it('what a scope finds and lets through, and the best threshold by the rule', async () => {
  const asks: Record<string, number | undefined> = {
    'Danielle Darrieux speaks': 0.2,
    'Danielle Darrieux is best known for': -0.3,
  }
  const model: EditedModel = {
    ...edited,
    overlaps: async (prompt) => [
      { number: 2, overlap: 0.5 },
      { number: 1, overlap: 0.4, asks: asks[prompt] ?? -0.1 },
    ],
  }
  const reference = await referenceOf(said({}), questionsOf(fact, 0))
  const found = (await overlapsOf(model, reference, 1))!
  expect([found.rephraseAsks, found.othersAsk]).toEqual([0.2, [-0.3, -0.1]])
  const curve = askingCurve([
    found,
    { rephrase: 0.9, rephraseAsks: -0.2, othersAsk: [0.1, -0.4] },
    // the gate holds the rephrasing back
    { rephrase: 0.8, othersAsk: [-0.5] },
    // nobody looked
    { rephrase: 0.9 },
  ])
  expect(curve).toEqual([
    { threshold: 0.2, recall: 1 / 3, falsePositives: 0 },
    { threshold: 0.1, recall: 1 / 3, falsePositives: 1 / 5 },
    { threshold: -0.1, recall: 1 / 3, falsePositives: 2 / 5 },
    { threshold: -0.2, recall: 2 / 3, falsePositives: 2 / 5 },
    { threshold: -0.3, recall: 2 / 3, falsePositives: 3 / 5 },
    { threshold: -0.4, recall: 2 / 3, falsePositives: 4 / 5 },
    { threshold: -0.5, recall: 2 / 3, falsePositives: 1 },
  ])
  expect(bestWithin(curve, 0.1)?.threshold).toBe(0.2)
  expect(bestWithin(curve, 0.5)?.threshold).toBe(-0.2)
  expect(askingCurve([{ rephrase: 0.9 }])).toEqual([])
})
