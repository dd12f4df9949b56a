/** The scope: which tokens count, discriminants against whitening by hand, and routing by what is asked in JavaScript and in the program. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { assert, property } from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type Editor,
  type NewStore,
  openEditor,
  openStore,
  outsideWeights,
  piecesOf,
  scopeLevels,
} from '../../src/edit/index.ts'
import { asksOf } from '../../src/edit/memoir/asking.ts'
import { openFeatures } from '../../src/edit/scope/features.ts'
import { learnScope, scopeRates, weightedPrompt } from '../../src/edit/scope/learn.ts'
import { kinds } from '../../src/edit/scope/questions.ts'
import {
  type Asking,
  cohortOf,
  commonness,
  type Discriminants,
  defaultLooks,
  fitDiscriminants,
  scopeVector,
} from '../../src/edit/scope/scope.ts'
import type { LanguageModel, Tokenizer } from '../../src/lm/index.ts'
import { random } from '../../src/tensor/index.ts'
import { withTinyLlama } from './tinyLlama.ts'

describe('tokens outside the subject', () => {
  const words = (text: string): string[] => text.split(/(?<=\S)(?=\s)/)
  const shares = (text: string, subject: string): number[] => [...outsideWeights(words(text), subject)]

  it.each([
    ['The mother tongue of Ada King is', 'Ada King', [1, 1, 1, 1, 0, 0, 1]],
    // case and punctuation between its words do not count
    ['who is ADA-King there', 'ada king', [1, 1, 0, 1]],
    ["Ada King's job", 'Ada King', [0, 0, 1]],
    // as whole words
    ['Adam and Ada', 'Ada', [1, 1, 0]],
    // every time it is named; sentences before the last that names it say something else
    ['We met Ada. It rained. Does Ada know Ada', 'Ada', [0, 0, 0, 0, 0, 1, 0, 1, 0]],
    // nothing else is said, or it is not named: all alike
    ['Ada', 'Ada', [1]],
    ['where is it', 'Ada', [1, 1, 1]],
    ['where is it', '?!', [1, 1, 1]],
  ] as const)('%s, about %s', (text, subject, expected) => {
    const total = expected.reduce<number>((a, b) => a + b, 0)
    expect(shares(text, subject)).toEqual(expected.map((one) => one / total))
  })

  it('weights are shares of 1 and none is within the subject, whatever the text', () => {
    const word = fc.stringMatching(/^[a-z.?! (*+\\]{1,6}$/)
    assert(
      property(fc.array(word, { minLength: 1, maxLength: 8 }), fc.nat(7), (texts, at) => {
        const subject = 'Qx Zw'
        const pieces = [...texts.slice(0, at), ' Qx', ' Zw', ...texts.slice(at).map((one) => ` ${one}`)]
        const weights = outsideWeights(pieces, subject)
        expect(weights.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 12)
        const named = pieces.indexOf(' Qx')
        const isAlone = weights.every((w) => w === weights[0])
        if (!isAlone) expect([weights[named], weights[named + 1]]).toEqual([0, 0])
      }),
    )
  })
})

/** Noisy questions in a space of few dimensions: a mean for each, noise that is large along some axes. */
function madeUp(questions: number, each: number, width: number, seed: number): Asking[] {
  const draw = random.sampleNormal(random.key(seed), questions * width * (each + 1))
  let at = 0
  const next = (): number => draw[at++]!
  return Array.from({ length: questions }, (_, question) => {
    const mean = Array.from({ length: width }, () => next())
    return Array.from({ length: each }, () => ({
      question,
      rest: Float64Array.from(mean, (m, i) => m + next() * (i < width / 2 ? 1.5 : 0.2)),
    }))
  }).flat()
}

