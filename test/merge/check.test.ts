/** What is known before work: all mistakes at once, nothing written, and whatever passes does not fail halfway. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type StoredArray, writeSafetensors } from '../../src/checkpoint/index.ts'
import {
  checkMerge,
  executeMerge,
  mergeMethods,
  openMergeWorkers,
  parseMergeConfig,
} from '../../src/merge/index.ts'
import { llama70, llamaTensors, writeSparseModel } from './sparseModel.ts'

const root = mkdtempSync(join(tmpdir(), 'treeline-check-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))
const at = (...names: string[]): string => join(root, ...names)

type Tensor = { shape: number[]; dtype?: string; data?: StoredArray }
const names = [
  'model.embed.weight',
  'model.layers.0.mlp.weight',
  'model.layers.1.mlp.weight',
  'model.norm.weight',
]
const sizes = (shape: readonly number[]): number => shape.reduce((product, n) => product * n, 1)

/** Four small tensors; `changes` replaces or, with null, removes some. */
function write(
  name: string,
  seed: number,
  changes: Record<string, Tensor | null> = {},
  config: object = {},
): string {
  rmSync(at(name), { recursive: true, force: true })
  mkdirSync(at(name))
  const plain = Object.fromEntries(
    names.map((one, i): [string, Tensor] => [one, { shape: i === 3 ? [3] : [4, 3] }]),
  )
  const entries = Object.entries({ ...plain, ...changes }).flatMap(([tensor, one], i) => {
    if (one === null) return []
    const { shape, dtype = 'F32' } = one
    const data =
      one.data ?? Float32Array.from({ length: sizes(shape) }, (_, k) => Math.sin(seed * 5 + i * 3 + k))
    return [[tensor, { dtype, shape, data }] as const]
  })
  writeSafetensors(at(name, 'model.safetensors'), new Map(entries) as Parameters<typeof writeSafetensors>[1])
  writeFileSync(at(name, 'config.json'), JSON.stringify({ model_type: 'small', ...config }))
  return at(name)
}

beforeAll(() => {
  for (const [i, name] of ['base', 'a', 'b'].entries()) write(name, i)
})

const models = (...lines: (readonly [string, string])[]): string =>
  `models:\n${lines.map(([name, parameters]) => `- {model: ${at(name)}, parameters: {${parameters}}}\n`).join('')}`
const check = (text: string, out?: string, options = {}) =>
  checkMerge({ text, path: 'merge.yaml' }, options, out)
const problems = (text: string, out?: string, options = {}): [string, string][] =>
  check(text, out, options).problems.map(({ where, message }) => [
    where.replaceAll(`${root}/`, ''),
    message.replaceAll(`${root}/`, ''),
  ])

const overBase = (method: string, own: string, more = ''): string =>
  `merge_method: ${method}\nbase_model: ${at('base')}\n${models(['a', own], ['b', own])}${more}`
const linear = (name: string): string =>
  `merge_method: linear\n${models(['a', 'weight: 1'], [name, 'weight: 1'])}`

describe('mistakes of a configuration', () => {
  it('all of them, each with its line', () => {
    const text = `merge_method: della\nbase_model: ${at('base')}\nmodels:\n- {model: ${at('a')}, parameters: {weight: 1, density: 3}}\n- {model: ${at('b')}, parameters: {weigth: 1}}\ndtype: float17\nlines: {alpha: 1}\nchat_template: nonsense\nodd: 1\n`
    const found = problems(text)
    expect(found.map(([where]) => where)).toEqual([9, 4, 5, 6, 7, 8].map((line) => `merge.yaml:${line}`))
    expect(found.map(([, message]) => message.split(':')[0])).toEqual([
      'unknown key "odd" in the configuration',
      'density',
      'unknown parameter "weigth" of della',
      'dtype',
      'lines.beta',
      'chat_template',
    ])
  })

  it('together with those of headers, and no others in their train', () => {
    write('wide', 3, { 'model.norm.weight': { shape: [5] } })
    const text = `merge_method: linear\n${models(['a', 'weight: nonsense'], ['wide', 'weight: 1'])}`
    expect(problems(text)).toEqual([
      ['merge.yaml:3', 'weight: expected a number, got "nonsense"'],
      [
        'model.norm.weight',
        'model.norm.weight: a has shape [3], wide has [5]; only equal shapes can be merged',
      ],
    ])
  })

  it.each([
    ['no YAML', 'a: [', /^$/],
    ['no method', models(['a', '']), /merge_method is missing/],
    ['no models', 'merge_method: linear\nmodels: []\n', /models: expected a list/],
  ])('%s', (_, text, message) => {
    const found = problems(text)
    expect(found.length).toBeGreaterThan(0)
    expect(found[0]![0]).toMatch(/^merge\.yaml/)
    if (message.source !== '^$') expect(found[0]![1]).toMatch(message)
  })
})

