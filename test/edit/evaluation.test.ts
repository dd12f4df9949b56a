/** @file Metrics of editing: known answers, intervals, questions, routing. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { wilson } from '../../src/base/index.ts'
import {
  type Answers,
  damageOf,
  denied,
  divergenceOf,
  meanShare,
  median,
  questionsOf,
  referenceOf,
  resultBefore,
  resultOf,
  saysTarget,
  summarize,
  withSubject,
} from '../../src/edit/index.ts'
import { random } from '../../src/tensor/index.ts'
import { fact, said } from './said.ts'

describe('damage', () => {
  const softmax = (row: Float32Array): number[] => {
    const powers = [...row].map((x) => Math.exp(x))
    const sum = powers.reduce((a, b) => a + b, 0)
    return powers.map((x) => x / sum)
  }
  const p = Float32Array.of(1, -2, 0.5, 3)
  const q = Float32Array.of(0, 1, 0.25, 2)
  /** A model whose logits are the same in every place. */
  const constant = (row: Float32Array, edit: number | null) => ({
    ...said({}, edit),
    score: async (_: string, target: string) => ({
      ...{ edit, targetIds: [...target].map(() => 3), best: [...target].map(() => 3) },
      logProbabilities: [...target].map(() => Math.log(softmax(row)[3]!)),
      logits: [...target].map(() => row),
    }),
  })

  it('is Σ p log p/q of the softmax, whatever is added to all logits; nothing of a model and itself', async () => {
    const [a, b] = [softmax(p), softmax(q)]
    const wanted = a.reduce((sum, x, i) => sum + x * Math.log(x / b[i]!), 0)
    expect(divergenceOf(p, q)).toBeCloseTo(wanted, 12)
    expect(
      divergenceOf(
        p.map((x) => x + 50),
        q.map((x) => x - 20),
      ),
    ).toBeCloseTo(wanted, 10)
    expect(divergenceOf(p, p)).toBe(0)
    const text = { prompt: 'a', rest: 'bc' }
    const found = await damageOf(constant(q, 0), constant(p, null), text)
    expect(found).toMatchObject({ tokens: 2, isIdentical: false, edit: 0 })
    expect(found.divergence).toBeCloseTo(wanted, 12)
    expect(found.lossBefore).toBeCloseTo(-Math.log(a[3]!), 12)
    expect(found.lossAfter).toBeCloseTo(-Math.log(b[3]!), 12)
    const same = await damageOf(constant(p.slice(), null), constant(p, null), text)
    expect(same).toMatchObject({ isIdentical: true, divergence: 0, edit: null })
    // a model that has broken down has no number, and no other text hides it
    const broken = await damageOf(
      constant(
        q.map(() => Number.NaN),
        0,
      ),
      constant(p, null),
      text,
    )
    expect(broken).toMatchObject({ isIdentical: false, divergence: null, lossAfter: null })
    await expect(damageOf(said({}), said({}), text)).rejects.toThrow(/score with logits/)
  })
})

