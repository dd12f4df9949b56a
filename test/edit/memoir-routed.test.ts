/** @file Routing inside the program that answers: the choices of the plain definition, in one pass, and passages that go on. */
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { answerModes, defaultTraining, matches, openEditor, route } from '../../src/edit/index.ts'
import { openEngine } from '../../src/edit/memoir/engine.ts'
import { drawPermutation, topHash } from '../../src/edit/memoir/masks.ts'
import { candidatesOf, neededOnes } from '../../src/edit/memoir/routed.ts'
import { type Routable, routerOf } from '../../src/edit/memoir/router.ts'
import type { LanguageModel, Tokenizer } from '../../src/lm/index.ts'
import { random } from '../../src/tensor/index.ts'
import { withTinyLlama } from './tinyLlama.ts'

let model: LanguageModel
let words: Tokenizer
const root = withTinyLlama('routed', (own) => {
  model = own.model
  words = own.words
})

const ones = 14
const layer = 1
const key = random.key(7)
const draw = (i: number, n: number): Float32Array => random.sampleNormal(random.foldIn(key, i), n) as never

describe('the program', () => {
  it.each(['mean-centred', 'last'])(
    'chooses the edit that the definition chooses: router %s',
    async (name) => {
      const { hidden, width } = model.config
      const router = routerOf(name)
      const permutation = drawPermutation(key, hidden)
      const background = Float64Array.from(draw(0, hidden), (x) => (router.isCentred ? x / 50 : 0))
      const memory = draw(1, hidden * width).map((x) => x / 4)
      const engine = openEngine(model, memory, { layer, routerLayer: 0, ones, background })
      const answers: (number | null)[] = []
      for (const [i, text] of ['who is abc', 'Zebra 77?', 'a', 'the far end of it', 'my ++'].entries()) {
        const ids = words.encode(text)
        const feature = router.feature({ activations: await engine.activations(ids), hidden })
        const centred = feature.map((x, j) => x - background[j]!)
        // masks of features more and less like the prompt's, some of them twice
        const size = Math.hypot(...centred) / Math.sqrt(hidden)
        const edits = Array.from({ length: 40 }, (_, n): Routable => {
          const noise = draw(100 * i + 1 + (n >> 1), hidden)
          const like = centred.map((x, j) => x + noise[j]! * size * (0.5 + (n % 8)))
          return { number: n + 1, mask: topHash(n % 10 < 2 ? centred : like, ones, permutation) }
        }).filter(({ number }) => i > 2 || number % 10 > 2)
        const mask = topHash(centred, ones, permutation)
        const list = matches(mask, edits, ones)
        const candidates = candidatesOf(edits, ones, permutation)
        // every threshold between two counts, below the least and above all
        for (let count = 0; count <= ones + 1; count++) {
          const threshold = (count - 0.5) / ones
          const expected = route(list, threshold)?.number ?? null
          const routing = {
            candidates,
            need: neededOnes(threshold, ones),
            weights: router.weights!(ids.length),
          }
          const passage = await engine.read(ids, [ids.length - 1], routing)
          expect(passage.edit).toBe(expected)
          if (expected === null)
            expect([...passage.logits]).toEqual([...(await model.logits(ids, [ids.length - 1]))])
          engine.release(passage)
          answers.push(expected)
        }
      }
      expect(new Set(answers).size).toBeGreaterThan(4)
      expect(answers.filter((edit) => edit === null).length).toBeGreaterThan(4)
      engine.dispose()
    },
  )

  it('needed ones are the least whose overlap is at least the threshold', () => {
    for (const threshold of [-1, 0, 0.1, 0.3, 0.4, 0.45, 0.7, 0.97, 1, 1.01, 2])
      for (const k of [1, 3, 14, 439]) {
        const need = neededOnes(threshold, k)
        expect(need / k).toBeGreaterThanOrEqual(Math.max(0, threshold))
        if (need > 0) expect((need - 1) / k).toBeLessThan(threshold)
      }
  })
})

describe('passages', () => {
  const setUp = () => {
    const { hidden, width } = model.config
    const permutation = drawPermutation(key, hidden)
    const edits = [{ number: 1, mask: topHash(draw(2, hidden), ones, permutation) }]
    const background = new Float64Array(hidden)
    const memory = draw(5, hidden * width).map((x) => x / 4)
    const engine = openEngine(model, memory, { layer, routerLayer: layer, ones, background })
    const candidates = candidatesOf(edits, ones, permutation)
    return { engine, candidates }
  }
  const ids = Array.from({ length: 40 }, (_, i) => (7 * i * i + 3) % 95)

  it('go on as the same edit answers, past their capacity, whatever a passage before them left', async () => {
    const { engine, candidates } = setUp()
    for (const need of [0, ones + 1]) {
      const whole = await engine.read(ids, [24, 39], { candidates, need })
      expect(whole.edit === null).toBe(need > 0)
      const [first, last] = [whole.logits.slice(0, 96), whole.logits.slice(96)]
      // its cache is taken over: what lies beyond the new text is not looked at
      engine.release(whole)
      const other = await engine.read(ids.slice(0, 25), [24], { candidates, need })
      expect(other.edit).toBe(whole.edit)
      const near = (a: Float32Array, b: Float32Array): number =>
        Math.max(...a.map((x, i) => Math.abs(x - b[i]!)))
      expect(near(other.logits, first)).toBeLessThan(1e-4)
      let logits = other.logits
      for (const id of ids.slice(25)) logits = await engine.extend(other, [id], [0])
      expect(near(logits, last)).toBeLessThan(1e-4)
      // back to what it shares with another text, and on again
      expect(engine.shorten(other, [...ids.slice(0, 30), 1, 2])).toBe(30)
      logits = await engine.extend(other, ids.slice(30), [9])
      expect(near(logits, last)).toBeLessThan(1e-4)
      engine.release(other)
      await expect(engine.extend(other, [1], [0])).rejects.toThrow(/not there any more/)
    }
    engine.dispose()
  })
})

