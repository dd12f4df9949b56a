/** @file Texts that a model writes to be put in front of prompts. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { contextBeginnings, contextSampling, contextsOf } from '../../src/edit/memoir/contexts.ts'
import { type LanguageModel, loadModel, loadTokenizer, logProbabilities } from '../../src/lm/index.ts'
import { random } from '../../src/tensor/index.ts'
import { isThere, skipped, smollm2, type Tiny, tinyModels } from '../lm/fixtures.ts'

let all: { models: Tiny[]; clean: () => void }
let model: LanguageModel
beforeAll(async () => {
  all = await tinyModels()
  model = loadModel(all.models.find(({ name }) => name === 'llama')!.path)
})
afterAll(() => {
  model.dispose()
  all.clean()
})

/** A token for each character. */
const tokenizer = (eosIds: number[] = []) => ({
  encode: (text: string) => [...text].map((c) => c.charCodeAt(0) % 96),
  decode: (ids: Iterable<number>) =>
    [...ids].map((id) => String.fromCharCode(id < 32 ? id + 96 : id)).join(''),
  eosIds,
  addsBos: false,
})

describe('contexts', () => {
  it('are ten: five and ten tokens after each beginning, the same for the same key', async () => {
    const own = tokenizer()
    const texts = await contextsOf(model, own, random.key(3))
    const expected = [5, 10].flatMap((n) => contextBeginnings.map((text) => text.length + n))
    expect(texts.map((text) => own.encode(text).length)).toEqual(expected)
    for (const [i, text] of texts.entries()) expect(text.startsWith(contextBeginnings[i % 5]!)).toBe(true)
    expect(await contextsOf(model, own, random.key(3))).toEqual(texts)
    expect(await contextsOf(model, own, random.key(4))).not.toEqual(texts)
  })

  it('every token is from the nucleus of the model’s own distribution, and none ends a text', async () => {
    // the tokens that would be drawn most: none of them may be
    const free = (await contextsOf(model, tokenizer(), random.key(0))).flatMap((t) =>
      tokenizer().encode(t.slice(7)),
    )
    const eosIds = [...new Set(free)].slice(0, 5)
    const own = tokenizer(eosIds)
    let first = 0
    const { temperature, topP } = contextSampling as { temperature: number; topP: number }
    for (const [i, text] of (await contextsOf(model, own, random.key(0))).entries()) {
      const ids = own.encode(text)
      for (let t = contextBeginnings[i % 5]!.length; t < ids.length; t++) {
        const logits = await model.logits(ids.slice(0, t))
        for (const id of eosIds) logits[id] = Number.NEGATIVE_INFINITY
        const p = logProbabilities(logits.map((v) => v / temperature)).map(Math.exp)
        const before = p.reduce((s, v) => (v > p[ids[t]!]! ? s + v : s), 0)
        // in the nucleus: what is more probable than it does not reach the sum yet
        expect(before).toBeLessThan(topP + 1e-6)
        expect(eosIds).not.toContain(ids[t])
        if (before === 0) first++
      }
    }
    // draws, not the most probable token each time
    expect(first).toBeLessThan(70)
  })

  it.skipIf(!isThere(smollm2))(`of SmolLM2 are texts${skipped(smollm2)}`, { timeout: 60_000 }, async () => {
    const real = loadModel(smollm2)
    const words = loadTokenizer(smollm2)
    const texts = await contextsOf(real, words, random.key(0))
    expect(new Set(texts).size).toBe(10)
    for (const [i, text] of texts.entries()) {
      expect(text.startsWith(contextBeginnings[i % 5]!)).toBe(true)
      expect(text).toMatch(/^[\p{L}\p{N}\p{P}\p{S}\s]+$/u)
    }
    real.dispose()
  })
})
