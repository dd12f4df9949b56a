/** Merge configurations: the parameters of every tensor as mergekit resolves them, and one clear message for every mistake. */
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { TreelineError } from '../../src/base/index.ts'
import { parseMergeConfig } from '../../src/merge/config/index.ts'
import { type Headers, planMerge } from '../../src/merge/plan/index.ts'
import { problemText } from '../../src/merge/problems.ts'

type Values = Record<string, number | boolean | null>
interface Fixture {
  tensors: Record<string, number[]>
  cases: { yaml: string; plan: Record<string, [Values, [string, string, Values][]]> }[]
}
const fixture = JSON.parse(
  readFileSync(new URL('../fixtures/merge-configs.json', import.meta.url), 'utf8'),
) as Fixture
const headers: Headers = new Map(
  Object.entries(fixture.tensors).map(([name, shape]) => [name, { dtype: 'F32', shape }]),
)
const heads = new Map(['base', 'a', 'b'].map((model) => [model, headers]))
const read = (text: string, lenient = false) => parseMergeConfig(text, 'merge.yaml', { lenient })

/** mergekit's "no scale" is our scale 1. */
const plain = (values: Values): Values =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [name, value ?? 1]))

describe('parameters of every tensor are those that mergekit resolves', () => {
  it.each(fixture.cases.map(({ yaml, plan }) => [yaml.split('\n', 3).join(' '), yaml, plan] as const))(
    '%s',
    (_, yaml, expected) => {
      const config = read(yaml, true)
      const plan = planMerge(config, heads)
      expect(plan.problems).toEqual([])
      const listed = new Set(Object.keys(expected))
      const ours = plan.tensors.filter(({ name }) => listed.has(name))
      expect(ours.map(({ name }) => name).sort()).toEqual([...listed].sort())
      // the layers of the output are all there, whichever tensors the fixture lists
      expect(plan.tensors.length % 9).toBe(3)
      for (const tensor of ours) {
        const [parameters, inputs] = expected[tensor.name]!
        expect(tensor.parameters, tensor.name).toEqual(plain(parameters))
        const theirs = inputs.map(([model, name, own]) => ({ model, tensor: name, parameters: plain(own) }))
        const all = [...tensor.models, ...(tensor.base ? [tensor.base] : [])]
        const order = (a: { model: string }, b: { model: string }) => (a.model < b.model ? -1 : 1)
        expect(all.toSorted(order), tensor.name).toEqual(theirs.toSorted(order))
        // besides the base, models keep their order
        const base = tensor.base?.model
        expect(tensor.models.map(({ model }) => model)).toEqual(
          theirs.map(({ model }) => model).filter((model) => model !== base),
        )
      }
    },
  )
})

const ok = 'merge_method: ties\nbase_model: base\nmodels:\n- model: a\n  parameters: { weight: 1 }\n'