describe('mistakes that were found halfway', () => {
  const cases: [string, string, RegExp, object?][] = [
    [
      'ε of della beyond the density',
      overBase('della', 'weight: 1, density: 0.9, epsilon: 0.2'),
      /della: .*density ± epsilon: expected both within \(0, 1\), got 0\.9 ± 0\.2; lower epsilon.*and so for 3 other tensors/,
    ],
    [
      'weights that sum to 0',
      `merge_method: linear\n${models(['a', 'weight: 1'], ['b', 'weight: -1'])}`,
      /expected weights whose sum is not 0, got 1, -1/,
    ],
    [
      'weights that sum to 0 in some layers',
      `merge_method: linear\n${models(['a', 'weight: [1, 0]'], ['b', 'weight: 0'])}`,
      /linear: model\.layers\.1\.mlp\.weight: expected weights whose sum/,
    ],
    [
      'directions that cannot be weighted',
      `merge_method: multislerp\n${models(['a', 'weight: 1'], ['b', 'weight: -1'])}`,
      /normalize_weights: false/,
    ],
    [
      'weights that sum to 0 in bfloat16 only',
      `merge_method: multislerp\ndtype: bfloat16\n${models(['a', 'weight: 1'], ['b', 'weight: -1.0001'])}`,
      /normalize_weights: false/,
      { arithmetic: 'dtype' },
    ],
    [
      'a soup of other weights',
      `merge_method: rewarded_soup\n${models(['a', 'weight: 0.5'], ['b', 'weight: 0.6'])}`,
      /expected weights that sum to 1, got 0\.5 \+ 0\.6/,
    ],
    [
      'a task that is not there',
      overBase('tall_mask', '', 'parameters: {task: 3}\n'),
      /task: expected 1 to 2, got 3/,
    ],
    [
      'a number beyond float32',
      overBase('task_arithmetic', 'weight: 1', 'parameters: {lambda: 1.0e+39}\n'),
      /lambda: 1e\+39 is beyond float32/,
    ],
    [
      'α from norms without a model',
      `merge_method: passthrough\nmodels: [{model: ${at('a')}}]\nlines: {alpha: auto, beta: 0, base: ${at('a')}}\n`,
      /lines\.alpha: auto is measured on models besides/,
    ],
  ]
  it.each(cases)('%s', async (_, text, message, options = {}) => {
    const found = problems(text, undefined, options)
    expect(found).toHaveLength(1)
    expect(found[0]![1]).toMatch(message)
    const out = at('never')
    await expect(
      executeMerge(parseMergeConfig(text, 'merge.yaml'), out, { threads: 1, ...options }),
    ).rejects.toThrow(message)
    expect(existsSync(out)).toBe(false)
  })

  it('tensors that cannot be read, integers of two types, a float that the base lacks', () => {
    write('packed', 0, {
      'model.layers.0.mlp.weight': { shape: [4, 4], dtype: 'F4', data: new Uint8Array(8) },
    })
    write('alike', 0, {
      'model.layers.0.mlp.weight': { shape: [4, 4], dtype: 'F4', data: new Uint8Array(8) },
    })
    expect(
      problems(`merge_method: linear\n${models(['packed', 'weight: 1'], ['alike', 'weight: 1'])}`),
    ).toEqual([
      ['packed', expect.stringMatching(/values of dtype F4 cannot be decoded/)],
      ['alike', expect.stringMatching(/values of dtype F4 cannot be decoded/)],
    ])
    write('narrow', 0, { ids: { shape: [2], dtype: 'I32', data: Int32Array.of(0, 1) } })
    write('long', 0, { ids: { shape: [2], dtype: 'I64', data: BigInt64Array.of(0n, 1n) } })
    expect(
      problems(`merge_method: linear\n${models(['narrow', 'weight: 1'], ['long', 'weight: 1'])}`),
    ).toEqual([
      ['ids', 'ids: I32 in narrow, I64 in long; integers cannot be merged, so the types must be equal'],
    ])
    write('bare', 0, { 'model.norm.weight': null })
    const text = `merge_method: task_arithmetic\nbase_model: ${at('bare')}\n${models(['a', 'weight: 1'], ['b', 'weight: 1'])}`
    expect(problems(text, undefined, { lenient: true })).toEqual([
      ['model.norm.weight', expect.stringMatching(/needs the base of a tensor that a and b have/)],
    ])
  })

  it('integers that differ leave no folder behind', async () => {
    write('zero', 0, { ids: { shape: [2], dtype: 'I64', data: BigInt64Array.of(0n, 1n) } })
    write('one', 1, { ids: { shape: [2], dtype: 'I64', data: BigInt64Array.of(1n, 1n) } })
    const text = `merge_method: linear\n${models(['zero', 'weight: 1'], ['one', 'weight: 1'])}`
    expect(problems(text)).toEqual([])
    await expect(
      executeMerge(parseMergeConfig(text, 'merge.yaml'), at('never'), { threads: 1 }),
    ).rejects.toThrow(/I64 values differ/)
    expect(existsSync(at('never'))).toBe(false)
  })
})