/** x of S x = b by Gaussian elimination. */
function solve(matrix: number[][], b: readonly number[]): number[] {
  const rows = matrix.map((row, i) => [...row, b[i]!])
  const n = b.length
  for (let i = 0; i < n; i++) {
    const pivot = rows
      .slice(i)
      .reduce((best, row, k) => (Math.abs(row[i]!) > Math.abs(rows[best]![i]!) ? i + k : best), i)
    ;[rows[i], rows[pivot]] = [rows[pivot]!, rows[i]!]
    for (let k = i + 1; k < n; k++) {
      const factor = rows[k]![i]! / rows[i]![i]!
      for (let j = i; j <= n; j++) rows[k]![j]! -= factor * rows[i]![j]!
    }
  }
  const x = new Array<number>(n).fill(0)
  for (let i = n - 1; i >= 0; i--)
    x[i] =
      (rows[i]![n]! - rows[i]!.slice(i + 1, n).reduce((s, v, k) => s + v * x[i + 1 + k]!, 0)) / rows[i]![i]!
  return x
}

/** Score of two prompts by one look. */
const scoreOf = (own: Discriminants, a: Float64Array, b: Float64Array): number =>
  a.reduce((sum, x, d) => sum + x * b[d]!, 0) - commonness(own, a) - commonness(own, b)

describe('discriminants', () => {
  it('compare questions as the inverse covariance within them does', () => {
    const [questions, width] = [6, 8]
    const all = madeUp(questions, 40, width, 3)
    const scope = fitDiscriminants(all)
    expect(scope.dimensions).toBe(questions - 1)
    const means = Array.from({ length: questions }, (_, q) => {
      const own = all.filter(({ question }) => question === q)
      return Array.from(
        { length: width },
        (__, i) => own.reduce((s, { rest }) => s + rest[i]!, 0) / own.length,
      )
    })
    const within = Array.from({ length: width }, (_, i) =>
      Array.from(
        { length: width },
        (__, j) =>
          all.reduce(
            (s, { rest, question }) =>
              s + (rest[i]! - means[question]![i]!) * (rest[j]! - means[question]![j]!),
            0,
          ) / all.length,
      ),
    )
    const trace = within.reduce((s, row, i) => s + row[i]!, 0) / width
    const shrunk = within.map((row, i) => row.map((value, j) => 0.5 * value + (i === j ? 0.5 * trace : 0)))
    const inner = (a: readonly number[], b: readonly number[]): number =>
      a.reduce((s, value, i) => s + value * solve(shrunk, b)[i]!, 0)
    // five discriminants hold all but the direction in which the six means differ least
    for (let a = 0; a < questions; a++)
      for (let b = 0; b < a; b++) {
        const [x, y] = [scopeVector(scope, means[a]!), scopeVector(scope, means[b]!)]
        const cosine = x.reduce((s, value, i) => s + value * y[i]!, 0)
        const exact =
          inner(means[a]!, means[b]!) / Math.sqrt(inner(means[a]!, means[a]!) * inner(means[b]!, means[b]!))
        expect(Math.abs(cosine - exact)).toBeLessThan(0.12)
      }
  })

  it('tell questions apart that nobody has shown them', () => {
    const all = madeUp(40, 12, 24, 5)
    const scope = fitDiscriminants(all.filter(({ question }) => question < 30))
    const others = all.filter(({ question }) => question >= 30)
    const vectors = others.map(({ rest, question }) => ({ question, vector: scopeVector(scope, rest) }))
    const same: number[] = []
    const different: number[] = []
    for (const [i, a] of vectors.entries())
      for (const b of vectors.slice(0, i))
        (a.question === b.question ? same : different).push(scoreOf(scope, a.vector, b.vector))
    different.sort((a, b) => b - a)
    const threshold = different[Math.floor(different.length / 10)]!
    expect(same.filter((score) => score > threshold).length / same.length).toBeGreaterThan(0.9)
  })

  it('commonness is half of the mean over the nearest known questions', () => {
    const scope = fitDiscriminants(madeUp(9, 6, 5, 7))
    const vector = scopeVector(scope, Float64Array.of(1, -2, 0.5, 3, 0))
    const { dimensions, questions } = scope
    const cosines = Array.from({ length: 9 }, (_, q) =>
      vector.reduce((s, value, d) => s + value * questions[q * dimensions + d]!, 0),
    ).sort((a, b) => b - a)
    const nearest = cosines.slice(0, cohortOf(9))
    expect(commonness(scope, vector)).toBeCloseTo(nearest.reduce((a, b) => a + b, 0) / nearest.length / 2, 12)
  })

  it('too few questions, or none that differ, are refused', () => {
    expect(() => fitDiscriminants(madeUp(2, 5, 4, 1))).toThrow(
      'scope: expected at least three questions, got 2',
    )
    const still = madeUp(4, 3, 4, 1).map(({ question }) => ({ question, rest: new Float64Array(4) }))
    expect(() => fitDiscriminants(still)).toThrow('this model cannot tell them apart')
  })
})

