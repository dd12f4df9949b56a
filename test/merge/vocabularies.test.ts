/** Merges of models with different tokenizers: the tensors and tokenizers that mergekit 0.1.5 writes (make_vocabularies.py). */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { TreelineError } from '../../src/base/index.ts'
import { openCheckpoint, readSafetensors, writeSafetensors } from '../../src/checkpoint/index.ts'
import { executeMerge, parseMergeConfig, planFromFiles, problemText } from '../../src/merge/index.ts'

interface Case {
  config: string
  files: Record<string, string>
  vocabulary: Record<string, number>
}
const { tensors, metadata } = readSafetensors(
  new URL('../fixtures/vocabularies.safetensors', import.meta.url).pathname,
)
const fixture = JSON.parse(metadata['fixture']!) as {
  models: Record<string, Record<string, string>>
  cases: Record<string, Case>
}

const root = mkdtempSync(join(tmpdir(), 'treeline-vocabularies-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))
const place = (model: string): string => join(root, model)

function writeModel(model: string, folder = place(model)): string {
  mkdirSync(folder, { recursive: true })
  const prefix = `input/${model}/`
  const own = [...tensors].filter(([name]) => name.startsWith(prefix))
  writeSafetensors(
    join(folder, 'model.safetensors'),
    new Map(own.map(([name, tensor]) => [name.slice(prefix.length), tensor])),
    { format: 'pt' },
  )
  for (const [name, text] of Object.entries(fixture.models[model]!)) writeFileSync(join(folder, name), text)
  return folder
}
beforeAll(() => {
  for (const model of Object.keys(fixture.models)) writeModel(model)
})

/** The fixture's texts are Python formats: `{a}` a folder, `{{` a brace. */
const fill = (text: string): string =>
  text.replace(/\{\{|\}\}|\{(\w+)\}/g, (all, model?: string) => (model ? place(model) : all[0]!))
const parse = (text: string) => parseMergeConfig(`${text}dtype: float32\n`, 'merge.yaml')
let number = 0
async function merge(text: string, options = {}): Promise<string> {
  const out = join(root, `out-${number++}`)
  await executeMerge(parse(text), out, { threads: 1, ...options })
  return out
}
const json = (folder: string, name: string): Record<string, unknown> =>
  JSON.parse(readFileSync(join(folder, name), 'utf8')) as Record<string, unknown>

/** Tokens and their ids, as a tokenizer.json has them. */
function idsOf(folder: string): Record<string, number> {
  const file = json(folder, 'tokenizer.json') as {
    model: { vocab: Record<string, number> | [string, number][] }
    added_tokens: { id: number; content: string }[]
  }
  const { vocab } = file.model
  const words = Array.isArray(vocab) ? vocab.map(([word], id) => [word, id] as const) : Object.entries(vocab)
  return Object.fromEntries([...words, ...file.added_tokens.map(({ content, id }) => [content, id] as const)])
}

describe('the same as mergekit', () => {
  for (const [name, one] of Object.entries(fixture.cases))
    it(name, async () => {
      const out = await merge(fill(one.config))
      expect(idsOf(out)).toEqual(one.vocabulary)
      // the same file gives the same encodings, whatever reads it
      expect(json(out, 'tokenizer.json')).toEqual(JSON.parse(one.files['tokenizer.json']!))
      const settings = JSON.parse(one.files['tokenizer_config.json']!) as Record<string, unknown>
      const named = ['bos_token', 'eos_token', 'pad_token', 'unk_token']
      const own = json(out, 'tokenizer_config.json')
      expect(named.map((key) => own[key])).toEqual(named.map((key) => settings[key]))
      const template = one.files['chat_template.jinja']
      const isNamed = one.config.includes('chat_template: chatml')
      expect(existsSync(join(out, 'chat_template.jinja'))).toBe(template !== undefined)
      if (template !== undefined && !isNamed)
        expect(readFileSync(join(out, 'chat_template.jinja'), 'utf8')).toBe(template)

      const rows = (JSON.parse(one.files['config.json']!) as { vocab_size: number }).vocab_size
      expect(json(out, 'config.json')['vocab_size']).toBe(rows)
      const checkpoint = openCheckpoint(out)
      const expected = [...tensors].filter(([tensor]) => tensor.startsWith(`${name}/`))
      expect(expected.length).toBeGreaterThan(1)
      for (const [tensor, { shape, data }] of expected) {
        const got = checkpoint.tensors.get(tensor.slice(name.length + 1))!
        expect(got.shape, tensor).toEqual(shape)
        const values = got.f32()
        const worst = (data as Float32Array).reduce(
          (most, value, i) => Math.max(most, Math.abs(value - values[i]!)),
          0,
        )
        expect(worst, tensor).toBeLessThan(1e-6)
      }
      if (checkpoint.tensors.has('lm_head.weight'))
        expect(json(out, 'config.json')['tie_word_embeddings']).toBe(false)
      checkpoint.close()
    })
})

const linear = (tail: string, models = ['a', 'b']): string =>
  `merge_method: linear\nmodels:\n${models.map((model) => `- {model: ${place(model)}, parameters: {weight: 1}}\n`).join('')}${tail}`
const embedding = 'model.embed_tokens.weight'
function rowsOf(folder: string, tensor = embedding): Float32Array[] {
  const checkpoint = openCheckpoint(folder)
  const { shape, f32 } = checkpoint.tensors.get(tensor)!
  const values = f32()
  checkpoint.close()
  return Array.from({ length: shape[0]! }, (_, i) => values.slice(i * shape[1]!, (i + 1) * shape[1]!))
}

describe('beyond the fixture', () => {
  it('without a tokenizer the message says what to write', () => {
    const { problems } = planFromFiles(parse(linear('')))
    expect(problems).toHaveLength(1)
    expect(problemText(problems[0]!)).toMatch(
      /vocabularies differ: .*lm_head\.weight.*60.*47.*`tokenizer_source: union`/,
    )
  })

  it('tables of one size whose rows are other tokens give a warning when nothing aligns them', () => {
    const folder = writeModel('a', place('swapped'))
    const file = json(folder, 'tokenizer.json')
    const { vocab } = file['model'] as { vocab: Record<string, number> }
    ;[vocab['r'], vocab['t']] = [vocab['t']!, vocab['r']!]
    writeFileSync(join(folder, 'tokenizer.json'), JSON.stringify(file))
    expect(planFromFiles(parse(linear('', ['a', 'swapped']))).warnings[0]).toMatch(
      /tokenizers differ: "[rt]" is token .*`tokenizer_source: base`/,
    )
    expect(planFromFiles(parse(linear('tokenizer_source: union\n', ['a', 'swapped']))).warnings).toEqual([])
  })

  it('new tokens with source: base, where mergekit stops', async () => {
    const text = `merge_method: linear\nbase_model: ${place('origin')}\n${linear('', ['origin', 'b']).split('\n').slice(1).join('\n')}`
    const out = await merge(`${text}tokenizer: {source: base, tokens: {"[NEW]": {source: {kind: zero}}}}\n`)
    expect(idsOf(out)['[NEW]']).toBe(48)
    expect(rowsOf(out)).toHaveLength(49)
    expect([...rowsOf(out)[48]!]).toEqual(Array(8).fill(0))
  })

  it('tokens that a base has no rows for are left out, with the merges that make them', async () => {
    const cut = writeModel('origin', place('cut'))
    const config = json(cut, 'config.json')
    const all = rowsOf(place('origin')).length
    writeFileSync(join(cut, 'config.json'), JSON.stringify({ ...config, vocab_size: all - 3 }))
    const out = await merge(
      `merge_method: linear\nbase_model: ${cut}\nmodels:\n- {model: ${cut}, parameters: {weight: 1}}\ntokenizer_source: base\n`,
    )
    const ids = idsOf(out)
    expect(Object.keys(ids)).toHaveLength(all - 3)
    const { merges } = json(out, 'tokenizer.json')['model'] as { merges: [string, string][] }
    expect(merges.every(([left, right]) => [left, right, left + right].every((token) => token in ids))).toBe(
      true,
    )
    expect(rowsOf(out)).toEqual(rowsOf(place('origin')).slice(0, all - 3))
  })

  it('a folder of vocab.json and merges.txt: new tokens stand in added_tokens.json', async () => {
    const old = writeModel('origin', place('old'))
    const file = json(old, 'tokenizer.json') as { model: { vocab: object; merges: string[][] } }
    writeFileSync(join(old, 'vocab.json'), JSON.stringify(file.model.vocab))
    writeFileSync(
      join(old, 'merges.txt'),
      `#version: 0.2\n${file.model.merges.map((m) => m.join(' ')).join('\n')}\n`,
    )
    rmSync(join(old, 'tokenizer.json'))
    const out = await merge(
      `merge_method: linear\nbase_model: ${old}\nmodels:\n- {model: ${old}, parameters: {weight: 1}}\n- {model: ${place('a')}, parameters: {weight: 1}}\ntokenizer_source: union\n`,
    )
    expect(json(out, 'added_tokens.json')).toMatchObject({
      '<|im_start|>': 48,
      '<|im_end|>': 49,
      '<think>': 50,
    })
    expect(readFileSync(join(out, 'merges.txt'), 'utf8')).toBe(readFileSync(join(old, 'merges.txt'), 'utf8'))
    const expected = rowsOf(place('a'))[49]!
    for (const [i, value] of expected.entries()) expect(rowsOf(out)[49]![i]).toBeCloseTo(value, 6)
  })

  it('LiNeS measures from the base in the order of the output', async () => {
    const ties = (lines: string): string =>
      `merge_method: task_arithmetic\nbase_model: ${place('origin')}\nmodels:\n- {model: ${place('b')}, parameters: {weight: 1}}\ntokenizer_source: union\n${lines}`
    const plain = await merge(ties('parameters: {lambda: 0.5}\n'))
    const scaled = await merge(ties('lines: {alpha: 0.5, beta: 0}\n'))
    const [expected, got] = [
      rowsOf(plain).flatMap((row) => [...row]),
      rowsOf(scaled).flatMap((row) => [...row]),
    ]
    expect(got).toHaveLength(expected.length)
    for (const [i, value] of expected.entries()) expect(got[i]).toBeCloseTo(value, 5)
  })

  it('worker threads give the same bytes', async () => {
    const text = fill(fixture.cases['tokens-union']!.config)
    const [one, two] = [await merge(text), await merge(text, { threads: 2 })]
    const bytes = (folder: string): string =>
      readFileSync(join(folder, 'model.safetensors')).toString('base64')
    expect(bytes(two)).toBe(bytes(one))
  })

  it.each([
    ['tokenizer: {tokens: {"[X]": {}}}\n', /"\[X\]": a model lacks it or it is forced; say where/],
    ['tokenizer: {tokens: {"[X]": {source: nowhere}}}\n', /source nowhere is none of the models merged here/],
    [
      'tokenizer: {tokens: {"[X]": {source: {kind: model_token, model: A, token: zzz}}}}\n',
      /has no token "zzz"/,
    ],
    [
      'tokenizer: {tokens: {"[X]": {source: {kind: model_token, model: A, token_id: 999}}}}\n',
      /60 rows, so row 999/,
    ],
    ['tokenizer: {tokens: {"[X]": {source: A}}}\n', /does not have it/],
  ])('%s', (tail, message) => {
    const { problems } = planFromFiles(parse(linear(tail.replace('A', () => place('a')))))
    expect(problemText(problems[0]!)).toMatch(message)
  })

  it('SentencePiece alone is refused by name', () => {
    const folder = writeModel('a', place('sentencepiece'))
    rmSync(join(folder, 'tokenizer.json'))
    writeFileSync(join(folder, 'tokenizer.model'), 'x')
    const text = `merge_method: linear\nmodels:\n- {model: ${folder}, parameters: {weight: 1}}\ntokenizer_source: union\n`
    expect(problemText(planFromFiles(parse(text)).problems[0]!)).toMatch(
      /only there as tokenizer\.model \(SentencePiece\)/,
    )
  })

  it('a damaged tokenizer is one clear error or none, never a crash', () => {
    const folder = writeModel('b', place('damaged'))
    const whole = fixture.models['b']!['tokenizer.json']!
    const config = parse(linear('tokenizer_source: union\n', ['a', 'damaged']))
    const attempt = (text: string): void => {
      writeFileSync(join(folder, 'tokenizer.json'), text)
      try {
        planFromFiles(config)
      } catch (error) {
        expect(error).toBeInstanceOf(TreelineError)
        expect((error as Error).message).not.toMatch(/\n/)
      }
    }
    const values = [null, 0, -1, 1.5, 1e300, '', 'x', true, [], {}, [[]], [null], { a: null }]
    const paths: (string | number)[][] = []
    const walk = (value: unknown, path: (string | number)[]): void => {
      paths.push(path)
      if (Array.isArray(value)) for (const [i, one] of value.entries()) walk(one, [...path, i])
      else if (typeof value === 'object' && value !== null)
        for (const [key, one] of Object.entries(value)) walk(one, [...path, key])
    }
    walk(JSON.parse(whole), [])
    fc.assert(
      fc.property(fc.constantFrom(...paths), fc.constantFrom(...values), (path, value) => {
        const copy = { root: JSON.parse(whole) as unknown }
        let at = copy as Record<string | number, unknown>
        for (const key of ['root', ...path].slice(0, -1)) at = at[key] as Record<string | number, unknown>
        at[['root', ...path].at(-1)!] = value
        attempt(JSON.stringify(copy.root))
      }),
      { numRuns: 150 },
    )
    fc.assert(
      fc.property(fc.nat(whole.length), (length) => attempt(whole.slice(0, length))),
      { numRuns: 30 },
    )
  })
})