describe('mistakes', () => {
  it.each([
    [
      'merge_metod: ties\n',
      /^merge\.yaml:1: unknown key "merge_metod" in the configuration: did you mean "merge_method"/,
    ],
    ['models: []\n', /merge_method is missing; expected one of linear/],
    [
      'merge_method: tie\nmodels: [{model: a}]\n',
      /^merge\.yaml:1: unknown merge_method "tie": did you mean "ties"/,
    ],
    [
      ok.replace('parameters', 'paramters'),
      /^merge\.yaml:5: unknown key "paramters" in models: did you mean "parameters"/,
    ],
    [
      ok.replace('weight: 1', 'weight: 1, densty: 0.5'),
      /^merge\.yaml:5: unknown parameter "densty" of ties: did you mean "density"/,
    ],
    [
      ok.replace('weight: 1', 'weight: 1, lambda: 0.5'),
      /^merge\.yaml:5: lambda has no effect under one model.*`parameters` of the file/,
    ],
    [
      ok.replace('model: a', 'model: base'),
      /^merge\.yaml:5: weight has no effect under the base model of ties/,
    ],
    [`${ok}parameters:\n  lambda: high\n`, /^merge\.yaml:7: lambda: expected a number, got "high"/],
    [`${ok}parameters:\n  density: 1.5\n`, /^merge\.yaml:7: density: expected a number from 0 to 1, got 1.5/],
    [`${ok}parameters:\n  density: []\n`, /^merge\.yaml:7: density: expected a number.*got \[\]/],
    [
      `${ok}parameters:\n  density:\n  - value: 1\n  - {filter: mlp, value: 0}\n`,
      /^merge\.yaml:9: density: this entry has no effect: the one on merge\.yaml:8/,
    ],
    [
      `${ok}parameters:\n  density:\n  - {filtr: mlp, value: 0}\n`,
      /^merge\.yaml:8: density: unknown key "filtr", did you mean "filter"/,
    ],
    [
      ok.replace('ties', 'task_arithmetic').replace('weight: 1', 'weight: 1, density: 0.5'),
      /^merge\.yaml:5: density has no effect on task_arithmetic/,
    ],
    [ok.replace('base_model: base\n', ''), /^merge\.yaml:2: ties needs a base_model/],
    [
      'merge_method: slerp\nbase_model: a\nmodels: [{model: b}, {model: c}]\nparameters: {t: 0.5}\n',
      /slerp: expected 1 model besides the base, got 2/,
    ],
    [
      'merge_method: linear\nmodels: [{model: a}, {model: a}]\n',
      /^merge\.yaml:2: "a" is named twice in models/,
    ],
    [
      'merge_method: linear\nslices:\n- sources:\n  - {model: a, layer_range: [4, 0]}\n',
      /^merge\.yaml:4: layer_range: expected first < end/,
    ],
    [
      'merge_method: linear\nslices:\n- sources:\n  - {model: a, layer_range: [0, 2]}\n  - {model: b, layer_range: [0, 3]}\n',
      /^merge\.yaml:5: layer_range of 3 layers, expected 2/,
    ],
    [`${ok}slices: []\n`, /expected exactly one of models, slices, modules, got models and slices/],
    [`${ok}dtype: bfloat\n`, /^merge\.yaml:6: dtype: unknown type "bfloat": did you mean "bfloat16"/],
    [`${ok}lines: {alpha: auto}\n`, /^merge\.yaml:6: lines\.beta: expected a number, got nothing/],
    [
      `${ok}lines: {alpha: big, beta: 1}\n`,
      /^merge\.yaml:6: lines\.alpha: expected `auto` or a number, got "big"/,
    ],
    [
      'merge_method: linear\nmodels: [{model: a, parameters: {weight: 1}}]\nlines: {alpha: 0.5, beta: 0.5}\n',
      /^merge\.yaml:3: lines scales the change from a base model/,
    ],
    [
      `${ok}tokenizer: {sauce: union}\n`,
      /^merge\.yaml:6: unknown key "sauce" in tokenizer: did you mean "source"/,
    ],
    [
      `${ok}tokenizer: {source: union}\ntokenizer_source: union\n`,
      /^merge\.yaml:6: expected one of tokenizer_source and tokenizer/,
    ],
    [
      `${ok}tokenizer: {pad_to_multiple_of: 0}\n`,
      /^merge\.yaml:6: pad_to_multiple_of: expected an integer from 1/,
    ],
    [`${ok}tokenizer: {tokens: {x: {force: 3}}}\n`, /^merge\.yaml:6: force: expected true or false, got 3/],
    [
      `${ok}tokenizer: {tokens: {x: {source: {kind: null}}}}\n`,
      /^merge\.yaml:6: kind: expected zero or model_token/,
    ],
    [
      `${ok}tokenizer: {tokens: {x: {source: {kind: model_token, model: a}}}}\n`,
      /^merge\.yaml:6: expected exactly one of token and token_id/,
    ],
    [`${ok}tokenizer: {tokens: [x]}\n`, /^merge\.yaml:6: tokens: expected tokens and their sources/],
    [`${ok}chat_template: chatlm\n`, /^merge\.yaml:6: chat_template: "chatlm" is no template: .*chatml/],
    ['[1, 2]\n', /^merge\.yaml:1: the configuration: expected a mapping/],
    ['a: [1\n', /^merge\.yaml:\d+: .*expected YAML or JSON/],
  ])('%s', (text, message) => {
    expect(() => read(text)).toThrow(message)
    expect(() => read(text)).toThrow(TreelineError)
  })

  it('a parameter without value names model and tensor', () => {
    const text = `${ok.replace('{ weight: 1 }', '{ weight: { filter: mlp, value: 1 } }')}`
    expect(planMerge(read(text), heads).problems.map(problemText)).toEqual([
      expect.stringMatching(/^a: no weight for model\.embed_tokens\.weight .*filter list/),
    ])
  })

  it('--lenient turns unknown keys and keys without effect into warnings, with their lines', () => {
    const { warnings, method } = read(`${ok}frobnicate: 1\nparameters:\n  int8_mask: true\n  foo: 2\n`, true)
    expect(method.name).toBe('ties')
    expect(warnings.map((line) => line.split(' ', 1)[0])).toEqual([
      'merge.yaml:6:',
      'merge.yaml:8:',
      'merge.yaml:9:',
    ])
  })

  it('a filter that matches nothing is a warning', () => {
    const plan = planMerge(read(`${ok}parameters:\n  density:\n  - {filter: c_attn, value: 0.5}\n`), heads)
    expect(plan.warnings).toEqual(['merge.yaml:8: density: the filter "c_attn" occurs in no tensor\'s name'])
  })
})

describe('whatever the text', () => {
  const seeds = [ok, ...fixture.cases.map(({ yaml }) => yaml)]
  const words = [
    '- ',
    ': ',
    '\n',
    '  ',
    '[',
    ']',
    '{',
    '}',
    'model',
    'null',
    '1',
    '-1',
    '.inf',
    '.nan',
    '"',
    '~',
    '&a ',
    '*a',
    '!!set ',
    '\t',
    'value',
    '1e999',
  ]
  const edit = fc.record({ at: fc.nat(400), drop: fc.nat(12), insert: fc.constantFrom(...words, '') })
  it('the reader gives a configuration or one TreelineError in one line', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...seeds),
        fc.array(edit, { minLength: 1, maxLength: 4 }),
        fc.boolean(),
        (seed, edits, lenient) => {
          const text = edits.reduce(
            (now, { at, drop, insert }) => now.slice(0, at) + insert + now.slice(at + drop),
            seed,
          )
          try {
            planMerge(
              read(text, lenient),
              new Map([...heads, ...read(text, lenient).models.map((model) => [model, headers] as const)]),
            )
          } catch (error) {
            expect(error).toBeInstanceOf(TreelineError)
            expect((error as Error).message).not.toMatch(/undefined|\[object/)
          }
        },
      ),
      { numRuns: 1500 },
    )
  })
})