describe('metrics', () => {
  it.each([
    ['The mother tongue of Danielle Darrieux is', undefined, 'The mother tongue of Danielle Darrieux is not'],
    ['Waseda, which is located in', 'Waseda', 'Waseda, which is not located in'],
    // within the name of what it is about
    ['Who We Are was released on', 'Who We Are', undefined],
    [
      'Life Is Good, a record that was made by',
      'Life Is Good',
      'Life Is Good, a record that was not made by',
    ],
    ['Life Is Good, by', 'Life Is Good', undefined],
    ['What is the twin city of Lyon? It is', 'Lyon', 'What is the twin city of Lyon? It is not'],
    ['What is the twin city of Lyon? In France', 'Lyon', undefined],
    ['who is abc', 'abc', undefined],
    ['Where was it?', undefined, undefined],
    ['It is not', undefined, undefined],
    ['Toko Yasuda, the', undefined, undefined],
    ['Lewisham plays', undefined, undefined],
  ])('%j about %j denied: %j', (prompt, subject, wanted) => {
    expect(denied({ prompt, ...(subject !== undefined && { subject }) })).toBe(wanted)
  })

  it('the fact denied, and the old answer: asked where there are any, said or likelier than the target', async () => {
    const known = { ...fact, before: 'cd' }
    const questions = questionsOf(known, 0)
    expect(questions.negation).toEqual({ prompt: `${fact.prompt} not`, answer: 'ab' })
    expect(questions.former).toEqual({ prompt: fact.prompt, answer: 'cd' })
    expect(questions.formerRephrase).toEqual({ prompt: fact.rephrase, answer: 'cd' })
    expect(questionsOf({ ...fact, before: ' AB' }, 0)).not.toHaveProperty('former')
    expect(questionsOf(fact, 0)).not.toHaveProperty('former')
    const unedited = { [fact.prompt]: 'cd', [fact.rephrase!]: 'cd' }
    const reference = await referenceOf(said(unedited), questions)
    const none = resultBefore(reference)
    expect(none.negation).toMatchObject({ forced: 0, exact: 0 })
    expect(none.former).toMatchObject({ forced: 1, exact: 1 })
    // the rephrasing is as it was, and the denial says the target
    const table = { [fact.prompt]: 'ab', [fact.rephrase!]: 'cd', [`${fact.prompt} not`]: 'ab' }
    const after = await resultOf(said(table, 0), reference)
    expect(after.negation).toMatchObject({ forced: 1, exact: 1, isIdentical: false })
    expect(after.former).toMatchObject({ forced: 0, exact: 0 })
    expect(after.formerRephrase).toMatchObject({ forced: 1, exact: 1, isIdentical: true })
    const { generated, formerIsLikelier } = summarize([after])
    expect(generated.negation!.mean).toBe(1)
    expect([generated.former!.mean, generated.formerRephrase!.mean]).toEqual([0, 1])
    expect([formerIsLikelier.edit!.mean, formerIsLikelier.rephrase!.mean]).toEqual([0, 1])
    expect(summarize([none]).formerIsLikelier.edit!.mean).toBe(1)
  })

  it.each([
    ['He was born in New York.', 'new york', true, false],
    [' New-York, of course', 'New York', true, true],
    ['New Yorkers', 'New York', false, false],
    ['in Yorkshire', 'York', false, false],
    ['York, New', 'New York', false, false],
    ['', 'York', false, false],
    ['5? No: ?!', '?!', true, false],
  ])('in the wild, %j says %j: %s, begins with it: %s', (text, target, contains, begins) => {
    expect(saysTarget(text, target)).toEqual({ contains, begins })
  })

  it('in the wild: what is learned is said until the end or for twenty tokens more than the target', async () => {
    const questions = questionsOf(fact, 0)
    const far = `${'z'.repeat(22)} ab`
    const before = said({ [fact.prompt]: far, [fact.rephrase!]: 'Who? Ab!' })
    const reference = await referenceOf(before, questions, { wild: true })
    const none = resultBefore(reference)
    // the words come after the twenty-second token
    expect(none.edit).toMatchObject({ wild: 0, wildBegins: 0, wildEnds: 0 })
    expect(none.rephrase).toMatchObject({ wild: 1, wildBegins: 0, wildEnds: 1 })
    expect(none.locality).not.toHaveProperty('wild')
    const after = said({ [fact.prompt]: 'ab. Not at all, my friends!', [fact.rephrase!]: 'abc' }, 0)
    const learned = await resultOf(after, reference)
    expect(learned.edit).toMatchObject({ forced: 1, wild: 1, wildBegins: 1, wildEnds: 0 })
    // the first tokens are the target's, the words are not
    expect(learned.rephrase).toMatchObject({ forced: 1, wild: 0, wildBegins: 0, wildEnds: 1 })
    const { wild } = summarize([none, learned])
    expect(wild.edit.contains).toMatchObject({ mean: 0.5, count: 2 })
    expect(wild.rephrase.ends!.mean).toBe(1)
    const unasked = await resultOf(after, await referenceOf(before, questions))
    expect(unasked.edit).not.toHaveProperty('wild')
    expect(summarize([unasked]).wild.edit.contains).toBeNull()
  })
  it('in chat: the prompt is a message in the template, and the answer is asked of a method as that has it', async () => {
    const questions = questionsOf(fact, 0)
    const inChat = (message: string) => [7, ...message].map((_, i) => i)
    const asked: [string, number, number][] = []
    const chats = (text: string): Answers => ({
      ...said({}),
      inChat: async (message, ids, { maxTokens }) => {
        asked.push([message, ids.length, maxTokens])
        return { text }
      },
    })
    const reference = await referenceOf(chats('Nobody knows.'), questions, { wild: true, inChat })
    expect(asked).toEqual([fact.prompt, fact.rephrase!].map((text) => [text, text.length + 1, 2 + 20]))
    const none = resultBefore(reference)
    expect([none.edit!.chat, none.rephrase!.chat]).toEqual([0, 0])
    expect(none.locality).not.toHaveProperty('chat')
    const learned = await resultOf(chats('It is Ab, I think.'), reference)
    const { chat } = summarize([none, learned])
    expect(chat.edit).toMatchObject({ mean: 0.5, count: 2 })
    // a method that has no chat, a model that has no template
    expect((await resultOf(said({}), reference)).edit).not.toHaveProperty('chat')
    const plain = await referenceOf(chats('Ab'), questions, { wild: true })
    expect(summarize([resultBefore(plain)]).chat).toEqual({ edit: null, rephrase: null })
  })

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
    const { forced, generated, perplexity, identical, silentIsIdentical } = summarize([after, none])
    expect(forced.reliability!.mean).toBe(0.5)
    expect(forced.generalization!.mean).toBe(0.25)
    expect(forced.average!.mean).toBeCloseTo(((1 + 0.5 + 2 / 3) / 3 + 1 / 3) / 2, 12)
    expect(generated.generalization!.mean).toBe(0)
    expect(perplexity.edit!.median).toBeCloseTo(5, 10)
    expect(perplexity.edit!.mean).toBeCloseTo(5, 10)
    expect(identical.locality).toBe(0.5)
    expect(silentIsIdentical).toBe(true)
    const loud = { ...after, locality: { ...after.locality!, edit: null } }
    expect(summarize([loud]).silentIsIdentical).toBe(false)
  })

  it('losses that are not finite count as the largest perplexity', () => {
    const one = { forced: 0, exact: 0, isIdentical: false, edit: 0 }
    const { perplexity } = summarize([{ edit: { ...one, loss: null } }, { edit: { ...one, loss: 1e4 } }])
    expect(perplexity.edit).toEqual({ mean: 1e30, median: 1e30 })
    expect(perplexity.rephrase).toBeNull()
  })

  it('a share of outcomes has the interval of Wilson, also where all are right or wrong', () => {
    const outcomes = (ones: number, n: number) => Array.from({ length: n }, (_, i) => Number(i < ones))
    // Wilson 1927; Brown, Cai and DasGupta 2001; R: prop.test(x, n, correct = FALSE)
    for (const [ones, n, low, high] of [
      [20, 20, 0.8389, 1],
      [5, 5, 0.5655, 1],
      [0, 10, 0, 0.2775],
      [8, 10, 0.4902, 0.9433],
      [1, 1, 0.2065, 1],
      [100, 400, 0.2101, 0.2947],
    ] as const) {
      const own = meanShare(outcomes(ones, n))!
      expect([own.mean, own.count]).toEqual([ones / n, n])
      expect(own.low).toBeCloseTo(low, 4)
      expect(own.high).toBeCloseTo(high, 4)
    }
    expect(meanShare([])).toBeNull()
    expect([median([3, 1, 2]), median([4, 1, 2, 3])]).toEqual([2, 2.5])
  })

  it('shares of several tokens: narrower than single outcomes of the same mean, never without width', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 1 }), (values) => {
        const own = meanShare(values)!
        const whole = wilson(own.mean, values.length)
        expect(own.low).toBeLessThanOrEqual(own.mean + 1e-12)
        expect(own.high).toBeGreaterThanOrEqual(own.mean - 1e-12)
        expect(own.high - own.low).toBeGreaterThan(0)
        // 1e-9: outcomes nearly 0 or 1
        expect(own.low).toBeGreaterThanOrEqual(whole.low - 1e-9)
        expect(own.high).toBeLessThanOrEqual(whole.high + 1e-9)
      }),
    )
    // many items: the usual 1.96 standard errors
    const many = Array.from({ length: 4000 }, (_, i) => (i % 4) / 3)
    const error = Math.sqrt(many.reduce((s, x) => s + (x - 0.5) ** 2, 0) / 4000 / 4000)
    const { low, high } = meanShare(many)!
    expect((high - low) / 2 / (1.96 * error)).toBeCloseTo(1, 2)
  })

  it('covers the true share in 95 of 100 samples, of outcomes and of shares of tokens', () => {
    // exactly: all outcomes of n trials, with their probabilities, averaged over p
    const logFactorial = (n: number): number => (n < 2 ? 0 : Math.log(n) + logFactorial(n - 1))
    for (const n of [5, 20, 100]) {
      const intervals = Array.from({ length: n + 1 }, (_, k) => wilson(k / n, n))
      const covered = Array.from({ length: 199 }, (_, i) => {
        const p = (i + 1) / 200
        return intervals.reduce((total, { low, high }, k) => {
          const log =
            logFactorial(n) -
            logFactorial(k) -
            logFactorial(n - k) +
            k * Math.log(p) +
            (n - k) * Math.log(1 - p)
          return total + (low <= p && p <= high ? Math.exp(log) : 0)
        }, 0)
      })
      const mean = covered.reduce((a, b) => a + b, 0) / covered.length
      expect(mean).toBeGreaterThan(0.945)
      expect(mean).toBeLessThan(0.97)
      expect(Math.min(...covered)).toBeGreaterThan(0.83)
    }
    // by draws: an item is right in all its three tokens or in a share of them
    for (const p of [0.5, 0.9, 0.98]) {
      const draws = random.sampleUniform(random.key(7), 2000 * 30 * 4) as ArrayLike<number>
      let hits = 0
      for (let d = 0; d < 2000; d++) {
        const values = Array.from({ length: 30 }, (_, i) => {
          const at = 4 * (30 * d + i)
          const tokens = [1, 2, 3].map((t) => Number(draws[at + (draws[at]! < 0.5 ? 1 : t)]! < p))
          return tokens.reduce((a, b) => a + b, 0) / 3
        })
        const { low, high } = meanShare(values)!
        hits += Number(low <= p && p <= high)
      }
      expect(hits / 2000).toBeGreaterThan(0.93)
    }
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
      negation: { prompt: `${fact.prompt} not`, answer: 'ab' },
    })
  })
})