describe('mistakes of files', () => {
  it('every model that is not there, is cut or has a broken configuration', () => {
    write('cut', 0)
    truncateSync(at('cut', 'model.safetensors'), 100)
    const text = `merge_method: linear\n${models(['cut', 'weight: 1'], ['gone', 'weight: 1'], ['a', 'weight: 1'])}`
    expect(problems(text)).toEqual([
      ['cut', expect.stringMatching(/truncated|expected/)],
      ['merge.yaml:4', 'cannot read gone: no such file or folder: check the path'],
    ])
    write('scribble', 0)
    writeFileSync(at('scribble', 'config.json'), '{')
    expect(
      problems(`merge_method: linear\n${models(['scribble', 'weight: 1'], ['a', 'weight: 1'])}`)[0],
    ).toEqual(['scribble', expect.stringMatching(/config\.json/)])
  })

  it('the folder of the output: occupied, an input, a file, below nothing, a file’s name, no room', () => {
    const found = (out: string, text = linear('b')) => problems(text, out)
    expect(found(at('fresh'))).toEqual([])
    expect(existsSync(at('fresh'))).toBe(false)
    expect(found(at('a'))).toEqual([['a', expect.stringMatching(/the input itself/)]])
    expect(found(at('a', 'config.json'))).toEqual([
      ['a/config.json', expect.stringMatching(/ending/)],
      ['a/config.json', expect.stringMatching(/a file, expected a folder/)],
    ])
    expect(found(at('none', 'deep'))).toEqual([['none/deep', expect.stringMatching(/there is no folder/)]])
    mkdirSync(at('full'))
    writeFileSync(at('full', 'mine'), '')
    expect(found(at('full'))).toEqual([['full', expect.stringMatching(/not empty \(mine\)/)]])
    const huge = [{ name: 'w', dtype: 'BF16', shape: [2 ** 20, 2 ** 21] }]
    for (const name of ['huge-a', 'huge-b']) writeSparseModel(at(name), huge)
    const text = `merge_method: linear\n${models(['huge-a', 'weight: 1'], ['huge-b', 'weight: 1'])}`
    expect(found(at('fresh'), text)).toEqual([
      ['fresh', expect.stringMatching(/the output takes 4\.4 TB, and the disk has .* free/)],
    ])
  })

  it('a finished merge of the same configuration is no mistake', async () => {
    const text = linear('b')
    await executeMerge(parseMergeConfig(text, 'merge.yaml'), at('done'), { threads: 1 })
    expect(problems(text, at('done'))).toEqual([])
    expect(problems(linear('base'), at('done'))).toEqual([['done', expect.stringMatching(/not empty/)]])
  })
})

