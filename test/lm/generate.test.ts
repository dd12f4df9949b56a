/** @file Drawing the next token, and continuing texts. */
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  argmaxOf,
  type LanguageModel,
  loadModel,
  logProbabilities,
  perplexity,
  type Sampling,
  sampleToken,
} from '../../src/lm/index.ts'
import { random } from '../../src/tensor/index.ts'
import { type Tiny, tinyModels } from './fixtures.ts'

const logits = Float32Array.of(2, 1, 0, -1, 3)
const softmax = [...logProbabilities(logits)].map(Math.exp)
const draw = (sampling: Sampling, count = 4000, seen: number[] = []): number[] => {
  const counts = Array<number>(5).fill(0)
  for (let i = 0; i < count; i++) counts[sampleToken(logits, sampling, seen, random.key(i))]!++
  return counts.map((n) => n / count)
}

describe('the next token', () => {
  it('has the probabilities of a softmax', () => {
    const shares = draw({ temperature: 1 })
    // five standard deviations
    for (const [i, p] of softmax.entries())
      expect(Math.abs(shares[i]! - p)).toBeLessThan(5 * Math.sqrt((p * (1 - p)) / 4000))
  })
  it('is cut to the k first, to a mass, to a fraction of the first', () => {
    const kept = (sampling: Sampling): number[] =>
      draw({ temperature: 1, ...sampling }, 3000).flatMap((p, i) => (p > 0 ? [i] : []))
    expect(kept({ topK: 2 })).toEqual([0, 4])
    // .64, .23, .09, .03, .01
    expect(kept({ topP: 0.6 })).toEqual([4])
    expect(kept({ topP: 0.65 })).toEqual([0, 4])
    expect(kept({ minP: 0.1 })).toEqual([0, 1, 4])
    expect(kept({ topK: 1, minP: 0 })).toEqual([4])
  })
  it('is the most probable one at temperature 0, the first of equals', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: -9, max: 9 }), { minLength: 1 }), (values) => {
        const id = sampleToken(Float32Array.from(values), {}, [], random.key(0))
        expect(id).toBe(values.indexOf(Math.max(...values)))
      }),
    )
  })
  it('is less likely when it was seen', () => {
    expect(sampleToken(logits, { repetitionPenalty: 2 }, [4], random.key(0))).toBe(0)
    const negative = Float32Array.of(-1, -1.5)
    expect(sampleToken(negative, { repetitionPenalty: 2 }, [0], random.key(0))).toBe(1)
  })
})

describe('texts', () => {
  let all: { models: Tiny[]; clean: () => void }
  let model: LanguageModel
  beforeAll(async () => {
    all = await tinyModels()
    model = loadModel(all.models[0]!.path, { context: 40 })
  })
  afterAll(() => {
    model.dispose()
    all.clean()
  })
  const prompt = [5, 17, 80]
  const base = { ids: prompt, maxTokens: 12 }

  it('greedy ones are what whole forward passes give', async () => {
    const { ids, finish } = await model.generate(base)
    expect(finish).toBe('length')
    const text = [...prompt]
    for (const id of ids) {
      expect(argmaxOf(await model.logits(text))).toBe(id)
      text.push(id)
    }
  })
  it('the same key gives the same text, another key another', async () => {
    const of = async (seed: number) =>
      (await model.generate({ ...base, sampling: { temperature: 2 }, key: random.key(seed) })).ids
    expect(await of(1)).toEqual(await of(1))
    expect(await of(1)).not.toEqual(await of(2))
  })
  it('end at a stop, at the end of the context, when told', async () => {
    const { ids } = await model.generate(base)
    const stop = ids[4]!
    const cut = await model.generate({ ...base, stopIds: [stop] })
    expect(cut).toEqual({ ids: ids.slice(0, ids.indexOf(stop)), finish: 'eos' })
    const long = await model.generate({ ids: prompt, maxTokens: 100 })
    // the token after the last place of the context can still be named
    expect(long.ids.length).toBe(40 - prompt.length + 1)
    expect(long.finish).toBe('context')
    const controller = new AbortController()
    const heard: number[] = []
    const aborted = await model.generate({
      ...base,
      signal: controller.signal,
      onToken: (id) => {
        heard.push(id)
        if (heard.length === 3) controller.abort()
      },
    })
    expect(aborted).toEqual({ ids: heard, finish: 'aborted' })
    expect(heard).toEqual(ids.slice(0, 3))
  })
  it('two conversations at once do not disturb each other', async () => {
    const [a, b] = [model.session(), model.session()]
    const [x, y] = await Promise.all([a.prefill(prompt), b.prefill([1, 2, 3, 4])])
    const [x2, y2] = await Promise.all([a.decode(9), b.decode(9)])
    expect([...x]).toEqual([...(await model.logits(prompt))])
    expect([...y]).toEqual([...(await model.logits([1, 2, 3, 4]))])
    const whole = [await model.logits([...prompt, 9]), await model.logits([1, 2, 3, 4, 9])]
    for (const [i, v] of x2.entries()) expect(Math.abs(v - whole[0]![i]!)).toBeLessThan(1e-5)
    for (const [i, v] of y2.entries()) expect(Math.abs(v - whole[1]![i]!)).toBeLessThan(1e-5)
  })
  it('refuse what means nothing, in one line', async () => {
    await expect(model.generate({ ids: [], maxTokens: 1 })).rejects.toThrow('expected at least one token')
    await expect(model.generate({ ids: [96], maxTokens: 1 })).rejects.toThrow(
      'token 0: expected an id from 0 to 95, got 96',
    )
    await expect(model.generate({ ids: [1], maxTokens: 0 })).rejects.toThrow('maxTokens')
    await expect(model.generate({ ...base, sampling: { temperature: 1 } })).rejects.toThrow('needs a key')
    await expect(model.generate({ ...base, sampling: { topP: 2 } })).rejects.toThrow(
      'topP: expected a number in (0, 1], got 2',
    )
    await expect(model.session().prefill(Array<number>(41).fill(1))).rejects.toThrow(
      '41 tokens, the context holds 40',
    )
    expect(() => perplexity([])).toThrow('at least one')
    expect(() => loadModel(all.models[0]!.path, { precision: 'q3' as never })).toThrow(
      'expected auto, f32, q8 or q4',
    )
    expect(() => loadModel(all.models[0]!.path, { context: 65 })).toThrow('expected 1 to 64 tokens, got 65')
  })
})
