/** The scope learned on a user's relations: what changes, what stays, stores without one, the cache, and files that are no relations. */
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { assert, property } from 'fast-check'
import { describe, expect, it } from 'vitest'
import { TreelineError } from '../../src/base/index.ts'
import {
  defaultTraining,
  type Editor,
  learnRelations,
  type NewStore,
  openEditor,
  openStore,
  parseRelations,
  type Relations,
} from '../../src/edit/index.ts'
import { openFeatures } from '../../src/edit/scope/features.ts'
import { scopeRates, weightedPrompt } from '../../src/edit/scope/learn.ts'
import { generalQuestions, kinds } from '../../src/edit/scope/questions.ts'
import {
  commonness,
  type Discriminants,
  defaultLooks,
  difference,
  fitDiscriminants,
  meanOf,
  scopeVector,
} from '../../src/edit/scope/scope.ts'
import type { LanguageModel, Tokenizer } from '../../src/lm/index.ts'
import { withTinyLlama } from './tinyLlama.ts'

let model: LanguageModel
let words: Tokenizer
const root = withTinyLlama('relations', (own) => {
  model = own.model
  words = own.words
})

const relations: Relations[] = [
  {
    subjects: ['abc', 'Unit 12'],
    relations: [
      ['{} works as', 'the job of {} is', 'what is {} paid for'],
      ['who is {} with', 'the friend of {} is'],
      ['{} sleeps in', 'the bed of {} is in'],
    ],
  },
]
const facts = [
  { prompt: 'the job of abc is', target: 'xy', subject: 'abc' },
  { prompt: 'who is Qed 7 with', target: 'zw', subject: 'Qed 7' },
  { prompt: 'no name at all', target: 'u' },
]
const asked = ['abc', 'Qed 7'].flatMap((subject) =>
  ['{} works as', 'the job of {} is', 'why is {} so', 'who is {} with', '{}', 'a {} b'].map((text) =>
    text.replace('{}', subject),
  ),
)

let stores = 0
async function taught(create: NewStore = {}): Promise<string> {
  const path = join(root, `${stores++}`)
  const training = { maxSteps: 4, patience: 1 }

  const editor = await openEditor(model, path, {
    tokenizer: words,
    create: { layer: 1, threshold: 0.5, ...create, training: { ...defaultTraining, ...training } },
  })
  for (const fact of facts) await editor.add(fact)
  editor.dispose()
  return path
}
const open = (path: string): Promise<Editor> => openEditor(model, path, { tokenizer: words, mustExist: true })
const decisions = async (editor: Editor) => {
  const found = []
  for (const text of asked) found.push(await editor.why(text))
  return found
}
const namesIn = (path: string, begin: string): string[] =>
  readdirSync(path)
    .filter((name) => name.startsWith(begin))
    .sort()
const settingsIn = (path: string) => openStore(path).config.scope!

