/** @file CHAIR, POPE and means by position against counts by hand and by brute force; files of captions and annotations. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseRecords } from '../../src/base/index.ts'
import { random } from '../../src/tensor/index.ts'
import {
  addAnnotations,
  captionRecord,
  chair,
  cocoModifiers,
  cocoObjects,
  cocoOthers,
  compareChair,
  type JudgedCaption,
  judge,
  meansByPosition,
  mentionFinder,
  type PopeKind,
  popeAnswer,
  popeQuestions,
  popeRecord,
  popeScores,
  type YesNo,
} from '../../src/vlm/index.ts'

const find = mentionFinder({ objects: cocoObjects, others: cocoOthers, modifiers: cocoModifiers })
const objectsOf = (text: string): string[] => find(text).map(({ object }) => object)

describe('objects in captions', () => {
  it('has the eighty classes of COCO, each found by its own name and in the plural', () => {
    const classes = Object.keys(cocoObjects)
    expect(classes).toHaveLength(80)
    for (const name of classes) expect(objectsOf(`There is a ${name}.`)).toEqual([name])
    const words = Object.values(cocoObjects).flat()
    expect(new Set(words).size).toBe(words.length)
    expect(words.filter((word) => Object.hasOwn(cocoObjects, word))).toEqual([])
  })

  it.each([
    ['Two men and three women are riding bikes.', ['person', 'person', 'bicycle']],
    ['A baby elephant beside its mother', ['elephant', 'person']],
    ['A baby sleeps in a bed', ['person', 'bed']],
    ['A passenger train passes; a passenger waits.', ['train', 'person']],
    ['a hot dog on a plate, and a dog', ['hot dog', 'dog']],
    ['He wears a bow tie near the toilet seats', ['tie', 'toilet']],
    ['teddy bears, and a bear', ['teddy bear', 'bear']],
    ['The catcher stands behind home plate on a baseball field', ['person']],
    [
      'knives, wine glasses, buses, puppies, mice and sheep',
      [...['knife', 'wine glass', 'bus', 'dog', 'mouse', 'sheep']],
    ],
    ['a laptop computer with a computer mouse on the dining-room table', ['laptop', 'mouse', 'dining table']],
    ["the dog's bowl; traffic lights; a stop sign", ['dog', 'bowl', 'traffic light', 'stop sign']],
    ['a pair of scissors, two pairs of scissors', ['scissors', 'scissors']],
    ['train tracks, a mouse pad, orange juice', []],
    ['', []],
  ])('%s', (text, objects) => expect(objectsOf(text)).toEqual(objects))
})

const caption = (objects: readonly string[], truth: readonly string[], words = 10): JudgedCaption => ({
  mentions: objects.map((object, word) => ({ object, word })),
  truth: new Set(truth),
  words,
})
const some = [
  caption(['cat', 'dog', 'cat', 'bus'], ['cat', 'dog', 'bed'], 8),
  caption([], ['dog'], 2),
  caption(['bus', 'bus'], ['car'], 5),
]

describe('CHAIR', () => {
  it('counts mentions, captions and distinct objects as one does by hand', () => {
    const found = chair(some)
    expect(found).toMatchObject({ captions: 3, mentions: 6, length: 5 })
    expect(found.chairI.value).toBeCloseTo(3 / 6)
    expect(found.chairS.value).toBeCloseTo(2 / 3)
    expect(found.chairD.value).toBeCloseTo(2 / 4)
    expect(found.cover.value).toBeCloseTo(2 / 5)
    expect(found.hallucinated).toEqual([{ object: 'bus', mentions: 3 }])
    expect(found.byMention.map(({ share }) => share)).toEqual([1 / 2, 1 / 2, 0, 1])
    for (const { value, low, high } of [found.chairI, found.chairS, found.chairD, found.cover])
      expect(low <= value && value <= high).toBe(true)
    expect(() => chair([])).toThrow('chair: expected at least one caption')
  })

  it('is the same whatever the order of captions and of what is there; repeats of a true object lower CHAIR_i alone', () => {
    const names = fc.constantFrom('cat', 'dog', 'bus', 'car', 'bed')
    const one = fc.record({ said: fc.array(names, { maxLength: 6 }), truth: fc.uniqueArray(names) })
    fc.assert(
      fc.property(fc.array(one, { minLength: 1, maxLength: 6 }), (list) => {
        const judged = list.map(({ said, truth }) => caption(said, truth))
        const [a, b] = [chair(judged), chair(judged.toReversed())]
        for (const measure of ['chairI', 'chairS', 'chairD', 'cover'] as const)
          expect(a[measure].value).toBeCloseTo(b[measure].value, 12)
        const longer = list.map(({ said, truth }) =>
          caption([...said, ...said.filter((object) => truth.includes(object))], truth),
        )
        const more = chair(longer)
        expect(more.chairI.value).toBeLessThanOrEqual(a.chairI.value + 1e-12)
        for (const measure of ['chairS', 'chairD', 'cover'] as const)
          expect(more[measure].value).toBeCloseTo(a[measure].value, 12)
      }),
      { numRuns: 25 },
    )
  })

  it('compares captions in pairs: with themselves nothing changes', () => {
    const { cut, cover } = compareChair(some, some)
    for (const share of [cut.chairI, cut.chairS, cut.chairD, cover])
      expect(share).toEqual({ value: 0, low: 0, high: 0 })
    const honest = some.map((one) => ({
      ...one,
      mentions: one.mentions.filter((m) => one.truth.has(m.object)),
    }))
    const better = compareChair(some, honest)
    expect(better.cut.chairI.value).toBe(1)
    expect(better.cover).toEqual({ value: 0, low: 0, high: 0 })
    expect(() => compareChair(some, some.slice(1))).toThrow('expected as many captions, got 3 and 2')
  })
})

describe('POPE', () => {
  it.each([
    ['Yes, there is a dog.', 'yes'],
    ['No, there is not.', 'no'],
    ['There is no dog in the image.', 'no'],
    ['The image does not show it', 'no'],
    ['It is a dog. No, wait.', 'yes'],
    ['Nothing of the kind', 'yes'],
    ['', 'yes'],
  ] as const)('%s is %s', (text, answer) => expect(popeAnswer(text)).toBe(answer))

  it('scores answers as the counts say', () => {
    const answer = fc.constantFrom<YesNo>('yes', 'no')
    fc.assert(
      fc.property(fc.array(fc.tuple(answer, answer), { minLength: 1, maxLength: 30 }), (pairs) => {
        const [answers, labels] = [pairs.map(([a]) => a), pairs.map(([, l]) => l)]
        const found = popeScores(answers, labels)
        const right = pairs.filter(([a, l]) => a === l).length
        expect(found.accuracy).toBeCloseTo(right / pairs.length)
        expect(found.yesRatio).toBeCloseTo(answers.filter((a) => a === 'yes').length / pairs.length)
        const { precision: p, recall: r, f1 } = found
        expect(f1).toBeCloseTo(p + r === 0 ? 0 : (2 * p * r) / (p + r))
      }),
    )
    expect(popeScores(['yes', 'yes', 'no', 'no'], ['yes', 'no', 'yes', 'no'])).toEqual({
      ...{ questions: 4, accuracy: 0.5, precision: 0.5, recall: 0.5, f1: 0.5, yesRatio: 0.5 },
    })
  })

  it('asks after what is there and, as often, after what is not: any, the frequent, the companions', () => {
    const pictures = [
      { image: 1, truth: new Set(['table', 'chair', 'cup']) },
      { image: 2, truth: new Set(['table', 'chair']) },
      { image: 3, truth: new Set(['cow', 'person']) },
      { image: 4, truth: new Set(['person']) },
      { image: 5, truth: new Set(['person', 'table']) },
      { image: 6, truth: new Set(['table']) },
    ]
    const ask = (kind: PopeKind) => popeQuestions(pictures, { kind, each: 1, key: random.key(2) })
    const no = (kind: PopeKind, image: number) =>
      ask(kind).find((one) => one.image === image && one.label === 'no')!.object
    for (const kind of ['random', 'popular', 'adversarial'] as const) {
      const questions = ask(kind)
      expect(questions).toHaveLength(12)
      for (const { image, object, label } of questions)
        expect(pictures[image - 1]!.truth.has(object)).toBe(label === 'yes')
    }
    expect([no('popular', 1), no('popular', 3), no('popular', 6)]).toEqual(['person', 'table', 'person'])
    expect([no('adversarial', 6), no('adversarial', 2)]).toEqual(['chair', 'cup'])
    expect(ask('random')).toEqual(ask('random'))
    expect(popeQuestions(pictures, { kind: 'random', key: random.key(3) })).not.toEqual(
      popeQuestions(pictures, { kind: 'random', key: random.key(4) }),
    )
  })

  const shared = fileURLToPath(new URL('../../../shared/data/pope', import.meta.url))
  const place = existsSync(shared) ? shared : '/work/shared/data/pope'
  it.skipIf(!existsSync(place))(
    'reads its files: half of 3000 answers are yes, three kinds of negatives',
    () => {
      for (const kind of ['random', 'popular', 'adversarial']) {
        const path = join(place, `coco_pope_${kind}.jsonl`)
        const questions = parseRecords(readFileSync(path, 'utf8'), path).map(({ value, line }) =>
          popeRecord(value, `${path}:${line}`),
        )
        expect(questions).toHaveLength(3000)
        expect(questions.filter(({ label }) => label === 'yes')).toHaveLength(1500)
        const all = popeScores(
          questions.map(() => 'yes'),
          questions.map(({ label }) => label),
        )
        expect(all).toMatchObject({ accuracy: 0.5, recall: 1, yesRatio: 1 })
        // every object that is asked after is a class of the table
        for (const { text } of questions) expect(objectsOf(text)).toHaveLength(1)
      }
    },
  )
})

describe('files', () => {
  const table = { classes: new Set(Object.keys(cocoObjects)), find }
  it('join instances and captions of people, by number or by file name', () => {
    const truths = new Map<string, Set<string>>()
    const images = [{ id: 7, file_name: 'COCO_val2014_000000000007.jpg' }, { id: 8 }]
    const categories = [{ id: 17, name: 'cat' }]
    addAnnotations(
      truths,
      { images, categories, annotations: [{ image_id: 7, category_id: 17 }] },
      'i.json',
      table,
    )
    addAnnotations(truths, { annotations: [{ image_id: 7, caption: 'A cat on a sofa' }] }, 'c.json', table)
    expect([...truths]).toEqual([
      ['7', new Set(['cat', 'couch'])],
      ['8', new Set()],
    ])
    const records = [
      captionRecord({ image_id: 7, caption: 'Two cats' }, 'x'),
      captionRecord({ image: 'val/COCO_val2014_000000000008.jpg', text: 'a dog' }, 'x'),
    ]
    expect(records.map(({ image }) => image)).toEqual(['7', '8'])
    expect(chair(judge(records, truths, find)).chairI.value).toBe(0.5)
  })

  it.each([
    [() => captionRecord({ caption: 'x' }, 'c.json:1'), 'c.json:1: expected "image_id" or "image"'],
    [() => addAnnotations(new Map(), [], 'a.json', table), 'a.json: expected an object with "annotations"'],
    [
      () =>
        addAnnotations(
          new Map(),
          { annotations: [], categories: [{ id: 1, name: 'yeti' }] },
          'a.json',
          table,
        ),
      'the category "yeti" is no class of the table',
    ],
    [
      () => addAnnotations(new Map(), { annotations: [{ image_id: 1, category_id: 2 }] }, 'a.json', table),
      'annotation 1 has neither a caption nor a known category (category_id 2)',
    ],
    [
      () => judge([{ image: '5', caption: '' }], new Map(), find),
      'nothing of 1 of 1 pictures (the first is 5)',
    ],
    [() => popeRecord({ image: 'a', text: 'b', label: 'maybe' }, 'p.jsonl:1'), '"label" as "yes" or "no"'],
  ])('%# is refused', (wrong, message) => expect(wrong).toThrow(message))
})

describe('means by position', () => {
  it('skips what is not a number, and bins that are empty', () => {
    expect(meansByPosition([[1, NaN, 3], [5], []], 2)).toEqual([
      { from: 0, to: 2, mean: 3, count: 2 },
      { from: 2, to: 4, mean: 3, count: 1 },
    ])
    expect(() => meansByPosition([[1]], 0)).toThrow('positions: width')
  })
})
