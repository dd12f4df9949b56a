/** @file Real models against Transformers on the same dequantized weights. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { argmaxOf, loadModel, loadTokenizer, perplexity } from '../../src/lm/index.ts'
import { furthest, isThere, readFixture, skipped, smollm2, stories } from './fixtures.ts'

interface Oracle {
  columns: number[]
  prompts: { ids: number[]; greedy: number[]; margin: number; rows?: number[][]; top?: [number, number][] }[]
  scores: { ids: number[]; logProbabilities: number[] }[]
}

describe.skipIf(!isThere(smollm2))(`SmolLM2-135M from its GGUF${skipped(smollm2)}`, () => {
  let model: ReturnType<typeof loadModel>
  beforeAll(() => {
    model = loadModel(smollm2, { threads: 2 })
  })
  afterAll(() => model.dispose())

  it('logits to 1e-3, greedy continuations, log-probabilities', { timeout: 120_000 }, async () => {
    const oracle = readFixture<Oracle>('lm-smollm2.json')
    for (const { ids, rows, top } of oracle.prompts.filter((p) => p.rows)) {
      const logits = await model.logits(
        ids,
        ids.map((_, i) => i),
      )
      const v = model.config.vocabulary
      for (const [t, expected] of rows!.entries())
        expect(
          furthest(
            oracle.columns.map((c) => logits[t * v + c]!),
            expected,
          ),
        ).toBeLessThan(1e-3)
      // the head takes another way for one row than for many
      for (const last of [logits.subarray((ids.length - 1) * v), await model.logits(ids)])
        expect(
          furthest(
            top!.map(([id]) => last[id]!),
            top!.map(([, value]) => value),
          ),
        ).toBeLessThan(1e-3)
    }
    // all twenty as one batch: the continuation is fed, each next token must be the most probable one
    for (const { ids, greedy } of oracle.prompts) {
      const text = [...ids, ...greedy]
      const rows = greedy.map((_, i) => ids.length - 1 + i)
      const logits = await model.logits(text.slice(0, -1), rows)
      const v = model.config.vocabulary
      expect(rows.map((_, i) => argmaxOf(logits.subarray(i * v, (i + 1) * v)))).toEqual(greedy)
    }
    // and token by token, which takes another way through the head
    for (const { ids, greedy } of oracle.prompts)
      expect((await model.generate({ ids, maxTokens: 48 })).ids).toEqual(greedy)
    const scores = await model.scoreAll(oracle.scores.map(({ ids }) => ids))
    for (const [i, { logProbabilities }] of oracle.scores.entries())
      expect(furthest(scores[i]!, logProbabilities)).toBeLessThan(1e-3)
  })

  it('in 4-bit blocks with 8-bit activations: a perplexity near that of f32', {
    timeout: 120_000,
  }, async () => {
    const oracle = readFixture<Oracle>('lm-smollm2.json')
    // a few dozen tokens differ by chance more than the precisions do
    const tokenizer = await loadTokenizer(smollm2)
    const texts = Object.values(readFixture<Record<string, string>>('prose.json')).map((text) =>
      [...tokenizer.encode(text)].slice(0, 500),
    )
    expect(texts.map(({ length }) => length)).toEqual([500, 500, 500, 500])
    const small = loadModel(smollm2, { precision: 'q4', threads: 2 })
    const own: number[] = []
    for (const one of [model, small]) own.push(perplexity((await one.scoreAll(texts)).flatMap((s) => [...s])))
    expect(Math.abs(own[1]! / own[0]! - 1)).toBeLessThan(0.02)
    expect((await small.generate({ ids: oracle.prompts[0]!.ids, maxTokens: 5 })).ids).toEqual(
      oracle.prompts[0]!.greedy.slice(0, 5),
    )
    small.dispose()
  })
})

describe.skipIf(!isThere(smollm2))(`SmolLM2-135M in a chat${skipped(smollm2)}`, () => {
  it('auto says what f32 says, where 8 bits an activation say something else', {
    timeout: 120_000,
  }, async () => {
    const tokenizer = loadTokenizer(smollm2)
    const answers = async (precision: 'auto', ...questions: string[]) => {
      const model = loadModel(smollm2, { precision, threads: 2 })
      const texts: string[] = []
      for (const content of questions) {
        const ids = tokenizer.encodeChat([{ role: 'user', content }])
        const { ids: made } = await model.generate({ ids, maxTokens: 12, stopIds: tokenizer.eosIds })
        texts.push(tokenizer.decode(made))
      }
      model.dispose()
      return { texts, precision: model.precision }
    }
    expect(await answers('auto', 'What is the capital of France?', 'What is the capital of Italy?')).toEqual({
      texts: ['The capital of France is Paris.', 'Il Coriobella, Italy.'],
      precision: 'q8',
    })
  })
})

describe.skipIf(!isThere(stories))(`stories260k${skipped(stories)}`, () => {
  it('the golden text, token by token', async () => {
    const { ids } = readFixture<{ ids: number[] }>('lm-stories.json')
    const model = loadModel(stories)
    const { ids: made } = await model.generate({ ids: [1], maxTokens: ids.length - 1 })
    expect([1, ...made]).toEqual(ids)
    model.dispose()
  })
  it('cannot be quantized: its heads are 8 wide', () =>
    expect(() => loadModel(stories, { precision: 'q4' })).toThrow(
      /heads of 8 features, no multiple of 16: load with precision "f32"/,
    ))
})