describe('a scope learned on relations of a user', () => {
  it('is another one, with its own thresholds, and opens as it was written', async () => {
    const path = await taught()
    const before = openStore(path)
    const settings = await learnRelations(model, path, relations, { tokenizer: words })
    const after = openStore(path)
    expect(after.config.scope).toEqual(settings)
    expect(settings).toMatchObject({ level: 'balanced', looks: before.config.scope!.looks })
    expect(settings.questions).toBe(before.config.scope!.questions + 3)
    expect(settings.prompts).toBe(before.config.scope!.prompts + 2 * (generalQuestions.length + 7))
    expect(after.scope!.looks[0]!.map).not.toEqual(before.scope!.looks[0]!.map)
    // what edits ask is known by the new map; what is taken off does not depend on it
    expect(after.asksAt(0)!.vector).not.toEqual(before.asksAt(0)!.vector)
    expect(after.asksAt(0)!.mean).toEqual(before.asksAt(0)!.mean)
    expect([after.asksAt(2), after.records, after.memory]).toEqual([undefined, before.records, before.memory])
    expect([namesIn(path, 'asks-'), namesIn(path, 'scope-')]).toEqual([
      [],
      [`scope-${settings.hash}.safetensors`],
    ])
  })

  it('is the one of all questions together, with thresholds by those that it has not seen', async () => {
    const path = await taught()
    const { thresholds } = await learnRelations(model, path, relations, { tokenizer: words })
    const looks = defaultLooks(model.config, 1)
    const { width } = model.config
    const features = openFeatures(model, looks)
    const all: { subject: string; question: number; rest: Float64Array }[] = []
    let first = 0
    for (const kind of [...kinds, { ...relations[0]!, questions: relations[0]!.relations }]) {
      for (const subject of kind.subjects) {
        const of = (texts: readonly string[]) =>
          features.of(texts.map((text) => weightedPrompt(words, text.replace('{}', subject), subject)))
        const mean = meanOf(await of(generalQuestions))
        for (const [q, wordings] of kind.questions.entries())
          for (const feature of await of(wordings))
            all.push({ subject, question: first + q, rest: difference(feature, mean) })
      }
      first += kind.questions.length
    }
    features.dispose()
    /** Of some questions, the discriminants of each look by themselves. */
    const fittedOn = (askings: typeof all): Discriminants[] =>
      looks.map((_, l) =>
        fitDiscriminants(
          askings.map(({ rest, question }) => ({ question, rest: rest.slice(l * width, (l + 1) * width) })),
        ),
      )
    const own = openStore(path).scope!
    for (const [l, expected] of fittedOn(all).entries()) {
      expect(own.looks[l]).toMatchObject(looks[l]!)
      expect(own.dimensions).toBe(expected.dimensions)
      // later discriminants are nearly as good as each other; the sign is of no account
      for (const d of [0, 1, 2]) {
        const column = (map: Float32Array) => map.filter((_, at) => at % own.dimensions === d)
        const [x, y] = [column(own.looks[l]!.map), column(expected.map)]
        const inner = x.reduce((sum, value, i) => sum + value * y[i]!, 0)
        expect(Math.abs(inner) / Math.hypot(...x) / Math.hypot(...y)).toBeGreaterThan(0.999)
      }
    }
    const scores = [0, 1].flatMap((half) => {
      const fitted = fittedOn(all.filter(({ question }) => question % 2 !== half))
      const judged = all.filter(({ question }) => question % 2 === half)
      const vectors = judged.map(({ rest }) =>
        fitted.map((one, l) => scopeVector(one, rest.subarray(l * width, (l + 1) * width))),
      )
      const common = vectors.map((own) => own.map((vector, l) => commonness(fitted[l]!, vector)))
      const scoreOf = (i: number, j: number): number =>
        looks.reduce((sum, { weight }, l) => {
          const cosine = vectors[i]![l]!.reduce((s, x, d) => s + x * vectors[j]![l]![d]!, 0)
          return sum + weight * (cosine - common[i]![l]! - common[j]![l]!)
        }, 0)
      return judged.flatMap((a, i) =>
        judged.flatMap((b, j) =>
          j < i && a.subject === b.subject && a.question !== b.question ? [scoreOf(i, j)] : [],
        ),
      )
    })
    for (const name of ['narrow', 'balanced'] as const) {
      const share = (least: number) => scores.filter((score) => score > least).length / scores.length
      // features of other batches differ in their last bits
      expect(share(thresholds[name] + 0.01)).toBeLessThanOrEqual(scopeRates[name])
      expect(share(thresholds[name] - 0.01)).toBeGreaterThanOrEqual(scopeRates[name])
    }
  })

  it('own prompts are answered, program and JavaScript decide alike, reopened and replayed too', async () => {
    const path = await taught()
    await learnRelations(model, path, relations, { tokenizer: words, level: 'narrow' })
    const editor = await open(path)
    expect(editor.config.scope!.level).toBe('narrow')
    for (const [i, { prompt }] of facts.entries()) expect((await editor.why(prompt)).answer).toBe(i + 1)
    const found = await decisions(editor)
    for (const [i, text] of asked.entries())
      expect((await editor.generate(text, { maxTokens: 1 })).edit).toBe(found[i]!.answer)
    expect(found.some(({ answer }) => answer === null)).toBe(true)
    expect((await editor.replay()).identical).toBe(true)
    editor.dispose()
    const again = await open(path)
    expect(await decisions(again)).toEqual(found)
    await again.undo(2)
    expect((await again.why(facts[1]!.prompt)).answer).not.toBe(2)
    again.dispose()
  })

  it('edits taught after it ask the same as if they had been taught before, bit for bit', async () => {
    const path = await taught()
    const twin = `${path}-twin`
    cpSync(path, twin, { recursive: true })
    const teach = async (to: string): Promise<void> => {
      const editor = await open(to)
      await editor.add({ prompt: 'where is Qed 7 now', target: 'b', subject: 'Qed 7' })
      expect((await editor.why('where is Qed 7 now')).answer).toBe(4)
      editor.dispose()
    }
    const { hash } = await learnRelations(model, path, relations, { tokenizer: words })
    await teach(path)
    expect(namesIn(path, 'asks-')).toEqual([`asks-${hash}-4.safetensors`])
    await teach(twin)
    await learnRelations(model, twin, relations, { tokenizer: words })
    const [a, b] = [openStore(path), openStore(twin)]
    for (const place of [0, 1, 2, 3]) expect(a.asksAt(place)).toEqual(b.asksAt(place))
    expect(a.asksAt(3)).toBeDefined()
    expect(a.scope).toEqual(b.scope)
    // once more: everything is in one file again, the same in both
    await learnRelations(model, path, relations, { tokenizer: words })
    expect(settingsIn(path)).toEqual(settingsIn(twin))
    expect(namesIn(path, 'asks-')).toEqual([])
  })

  it('gives a scope to a store without, which says how; not where there is no gate', async () => {
    const path = await taught({ scope: 'wide' })
    const editor = await open(path)
    expect(() => editor.rescope('narrow')).toThrow('(calibrate --relations FILE --scope narrow)')
    await expect(learnRelations(model, path, relations, { tokenizer: words })).rejects.toThrow(
      /another process|in use/,
    )
    editor.dispose()
    await learnRelations(model, path, relations, { tokenizer: words })
    const scoped = await taught()
    await learnRelations(model, scoped, relations, { tokenizer: words })
    expect(settingsIn(path)).toEqual(settingsIn(scoped))
    const open2 = await open(path)
    open2.rescope('wide')
    open2.dispose()
    expect((await learnRelations(model, path, relations, { tokenizer: words })).level).toBe('wide')
    const bare = await taught({ gate: 'none' })
    const files = readdirSync(bare)
    await expect(learnRelations(model, bare, relations, { tokenizer: words })).rejects.toThrow(
      'made with --gate none, and a scope compares questions about one subject',
    )
    expect(readdirSync(bare)).toEqual(files)
    await expect(learnRelations(model, join(root, 'none'), relations, { tokenizer: words })).rejects.toThrow(
      'no store of edits',
    )
  })

  it('scopes of other relations are kept apart, in the process and in the cache', async () => {
    const cache = join(root, 'cache')
    const path = await taught()
    const other = [{ ...relations[0]!, subjects: ['Zed', 'Unit 12'] }]
    const options = { tokenizer: words, cache }
    const a = await learnRelations(model, path, relations, options)
    const b = await learnRelations(model, path, other, options)
    expect(b.hash).not.toBe(a.hash)
    expect(await learnRelations(model, path, relations, options)).toEqual(a)
    const plain = await taught()
    expect(settingsIn(plain).prompts).toBeLessThan(a.prompts)
  })

  it('a damaged file of it is named', async () => {
    const path = await taught()
    const { hash } = await learnRelations(model, path, relations, { tokenizer: words })
    const file = join(path, `scope-${hash}.safetensors`)
    const bytes = readFileSync(file)
    writeFileSync(file, bytes.subarray(0, bytes.length - 8))
    expect(() => openStore(path)).toThrow(file)
    rmSync(file)
    expect(() => openStore(path)).toThrow(file)
    const config = join(path, 'config.json')
    writeFileSync(config, readFileSync(config, 'utf8').replace(hash!, '../../../secret'))
    expect(() => openStore(path)).toThrow(/config\.json: "scope" is damaged/)
  })
})

