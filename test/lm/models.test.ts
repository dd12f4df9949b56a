/** @file Every family against Transformers: whole, in chunks, token by token, in batches, and through a differentiable program. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { loadModel, logProbabilityOf } from '../../src/lm/index.ts'
import { furthest, type Tiny, tinyModels } from './fixtures.ts'

const names = ['llama', 'llama3', 'linear', 'mistral', 'qwen2', 'qwen3', 'gpt2']
let all: { models: Tiny[]; clean: () => void }
beforeAll(async () => {
  all = await tinyModels()
})
afterAll(() => all.clean())
const tiny = (name: string): Tiny => all.models.find((m) => m.name === name)!

describe('tiny models', () => {
  it('there are oracles for all', () => expect(all.models.map(({ name }) => name)).toEqual(names))

  it.each(names)('%s: logits of the oracle, whole and through the cache', async (name) => {
    const { path, ids, logits } = tiny(name)
    const model = loadModel(path)
    const rows = ids.map((_, i) => i)
    expect(furthest(await model.logits(ids, rows), logits)).toBeLessThan(1e-4)

    // 10 tokens, then 5, then one at a time
    const session = model.session()
    const parts = [ids.slice(0, 10), ids.slice(10, 15), ...ids.slice(15).map((id) => [id])]
    let at = 0
    for (const part of parts) {
      const got = await session.logits(
        part,
        part.map((_, i) => i),
      )
      expect(furthest(got, logits.subarray(at * 96, (at + part.length) * 96))).toBeLessThan(1e-4)
      at += part.length
    }
    // going back and another way
    session.truncate(7)
    const again = await session.prefill(ids.slice(7, 12))
    expect(furthest(again, logits.subarray(11 * 96, 12 * 96))).toBeLessThan(1e-4)
    model.dispose()
  })

  it.each(names)('%s: scores in a padded batch are those of each text alone', async (name) => {
    const { path, ids, logits } = tiny(name)
    const model = loadModel(path)
    const texts = [ids, ids.slice(0, 9), ids.slice(0, 2), ids.slice(0, 1), ids.slice(0, 17)]
    const scores = await model.scoreAll(texts)
    for (const [i, text] of texts.entries()) {
      const expected = text
        .slice(1)
        .map((id, t) => logProbabilityOf(logits.subarray(t * 96, (t + 1) * 96), id))
      expect(furthest(scores[i]!, expected)).toBeLessThan(1e-4)
    }
    model.dispose()
  })

  it.each(['llama', 'qwen3', 'gpt2'])(
    '%s: two segments in turn are the whole model, bit for bit',
    async (name) => {
      const { path, ids } = tiny(name)
      const model = loadModel(path)
      const [lower, upper, whole] = [
        await model.segment({ to: 1 }),
        await model.segment({ from: 1 }),
        await model.segment(),
      ]
      const x = model.weights.embed(
        ids,
        ids.map((_, i) => i),
      )
      const call = { tokens: ids.length, last: Int32Array.of(ids.length - 1), total: ids.length }
      const rows = [3, ids.length - 1]
      const middle = await lower.run({ ...call, x, cache: lower.cache(1, 32) })
      const top = await upper.run({ ...call, x: middle.x!, cache: upper.cache(1, 32), rows })
      const direct = await whole.run({ ...call, x, cache: whole.cache(1, 64), rows })
      expect([...top.logits!]).toEqual([...direct.logits!])
      for (const segment of [lower, upper, whole]) segment.dispose()
      model.dispose()
    },
  )
})