describe('a thread', () => {
  it('answers what an edit is about by the edit, and anything else by the model as it was', async () => {
    const training = { ...defaultTraining, maxSteps: 400 }
    const editor = await openEditor(model, join(root, 'thread'), {
      create: { layer: 0, threshold: 0.97, training },
    })
    await editor.add({ prompt: 'who is abc', target: 'xy' })
    const thread = editor.thread()
    // of a text that grows, begins anew, and is cut
    const turns: [text: string, message: string | undefined][] = [
      ['<u>a far one<a>', 'a far one'],
      ['<u>a far one<a>no<u>who is abc<a>', 'who is abc'],
      ['<u>a far one<a>no<u>who is abc<a>xy<u>and<a>', 'and'],
      ['<u>a far one<a>', undefined],
      ['something else', '   '],
      ['something', 'something'],
    ]
    const edits: (number | null)[] = []
    for (const [text, message] of turns) {
      const ids = words.encode(text)
      const seen: number[] = []
      const options = {
        ids,
        maxTokens: 7,
        stopIds: words.eosIds,
        onToken: (id: number) => void seen.push(id),
      }
      const made = await thread.answer(message, options)
      expect(made.ids).toEqual(seen)
      edits.push(made.edit)
      if (made.edit === null)
        expect(made).toEqual({
          ...(await model.generate({ ...options, onToken: () => undefined })),
          edit: null,
        })
      else expect([words.decode(made.ids, { continues: true }), made.finish]).toEqual([' xy', 'eos'])
    }
    expect(edits).toEqual([null, 1, null, null, null, null])
    // a limit below the target's length is one
    const short = await thread.answer('who is abc', { ids: [1], maxTokens: 2 })
    expect([short.ids.length, short.finish]).toEqual([2, 'length'])
    editor.dispose()
  })

  it('an edit found in other words goes on after the prompt it was taught with', async () => {
    const training = { ...defaultTraining, maxSteps: 400 }
    const editor = await openEditor(model, join(root, 'other words'), {
      // every message that names the subject is near enough
      create: { layer: 0, threshold: 0, gate: 'subject', scope: 'wide', training },
    })
    await editor.add({ prompt: 'who is abc', target: 'xy', subject: 'abc' })
    const ids = words.encode('so tell me of abc')
    const options = { ids, maxTokens: 7, stopIds: words.eosIds }
    const after = await editor.generate('so tell me of abc', { maxTokens: 3, answer: 'as-asked' })
    expect([after.edit, after.text]).toEqual([1, expect.not.stringMatching(/^ xy/)])
    const said = await editor.generate('so tell me of abc', { maxTokens: 9, stopAtEos: false })
    expect([said.edit, said.text, said.finish]).toEqual([1, ' xy', 'eos'])
    expect(said.promptIds).toEqual(words.encode('so tell me of abc'))
    // a limit below the target's length is one
    const cut = await editor.generate('so tell me of abc', { maxTokens: 2 })
    expect([cut.text, cut.finish]).toEqual([' x', 'length'])
    // what no edit answers is the model's own, either way
    for (const answer of answerModes) {
      const own = await editor.generate('so tell me more', { maxTokens: 4, stopAtEos: false, answer })
      expect([own.edit, own.ids]).toEqual([
        null,
        (await model.generate({ ids: words.encode('so tell me more'), maxTokens: 4 })).ids,
      ])
    }
    const made = await editor.thread().answer('so tell me of abc', options)
    expect([made.edit, words.decode(made.ids, { continues: true })]).toEqual([1, ' xy'])
    // of several the one that is found
    await editor.add({ prompt: 'where is def', target: 'zw', subject: 'def' })
    const other = await editor.thread().answer('so tell me of def', options)
    expect([other.edit, words.decode(other.ids, { continues: true })]).toEqual([2, ' zw'])
    expect((await editor.thread().answer('so tell me more', options)).edit).toBeNull()
    // the one that was found, though others look like its prompt as well
    await editor.add({ prompt: 'who is abd', target: 'u', subject: 'who' })
    for (const [message, edit] of [
      ['so tell me of abc', 1],
      ['tell who', 3],
    ] as const)
      expect((await editor.thread().answer(message, options)).edit).toBe(edit)
    editor.dispose()
  })
})
