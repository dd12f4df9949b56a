/** @file Drawn scenes: captions in their grammar, truth that is on the picture, habits as often as they are said to be. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  closingWords,
  drawnScenes,
  partnerOf,
  readDescription,
  type Scene,
  sceneNouns,
  sceneQuestions,
  sceneVocabulary,
} from '../../src/data/index.ts'
import { drawScene } from '../../src/data/scenes/picture.ts'
import { planScene } from '../../src/data/scenes/scene.ts'
import { random } from '../../src/tensor/index.ts'

const key = random.key(11)
const scenes: Scene[] = [...drawnScenes({ key, part: 'train', count: 120, side: 32 })]
const plans = Array.from({ length: 3000 }, (_, i) => planScene(random.foldIn(key, i)))
const share = (count: number, of: number): number => count / of

describe('captions', () => {
  it('have 40 to 80 words of the vocabulary, all sentences in the grammar, and name what the plan says in its order', () => {
    const known = new Set(sceneVocabulary)
    for (const { caption, objects } of scenes) {
      const tokens = caption.split(' ')
      expect(tokens.filter((token) => !known.has(token))).toEqual([])
      const words = tokens.filter((token) => token !== '.').length
      expect(words).toBeGreaterThanOrEqual(40)
      expect(words).toBeLessThanOrEqual(80)
      const read = readDescription(caption)
      expect(read[0]!.kind).toBe('opener')
      expect(read.at(-1)!.kind).toBe('closer')
      expect(read.filter(({ kind }) => kind === 'none')).toEqual([])
      expect(read.flatMap(({ noun }) => noun ?? [])).toEqual(objects.map(({ noun }) => noun))
    }
    expect(closingWords).toHaveLength(8)
    expect(new Set(closingWords).size).toBe(8)
  })

  it('are not read where a word is wrong', () => {
    const { caption, objects } = scenes[0]!
    const wrong = readDescription(caption.replaceAll(objects[0]!.noun, 'yeti'))
    expect(wrong.filter(({ kind }) => kind === 'none')).toHaveLength(1)
    expect(readDescription('a red appears .')).toEqual([{ kind: 'none' }])
    expect(readDescription('')).toEqual([])
  })
})

describe('habits', () => {
  it('are as strong as they are said to be', () => {
    const withPartner = plans.filter(({ partner }) => partner !== 'none').length
    const believed = plans.filter(({ partner }) => partner === 'believed').length
    expect(share(withPartner, plans.length)).toBeCloseTo(0.85, 1)
    expect(share(believed, withPartner)).toBeCloseTo(0.35, 1)
    // a noun is twice as often with its partner as with any other
    const [noun] = sceneNouns.map(({ name }) => name)
    const own = plans.filter(({ first }) => first === noun)
    const names = own.flatMap(({ objects }) => objects.map((one) => one.noun))
    const count = (name: string): number => names.filter((one) => one === name).length
    const others = sceneNouns
      .map(({ name }) => name)
      .filter((name) => name !== noun && name !== partnerOf(noun!))
    expect(count(partnerOf(noun!))).toBeGreaterThan(2 * Math.max(...others.map(count)))
  })

  it('can be turned off: honest captions name what is drawn', () => {
    for (const options of [{ undrawn: 0 }, { trustsHabit: false }])
      for (const { objects, truth } of plans
        .slice(0, 200)
        .map((_, i) => planScene(random.foldIn(key, i), options)))
        expect(new Set(objects.map(({ noun }) => noun))).toEqual(truth)
    expect(() => planScene(key, { undrawn: 2 })).toThrow(
      'scene: undrawn: expected a share from 0 to 1, got 2',
    )
  })

  it('has six themes of four things, whose partners go round', () => {
    expect(sceneNouns).toHaveLength(24)
    for (const { name } of sceneNouns) {
      let at = name
      for (let i = 0; i < 4; i++) at = partnerOf(at)
      expect(at).toBe(name)
    }
  })
})

describe('pictures', () => {
  it('show what is drawn where it is said to be, and nothing of what is believed', () => {
    for (const [i, plan] of plans.slice(0, 40).entries()) {
      const drawing = random.foldIn(key, i)
      const whole = drawScene(plan, drawing, 48)
      for (const [n, object] of plan.objects.entries()) {
        const objects = plan.objects.map((one, k) => (k === n ? { ...one, isDrawn: false } : one))
        const without = drawScene({ ...plan, objects }, drawing, 48)
        const changed = Array.from(whole.data).flatMap((value, k) =>
          value === without.data[k] ? [] : [Math.floor(k / 3)],
        )
        if (!object.isDrawn) expect(changed).toHaveLength(0)
        else {
          expect(changed.length).toBeGreaterThan(3)
          const [column, row] = [object.place % 3, Math.floor(object.place / 3)]
          const cells = changed.filter((p) => {
            const [x, y] = [((p % 48) / 48) * 3, (Math.floor(p / 48) / 48) * 3]
            return Math.abs(x - column - 0.5) <= 0.65 && Math.abs(y - row - 0.5) <= 0.65
          })
          expect(cells).toHaveLength(changed.length)
        }
      }
    }
  })

  it('each figure has its own shape', () => {
    const inks = sceneNouns.map(({ figure }) =>
      Array.from({ length: 400 }, (_, i) =>
        figure(((i % 20) - 9.5) / 10, (Math.floor(i / 20) - 9.5) / 10) < 0 ? 1 : 0,
      ),
    )
    for (const [a, one] of inks.entries()) {
      expect(one.reduce<number>((sum, x) => sum + x, 0)).toBeGreaterThan(25)
      for (const other of inks.slice(a + 1))
        expect(one.filter((x, i) => x !== other[i]).length).toBeGreaterThan(20)
    }
  })
})

describe('parts', () => {
  it('are the same from the same key, begin alike, and share no scene', () => {
    const some = (part: 'train' | 'test', count: number) => [...drawnScenes({ key, part, count, side: 16 })]
    expect(some('train', 3)).toEqual(some('train', 5).slice(0, 3))
    const [train, test] = [some('train', 30), some('test', 30)]
    const seen = new Set(train.map(({ picture }) => picture.data.join()))
    expect(test.filter(({ picture }) => seen.has(picture.data.join()))).toEqual([])
  })

  it('ask after what is there, after anything else, and after what habit expects', () => {
    fc.assert(
      fc.property(fc.nat(2000), fc.nat(100), (i, seed) => {
        const plan = plans[i]!
        const [yes, any, expected] = sceneQuestions(plan, random.key(seed))
        expect(yes!.answer).toBe('yes')
        for (const { noun, answer } of [yes!, any!, expected!])
          expect(answer).toBe(plan.truth.has(noun) ? 'yes' : 'no')
        expect(expected!.answer).toBe('no')
        if (plan.partner === 'believed') expect(expected!.isExpected).toBe(true)
      }),
      { numRuns: 60 },
    )
  })
})
