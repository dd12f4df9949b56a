/** Text after text against transformers' tokenizers (test/fixtures/make_continuations.py). */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { gunzipSync } from 'node:zlib'
import * as fc from 'fast-check'
import { afterAll, describe, expect, test } from 'vitest'
import { textsOf } from '../../src/edit/memoir/requests.ts'
import {
  encodeAfter,
  loadTokenizer,
  spaced,
  type Tokenizer,
  tokenizerOfGguf,
  tokensUpTo,
} from '../../src/lm/index.ts'

const read = (name: string): Buffer => readFileSync(new URL(`../fixtures/${name}`, import.meta.url))
const fixture = JSON.parse(read('continuations.json').toString()) as {
  pairs: [prompt: string, text: string][]
  gguf: { tokens: string[]; scores: number[] }
  cases: { name: string; pairs: { before: number[]; joins: boolean; rest: number[] }[] }[]
}
const definitions = (
  JSON.parse(gunzipSync(read('tokenizers.json.gz')).toString()) as {
    cases: { name: string; tokenizer: object | null }[]
  }
).cases
const models = process.env['TREELINE_TEST_MODELS'] ?? resolve('../shared/models')
const root = mkdtempSync(join(tmpdir(), 'treeline-continuation-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

/** stories260k's tokens as llama.cpp has them. */
function gguf(prefix: boolean): Tokenizer {
  const { tokens, scores } = fixture.gguf
  const bytes = Array.from({ length: 256 }, (_, b) => `<0x${b.toString(16).toUpperCase().padStart(2, '0')}>`)
  const metadata = {
    'tokenizer.ggml.model': 'llama',
    'tokenizer.ggml.tokens': ['<unk>', '<s>', '</s>', ...bytes, ...tokens],
    'tokenizer.ggml.scores': Float32Array.from([...new Array(259).fill(0), ...scores]),
    'tokenizer.ggml.token_type': Int32Array.from([
      ...[2, 3, 3],
      ...new Array(256).fill(6),
      ...tokens.map(() => 1),
    ]),
    'tokenizer.ggml.bos_token_id': 1,
    'tokenizer.ggml.eos_token_id': 2,
    'tokenizer.ggml.unknown_token_id': 0,
    'tokenizer.ggml.add_space_prefix': prefix,
  }
  return tokenizerOfGguf(metadata, 'gguf')
}

function load(name: string): Tokenizer | undefined {
  if (name.startsWith('gguf')) return gguf(name.endsWith('true'))
  const json = definitions.find((one) => one.name === name)?.tokenizer
  if (json) {
    const folder = join(root, name)
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, 'tokenizer.json'), JSON.stringify(json))
    writeFileSync(join(folder, 'tokenizer_config.json'), JSON.stringify({ bos_token: '<s>' }))
    return loadTokenizer(folder)
  }
  const path = join(models, name)
  return existsSync(path) && readdirSync(path).length > 0 ? loadTokenizer(path) : undefined
}

describe.each(fixture.cases.map((one) => [one.name, one.pairs] as const))('%s', (name, pairs) => {
  const tokenizer = load(name)
  const run = tokenizer ? test : test.skip
  run(`a text after a prompt has the ids of the reference${tokenizer ? '' : ` (no ${name})`}`, () => {
    for (const [i, [prompt, text]] of fixture.pairs.entries()) {
      const { before, joins, rest } = pairs[i]!
      const bos = tokenizer!.addsBos
      expect([prompt, tokenizer!.encode(prompt, { bos })]).toEqual([prompt, before])
      expect([prompt, text, encodeAfter(tokenizer!, prompt, text)]).toEqual([prompt, text, rest])
      const together = tokenizer!.encode(prompt + text, { bos })
      if (joins) expect([...before, ...rest]).toEqual(together)
    }
  })
})

test('whatever stands where, prompt and continuation spell the text', () => {
  const all = ['gpt2', 'prefix space', 'llama', 'metaspace', 'gguf true', 'gguf false'].map(
    (name) => load(name)!,
  )
  const text = fc.string({
    unit: fc.constantFrom(...' \n\tabcdefgxyzABC019.,\'"!?éß▁日本語👩‍'),
    maxLength: 12,
  })
  fc.assert(
    fc.property(text, text, (prompt, more) => {
      for (const tokenizer of all) {
        const bos = tokenizer.addsBos
        const ids = [...tokenizer.encode(prompt, { bos }), ...encodeAfter(tokenizer, prompt, more)]
        expect(tokenizer.decode(ids)).toBe(tokenizer.decode(tokenizer.encode(prompt + more, { bos })))
      }
    }),
    { numRuns: 200 },
  )
})

test('an answer is set apart once', () => {
  expect(spaced('The capital is', 'Oslo')).toBe(' Oslo')
  expect(spaced('The capital is', ' Oslo')).toBe(' Oslo')
  expect(spaced('The capital is ', 'Oslo')).toBe('Oslo')
  expect(spaced('The capital?\n', 'Oslo')).toBe('Oslo')
  expect(spaced('日本の首都は', '東京')).toBe('東京')
  expect(spaced('日本の首都は？', '東京')).toBe('東京')
  expect(spaced('日本の首都は', 'Tokyo')).toBe(' Tokyo')
})

test('a subject ends in the token that holds its last character', () => {
  const tokenizer = gguf(true)
  const text = 'Once upon a time the end'
  for (let end = 1; end <= text.length; end++) {
    const ids = tokenizer.encode(text, { bos: true })
    const count = tokensUpTo(tokenizer, text, end)
    expect(tokenizer.decode(ids.slice(0, count)).startsWith(text.slice(0, end))).toBe(true)
    expect(tokenizer.decode(ids.slice(0, count - 1)).startsWith(text.slice(0, end))).toBe(false)
  }
  // "ti" within "time": the token of the whole word
  expect(tokenizer.encode(text, { bos: true })[tokensUpTo(tokenizer, text, 14) - 1]).toBe(378)
})

test('the target of an edit is the one token that the model says, not a space of its own besides', () => {
  for (const prefix of [true, false]) {
    const texts = textsOf(gguf(prefix), 64)
    expect(texts.targetIds('Once upon a', 'time')).toEqual([378])
    expect(texts.targetIds('The dog Rex lives in', 'red')).toEqual([352, 266])
    expect(texts.targetIds('The dog Rex lives in', ' red')).toEqual([352, 266])
    expect(texts.targetIds('The dog Rex lives in\n', 'red')).toEqual(gguf(false).encode('red'))
  }
})