it('an index of 70 B in 30 shards', () => {
  for (const name of ['big-base', 'big-a']) writeSparseModel(at(name), llamaTensors(llama70), 5e9)
  expect(readdirSync(at('big-a')).filter((name) => name.endsWith('.safetensors'))).toHaveLength(30)
  const text = `merge_method: ties\nbase_model: ${at('big-base')}\nmodels:\n- {model: ${at('big-a')}, parameters: {weight: 1, density: 0.5}}\n`
  const count = llamaTensors(llama70)
  expect(check(text)).toMatchObject({
    problems: [],
    tensors: 80 * 9 + 3,
    bytes: count.reduce((sum, { shape }) => sum + 2 * sizes(shape), 0),
  })
  rmSync(at('big-a', 'model-00007-of-00030.safetensors'))
  expect(problems(text)).toEqual([['big-a', expect.stringMatching(/model-00007-of-00030/)]])
})

describe('whatever passes the check does not fail halfway', () => {
  const number = fc.constantFrom(0, 1, -1, 0.5, 0.3, 0.9, 1.5, 2, 1e-9, -0.5)
  const value = (max = 9) =>
    fc
      .oneof(number, fc.array(number, { minLength: 1, maxLength: 3 }))
      .map((x) => (Array.isArray(x) ? x : Math.min(x, max)))
  const own = (method: string) => {
    const live = mergeMethods[method]!.parameters.perModel.filter(
      ({ computed, inert }) => !computed && !inert,
    )
    const required = live.filter(({ default: preset }) => preset === undefined)
    return fc.record(Object.fromEntries(live.map(({ name, max }) => [name, value(max)])), {
      requiredKeys: required.map(({ name }) => name),
    })
  }
  const recipe = fc.constantFrom(...Object.keys(mergeMethods)).chain((method) => {
    const { parameters, needsBase } = mergeMethods[method]!
    const global = Object.fromEntries(
      parameters.global
        .filter(({ computed, inert }) => !computed && !inert)
        .map(({ name, type, max }) => [
          name,
          type === 'boolean'
            ? fc.boolean()
            : type === 'integer'
              ? fc.integer({ min: 0, max: 3 })
              : value(max),
        ]),
    )
    return fc.record({
      merge_method: fc.constant(method),
      base_model:
        needsBase === false ? fc.option(fc.constant('base'), { nil: undefined }) : fc.constant('base'),
      models: fc.array(
        fc.record({ model: fc.constantFrom('a', 'b', 'c', 'odd', 'half'), parameters: own(method) }),
        { minLength: 1, maxLength: 3 },
      ),
      parameters: fc.record(global, { requiredKeys: [] }),
      dtype: fc.constantFrom(undefined, 'float32', 'bfloat16', 'float16'),
      lines: fc.option(fc.record({ alpha: fc.constantFrom('auto', 0.5, 0), beta: fc.constantFrom(0, 0.5) }), {
        nil: undefined,
        freq: 4,
      }),
    })
  })
  /** Values that headers do not show, and that the merge finds as it meets them. */
  const ofValues =
    /although its inputs are finite|beyond float16|directions cancel|merged model equals its base/

  it('any method, any parameters, models of several shapes', async () => {
    write('c', 3)
    write('odd', 4, { 'model.norm.weight': null, extra: { shape: [2, 2] } })
    write('half', 5, {
      'model.layers.0.mlp.weight': { shape: [4, 3], dtype: 'BF16', data: new Uint8Array(24).fill(60) },
    })
    const workers = openMergeWorkers(1)
    let passed = 0
    await fc.assert(
      fc.asyncProperty(
        recipe,
        fc.boolean(),
        fc.constantFrom('float32', 'dtype'),
        async (given, lenient, arithmetic) => {
          const text = JSON.stringify(given, (key, one) =>
            typeof one === 'string' && (key === 'model' || key === 'base_model') ? at(one) : (one as unknown),
          )
          const options = { lenient, arithmetic: arithmetic as 'float32' | 'dtype' }
          const out = at('fuzzed')
          rmSync(out, { recursive: true, force: true })
          const { problems: found } = check(text, out, options)
          const merged = (async () =>
            executeMerge(parseMergeConfig(text, 'merge.yaml', options), out, { workers, ...options }))()
          if (found.length > 0) await expect(merged).rejects.toThrow()
          else
            await merged.then(
              () => passed++,
              (error: Error) => expect(error.message).toMatch(ofValues),
            )
          expect(existsSync(out)).toBe(found.length === 0 && existsSync(join(out, 'config.json')))
        },
      ),
      { numRuns: 200 },
    )
    await workers.close()
    expect(passed).toBeGreaterThan(20)
  })
})