describe('a text of relations', () => {
  it('is a list or one object', () => {
    expect(parseRelations(JSON.stringify(relations), 'r.json')).toEqual(relations)
    expect(parseRelations(JSON.stringify(relations[0], null, 2), 'r.json')).toEqual(relations)
  })

  const one = (change: object) => JSON.stringify([{ ...relations[0]!, ...change }])
  it.each([
    ['', /^r\.json: empty/],
    ['[]', /^r\.json: an empty list; expected \{ "subjects"/],
    ['[\n{"subjects": ["a"],\n}]', /^r\.json:3: not JSON/],
    ['[\n3]', /^r\.json:2: item 1: expected \{ "subjects": .*, got 3$/],
    ['{"subjects": ["a"]}', /item 1, "relations": expected a list of one or more relations, .*, got nothing/],
    [one({ subjects: [] }), /item 1, "subjects": expected a list of one or more names, got \[\]/],
    [one({ subjects: ['a', ' '] }), /item 1, subject 2: expected a name with a letter or a digit, got " "/],
    [
      one({ relations: [['{} is']] }),
      /relation 1: expected a list of two or more wordings .*got \["\{\} is"\]/,
    ],
    [
      one({ relations: [['{} is', 'of {}', 4]] }),
      /relation 1, wording 3: expected a text with \{\} .*, got 4/,
    ],
    [one({ relations: [['{} is', 'of it']] }), /relation 1, wording 2: expected \{\} once, .*, got "of it"/],
    [one({ relations: [['{} is', '{} of {}']] }), /wording 2: expected \{\} once, .*, got "\{\} of \{\}"/],
    [one({ relations: [['{} is', '{}?']] }), /wording 2: expected a text with \{\} .* and a word beside it/],
    [
      one({
        relations: [
          ['{} is', 'of {}'],
          ['{} was', 'of {}'],
        ],
      }),
      /relation 2, wording 2: "of \{\}" is relation 1, wording 2 already: leave one of them out/,
    ],
    [one({ subjects: ['x'.repeat(1001)] }), /subject 1: expected at most 1000 characters, got 1001/],
    [
      one({ subjects: Array.from({ length: 600 }, (_, i) => `s${i}`) }),
      /^r\.json: expected at most 10000 prompts .*, got 10200: leave out subjects/,
    ],
    [
      one({ relations: Array.from({ length: 501 }, (_, i) => [`a${i} {}`, `b${i} {}`]) }),
      /^r\.json: expected at most 500 relations in all, got 501/,
    ],
  ])('mistake %# is named', (text, message) => {
    expect(() => parseRelations(text, 'r.json')).toThrow(message)
    expect(() => parseRelations(text, 'r.json')).toThrow(TreelineError)
  })

  it('whatever else it holds, it is read or refused in one line', () => {
    const texts = fc.oneof(fc.string(), fc.constantFrom('{} is', 'of {}', '{}', 'abc'))
    const lists = fc.oneof(
      fc.array(fc.array(texts)),
      fc.array(texts),
      fc.jsonValue() as fc.Arbitrary<unknown>,
    )
    const kind = fc.record({ subjects: lists, relations: lists }, { requiredKeys: [] })
    const value = fc.oneof(fc.array(kind, { minLength: 1, maxLength: 3 }), kind, fc.jsonValue())
    const cut = fc.tuple(value, fc.nat(60)).map(([own, at]) => JSON.stringify(own).slice(0, at))
    assert(
      property(
        fc.oneof(
          value.map((own) => JSON.stringify(own)),
          cut,
        ),
        (text) => {
          let found: Relations[]
          try {
            found = parseRelations(text, 'r.json')
          } catch (error) {
            expect(error).toBeInstanceOf(TreelineError)
            expect((error as Error).message).toMatch(/^r\.json[^\n]*$/)
            return
          }
          for (const { subjects, relations: own } of found) {
            expect(subjects.length).toBeGreaterThan(0)
            for (const wordings of own) {
              expect(wordings.length).toBeGreaterThan(1)
              for (const wording of wordings) expect(wording.split('{}')).toHaveLength(2)
            }
          }
        },
      ),
      { numRuns: 500 },
    )
  })
})