let model: LanguageModel
let words: Tokenizer
const root = withTinyLlama('scope', (own) => {
  model = own.model
  words = own.words
})

const facts = [
  { prompt: 'the job of abc is', target: 'xy', subject: 'abc' },
  { prompt: 'who is Qed 7 with', target: 'zw', subject: 'Qed 7' },
  { prompt: 'no name at all', target: 'u' },
]
const ask = [
  '{} works as',
  'the job of {} is',
  'why is {} so',
  '{}',
  'tell me. The job of {} is',
  'a {} b {} c',
  'no name at all',
]

let stores = 0
async function taught(create: NewStore): Promise<Editor> {
  const editor = await openEditor(model, join(root, `${stores++}`), {
    tokenizer: words,
    create: { layer: 1, ...create },
  })
  for (const fact of facts) await editor.add(fact)
  return editor
}

it.each([
  [30, 25, 576, [6, 12]],
  [30, 9, 576, [6, 9]],
  [30, 3, 576, [3]],
  [2, 1, 8, [1]],
  [2, 0, 8, [0]],
  // a gigabyte and more would be held twice: one look, and early
  [22, 18, 2048, [6]],
])(
  'of %i blocks with the router at %i, of width %i, it looks at %j alike',
  (layers, router, width, blocks) => {
    const looks = defaultLooks({ layers, width, hidden: 3 * width }, router)
    expect(looks.map(({ layer }) => layer)).toEqual(blocks)
    expect(looks.map(({ weight }) => weight)).toEqual(blocks.map(() => 1 / blocks.length))
    expect(looks.every(({ tokens }) => tokens === 'outside')).toBe(true)
  },
)

