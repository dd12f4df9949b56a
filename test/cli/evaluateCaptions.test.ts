/** @file `treeline evaluate-captions` as people and scripts meet it: COCO's files, pairs, classes of one's own, mistakes. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { treeline } from './caught.ts'

const root = mkdtempSync(join(tmpdir(), 'treeline-captions-'))
const at = (name: string): string => join(root, name)
const files: Readonly<Record<string, unknown>> = {
  'instances.json': {
    images: [{ id: 1 }, { id: 2 }],
    categories: [
      { id: 17, name: 'cat' },
      { id: 62, name: 'chair' },
    ],
    annotations: [
      { image_id: 1, category_id: 17 },
      { image_id: 1, category_id: 62 },
    ],
  },
  'people.json': { annotations: [{ image_id: 2, caption: 'A woman rides a bike.' }] },
  'old.json': [
    { image_id: 1, caption: 'A cat and a dog on a chair.' },
    { image_id: 2, caption: 'A man on a bicycle beside a car and a truck.' },
  ],
  'new.json': [
    { image: 'COCO_000000000002.jpg', text: 'A man on a bicycle beside a car.', ids: [1] },
    { image: 'COCO_000000000001.jpg', text: 'A cat on a chair.', ids: [2] },
  ],
  'own.json': { annotations: [{ image_id: 1, caption: 'a yeti' }] },
  'words.json': { yeti: ['snow man'], dragon: [] },
  'mine.json': [{ image_id: 1, caption: 'Two snow men and a dragon.' }],
  'odd.json': [{ image_id: 1 }],
}
beforeAll(() => {
  for (const [name, value] of Object.entries(files)) writeFileSync(at(name), JSON.stringify(value))
})
afterAll(() => rmSync(root, { recursive: true, force: true }))
const annotations = ['--annotations', at('instances.json'), '--annotations', at('people.json')]

test('counts what is not there, and compares captions of the same pictures in pairs', async () => {
  const { code, out, err } = await treeline(
    ...['evaluate-captions', at('new.json'), '--against', at('old.json'), ...annotations, '--json'],
  )
  expect([code, err]).toEqual([0, ''])
  const found = JSON.parse(out)
  expect(found).toMatchObject({ captions: 2, mentions: 5, length: 6.5 })
  expect(found.chairI.value).toBeCloseTo(1 / 5)
  expect(found.chairS.value).toBeCloseTo(1 / 2)
  expect(found.cover.value).toBe(1)
  expect(found.hallucinated).toEqual([{ object: 'car', mentions: 1 }])
  expect(found.against.cut.chairI.value).toBeCloseTo(1 - 1 / 5 / (3 / 7))
  expect(found.against.cover.value).toBe(0)
  const read = await treeline('evaluate-captions', at('old.json'), ...annotations)
  expect(read.out).toContain('2 captions of 9.5 words, 7 mentions of objects')
  expect(read.out).toContain('not there: car 1, dog 1, truck 1')
})

test('takes classes of one’s own', async () => {
  const words = ['--annotations', at('own.json'), '--objects', at('words.json'), '--json']
  const { out } = await treeline('evaluate-captions', at('mine.json'), ...words)
  expect(JSON.parse(out)).toMatchObject({ mentions: 2, hallucinated: [{ object: 'dragon', mentions: 1 }] })
})

test.each([
  [['new.json'], "required option '--annotations <file>' not specified", 2],
  [
    ['odd.json', '--annotations', 'instances.json'],
    'expected "image_id" or "image", and "caption" or "text"',
    1,
  ],
  [['new.json', '--annotations', 'people.json'], 'nothing of 1 of 2 pictures (the first is 1)', 1],
  [['new.json', '--annotations', 'instances.json', '--against', 'mine.json'], 'no caption of picture 2', 1],
  [
    ['new.json', '--annotations', 'instances.json', '--objects', 'words.json'],
    'the category "cat" is no class',
    1,
  ],
  [['new.json', '--annotations', 'words.json'], 'expected an object with "annotations"', 1],
])('%j is refused', async (words, message, exit) => {
  const given = words.map((word) => (word.endsWith('.json') ? at(word) : word))
  const { code, out, err } = await treeline('evaluate-captions', ...given)
  expect([code, out]).toEqual([exit, ''])
  expect(err).toContain(message)
  expect(err.trim().split('\n')).toHaveLength(1)
})