describe('a store with a scope', () => {
  it('features are means of hidden states of norm √width, look after look, alone and in a batch', async () => {
    const looks = [
      { layer: 1, tokens: 'outside', weight: 0.25 },
      { layer: 0, tokens: 'last', weight: 0.5 },
      { layer: 1, tokens: 'last', weight: 0.25 },
    ] as const
    const features = openFeatures(model, looks)
    const prompts = ['abc', 'a longer prompt of abc', 'x'].map((text) => words.encode(text))
    const given = prompts.map((ids) => ({ ids, weights: outsideWeights(piecesOf(words, ids), 'abc') }))
    const together = await features.of(given)
    const segment = await model.segment({ to: 1, head: false })
    const { width } = model.config
    for (const [i, { ids, weights }] of given.entries()) {
      const { x } = await segment.run({ ids, kvCache: segment.kvCache(1, ids.length) })
      const expected = new Float64Array(3 * width)
      const add = (from: number, states: Float32Array, t: number, weight: number): void => {
        const row = states.subarray(t * width, (t + 1) * width)
        const norm = Math.hypot(...row)
        for (let j = 0; j < width; j++) expected[from + j]! += (weight * row[j]! * Math.sqrt(width)) / norm
      }
      for (const [t, weight] of weights.entries()) add(0, x!, t, weight)
      const end = ids.length - 1
      add(width, model.weights.embed(ids, [...ids.keys()]), end, 1)
      add(2 * width, x!, end, 1)
      for (let j = 0; j < 3 * width; j++) expect(together[i]![j]).toBeCloseTo(expected[j]!, 4)
    }
    segment.dispose()
    features.dispose()
  })

  it.each(scopeLevels)(
    '%s: the program decides as JavaScript does, and own prompts are always answered',
    async (scope) => {
      const editor = await taught({ scope })
      const settings = editor.config.scope
      if (scope === 'wide') expect(settings).toBeUndefined()
      else expect(settings).toMatchObject({ level: scope, falsePositives: scopeRates })
      for (const { prompt } of facts)
        expect((await editor.generate(prompt, { maxTokens: 1 })).edit).not.toBeNull()
      let held = 0
      for (const subject of ['abc', 'Qed 7', 'other'])
        for (const text of ask.map((one) => one.replaceAll('{}', subject))) {
          const { answer, nearest } = await editor.why(text, 9)
          expect((await editor.generate(text, { maxTokens: 1 })).edit).toBe(answer)
          const { ones, hidden, threshold } = editor.config
          const least = (number: number): number =>
            scope !== 'wide' && number < 3 ? (1.05 * ones) / hidden : threshold
          const first = nearest.find(
            ({ passes, overlap, number, scope: own }) =>
              passes && overlap >= least(number) - 1e-9 && (own === undefined || own.score >= own.need),
          )
          expect(answer).toBe(first?.number ?? null)
          held += nearest.filter(({ passes, scope: own }) => passes && own && own.score < own.need).length
        }
      if (scope === 'wide') expect(held).toBe(0)
      else expect(held).toBeGreaterThan(0)
      editor.dispose()
    },
  )

  it('where it holds an edit back, the model is as it was, bit for bit', async () => {
    const editor = await taught({ scope: 'narrow' })
    let silent = 0
    for (const text of ask.map((one) => one.replaceAll('{}', 'abc'))) {
      const { answer } = await editor.why(text)
      if (answer !== null) continue
      silent++
      const { logits } = await editor.logits(text)
      expect([...new Uint32Array(logits.slice().buffer)]).toEqual([
        ...new Uint32Array((await model.logits(words.encode(text))).slice().buffer),
      ])
    }
    expect(silent).toBeGreaterThan(0)
    editor.dispose()
  })

  it('opens with the same decisions, replays to the same bits, and survives an undo', async () => {
    const editor = await taught({})
    const path = join(root, `${stores - 1}`)
    const decisions = async (own: Editor) => {
      const found = []
      for (const text of ask.map((one) => one.replaceAll('{}', 'Qed 7'))) found.push(await own.why(text))
      return found
    }
    const before = await decisions(editor)
    editor.dispose()
    const again = await openEditor(model, path, { tokenizer: words })
    expect(await decisions(again)).toEqual(before)
    expect((await again.replay()).identical).toBe(true)
    expect(await decisions(again)).toEqual(before)
    await again.undo(2)
    expect((await again.why(facts[1]!.prompt)).answer).toBeNull()
    again.dispose()
  })

  it('of an earlier version, with one look, has the scores and the decisions that it had', async () => {
    const made = await taught({})
    const path = join(root, `${stores - 1}`)
    made.dispose()
    const layer = 1
    const before = await learnScope(model, words, [{ layer, tokens: 'outside', weight: 1 }])
    const [own] = before.looks
    const features = openFeatures(model, before.looks)
    const askOf = ({ prompt, subject }: (typeof facts)[number]) =>
      asksOf(before, words, features, { prompt, subject })
    const asks = await Promise.all(facts.map(askOf))
    const store = openStore(path)
    const { level, dimensions, questions, prompts, falsePositives } = store.config.scope!
    const { thresholds } = before
    store.replaceScope(
      before,
      { level, layer, dimensions, questions, thresholds, prompts, falsePositives },
      asks,
    )
    const editor = await openEditor(model, path, { tokenizer: words })
    expect(editor.config.scope!.looks).toBeUndefined()
    let looked = 0
    for (const text of ask.map((one) => one.replaceAll('{}', 'abc'))) {
      const { answer, nearest } = await editor.why(text)
      expect((await editor.generate(text, { maxTokens: 1 })).edit).toBe(answer)
      const found = nearest.find(({ number }) => number === 1)!.scope
      if (!found) continue
      looked++
      const [feature] = await features.of([weightedPrompt(words, text, 'abc')])
      const vector = scopeVector(
        own!,
        feature!.map((x, j) => x - asks[0]!.mean[j]!),
      )
      expect(found.score).toBeCloseTo(scoreOf(own!, vector, Float64Array.from(asks[0]!.vector)), 12)
      const limit = 1 - 2 * commonness(own!, asks[0]!.vector) - 1e-3
      expect(found.need).toBeCloseTo(Math.min(thresholds.balanced, limit), 12)
    }
    expect(looked).toBeGreaterThan(3)
    features.dispose()
    editor.dispose()
  })

  it('two levels differ in nothing but the threshold, and one can be changed for another', async () => {
    const editor = await taught({ scope: 'narrow' })
    const text = 'why is abc so'
    const first = async () => (await editor.why(text)).nearest.find(({ number }) => number === 1)
    const narrow = await first()
    editor.rescope('balanced')
    const balanced = await first()
    expect(balanced!.scope!.score).toBe(narrow!.scope!.score)
    expect(balanced!.scope!.need).toBeLessThanOrEqual(narrow!.scope!.need)
    editor.rescope('wide')
    expect((await first())!.scope).toBeUndefined()
    editor.dispose()
    const wide = await taught({ scope: 'wide' })
    expect(() => wide.rescope('narrow')).toThrow('was made without a scope')
    wide.dispose()
  })

  it('a threshold that is set anew holds from the next prompt on', async () => {
    const editor = await taught({})
    const text = 'no name at al'
    const decided = async () => [
      (await editor.why(text)).answer,
      (await editor.generate(text, { maxTokens: 1 })).edit,
    ]
    expect(await decided()).toEqual([3, 3])
    await editor.calibrate([text], 0)
    expect(await decided()).toEqual([null, null])
    editor.dispose()
  })

  it('needs the gate, and says so', async () => {
    const make = openEditor(model, join(root, 'gate'), {
      tokenizer: words,
      create: { gate: 'none', scope: 'narrow' },
    })
    await expect(make).rejects.toThrow(
      'scope: narrow compares questions about one subject, so it needs the gate',
    )
  })

  it('a damaged part of it is named', async () => {
    const editor = await taught({})
    const path = join(root, `${stores - 1}`)
    editor.dispose()
    const config = join(path, 'config.json')
    const text = readFileSync(config, 'utf8')
    for (const [from, to] of [
      ['"balanced"', '"broad"'],
      ['"dimensions": ', '"dimensions": 0.5, "was": '],
      ['"questions": ', '"questions": 3, "were": '],
      ['"looks": ', '"looks": [], "seen": '],
      ['"tokens": "outside"', '"tokens": "first"'],
      ['"layer": 1,\n        "tokens"', '"layer": 2,\n        "tokens"'],
    ] as const) {
      expect(text).toContain(from)
      writeFileSync(config, text.replace(from, to))
      await expect(openEditor(model, path, { tokenizer: words })).rejects.toThrow(/damaged/)
    }
    writeFileSync(config, text)
    const asks = readdirSync(path).find((name) => name.startsWith('asks-'))!
    const bytes = readFileSync(join(path, asks))
    writeFileSync(join(path, asks), bytes.subarray(0, bytes.length - 8))
    await expect(openEditor(model, path, { tokenizer: words })).rejects.toThrow(asks)
  })
})

it('questions of a kind are asked in at least three wordings, none twice', () => {
  for (const { questions, subjects } of kinds) {
    expect(subjects.length).toBeGreaterThanOrEqual(4)
    const all = questions.flat()
    expect(new Set(all).size).toBe(all.length)
    for (const wordings of questions) {
      expect(wordings.length).toBeGreaterThanOrEqual(3)
      for (const wording of wordings) expect(wording.split('{}')).toHaveLength(2)
    }
  }
})
