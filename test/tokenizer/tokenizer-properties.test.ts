/** @file What holds of every tokenizer, and tokenizers from GGUF metadata. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import fc from 'fast-check'
import { afterAll, describe, expect, test } from 'vitest'
import { TreelineError } from '../../src/base/index.ts'
import { type GgufMetadata, writeGguf } from '../../src/checkpoint/index.ts'
import { loadTokenizer, type Tokenizer } from '../../src/tokenizer/index.ts'
import { merger } from '../../src/tokenizer/merges.ts'
import { translate } from '../../src/tokenizer/pattern.ts'
import { randomStrings } from './strings.ts'

interface Json {
  model: { vocab: Record<string, number>; merges: [string, string][] }
  added_tokens: { id: number; special: boolean }[]
  [key: string]: unknown
}
const { cases } = JSON.parse(
  gunzipSync(readFileSync(new URL('../fixtures/tokenizers.json.gz', import.meta.url))).toString(),
) as { cases: { name: string; tokenizer: Json | null }[] }
const jsonOf = (name: string): Json => structuredClone(cases.find((one) => one.name === name)!.tokenizer!)

const root = mkdtempSync(join(tmpdir(), 'treeline-tokenizer-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))
function load(json: unknown, others: Record<string, unknown> = {}): Tokenizer {
  const folder = mkdtempSync(join(root, 'model-'))
  writeFileSync(join(folder, 'tokenizer.json'), typeof json === 'string' ? json : JSON.stringify(json))
  for (const [name, value] of Object.entries(others)) writeFileSync(join(folder, name), JSON.stringify(value))
  return loadTokenizer(folder)
}
const text = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({ unit: 'grapheme' }),
  fc.nat(0xffff).map((seed) => randomStrings(seed, 1)[0]!),
)

describe.each(['gpt2', 'llama3', 'o200k', 'llama', 'metaspace', 'added tokens'])('%s', (name) => {
  const tokenizer = load(jsonOf(name))
  const special = new Set(jsonOf(name).added_tokens.flatMap((one) => (one.special ? [one.id] : [])))
  // Llama's way cannot tell these apart
  const same = (given: string): string =>
    name === 'llama' || name === 'metaspace' ? given.replaceAll('▁', ' ') : given
  // the tokens of this set that swallow spaces around them
  const whole = (given: string): boolean => name !== 'added tokens' || !/\s<mask>|<pad>\s/.test(given)

  test('what was encoded is decoded, also piece by piece', () => {
    fc.assert(
      fc.property(text, fc.boolean(), (given, special) => {
        fc.pre(whole(given))
        const ids = tokenizer.encode(given, { special })
        const decoded = tokenizer.decode(ids, { skipSpecial: false })
        // a leading space more or less is Metaspace's way, which adds none where there is one
        if (name !== 'metaspace' && !(name === 'llama' && special)) expect(decoded).toBe(same(given))
        const stream = tokenizer.decoder({ skipSpecial: false })
        const pieces = ids.map((id) => stream.push(id))
        if (!given.includes('\ufffd')) for (const piece of pieces) expect(piece).not.toContain('\ufffd')
        expect(pieces.join('') + stream.end()).toBe(decoded)
      }),
      { numRuns: 300 },
    )
  })
  test('any ids are decoded as one, and piece by piece to the same', () => {
    const id = fc.nat(tokenizer.vocabularySize - 1).filter((one) => tokenizer.token(one) !== undefined)
    fc.assert(
      fc.property(fc.array(id), fc.boolean(), fc.boolean(), (ids, skipSpecial, continues) => {
        const stream = tokenizer.decoder({ skipSpecial, continues })
        const streamed = ids.map((one) => stream.push(one)).join('') + stream.end()
        expect(streamed).toBe(tokenizer.decode(ids, { skipSpecial, continues }))
        const bytes = ids
          .filter((one) => !skipSpecial || !special.has(one))
          .map((one) => tokenizer.bytes(one))
        const plain = new TextDecoder('utf-8', { ignoreBOM: true }).decode(Buffer.concat(bytes))
        if (continues) expect(streamed).toBe(plain)
      }),
      { numRuns: 300 },
    )
  })
})

test('merging equals a search for the best pair at every step', () => {
  const symbol = fc.nat(3)
  const table = fc.uniqueArray(fc.tuple(symbol, symbol, fc.integer({ min: 0, max: 6 }), fc.nat(5)), {
    selector: ([a, b]) => a * 10 + b,
    maxLength: 16,
  })
  fc.assert(
    fc.property(table, fc.array(symbol, { maxLength: 40 }), (rows, ids) => {
      // a pair's result tells the pair: equal ranks only for equal results, as SentencePiece has them
      const merges = rows.map(([left, right, result]) => ({ left, right, result, rank: result }))
      const expected = [...ids]
      for (;;) {
        let best = -1
        let bestRank = Infinity
        for (let i = 0; i + 1 < expected.length; i++) {
          const found = merges.find(({ left, right }) => left === expected[i] && right === expected[i + 1])
          if (found && found.rank < bestRank) [best, bestRank] = [i, found.rank]
        }
        if (best === -1) break
        const found = merges.find(
          ({ left, right }) => left === expected[best] && right === expected[best + 1],
        )!
        expected.splice(best, 2, found.result)
      }
      const column = (key: 'left' | 'right' | 'result' | 'rank') => Int32Array.from(merges, (row) => row[key])
      const merge = merger({
        left: column('left'),
        right: column('right'),
        result: column('result'),
        rank: column('rank'),
      })
      expect(merge(ids)).toEqual(expected)
    }),
    { numRuns: 500 },
  )
})

describe('GGUF', () => {
  const list = (json: Json): string[] => {
    const tokens: string[] = []
    for (const [token, id] of Object.entries(json.model.vocab)) tokens[id] = token
    return tokens
  }
  const gguf = (metadata: GgufMetadata): Tokenizer => {
    const path = join(mkdtempSync(join(root, 'gguf-')), 'model.gguf')
    writeGguf(path, [], metadata)
    return loadTokenizer(path)
  }
  const bytePairs = (json: Json, pre: string): GgufMetadata => ({
    'general.architecture': 'llama',
    'tokenizer.ggml.model': 'gpt2',
    'tokenizer.ggml.pre': pre,
    'tokenizer.ggml.tokens': list(json),
    'tokenizer.ggml.token_type': Int32Array.from(list(json), (_, id) => (id < 3 ? 3 : 1)),
    'tokenizer.ggml.merges': json.model.merges.map((pair) => pair.join(' ')),
    'tokenizer.ggml.bos_token_id': 1,
    'tokenizer.ggml.eos_token_id': 2,
  })
  const strings = randomStrings(11, 1500)

  test.each([
    ['gpt2', 'gpt-2', false],
    ['smollm without bytes', 'smollm', false],
    ['llama3', 'llama-bpe', true],
    ['qwen2', 'qwen2', false],
    ['o200k', 'gpt-4o', false],
  ])('%s: the same ids as its tokenizer.json', (name, pre, addsBos) => {
    const json = jsonOf(name)
    const [a, b] = [load(json), gguf(bytePairs(json, pre))]
    for (const special of [false, true])
      for (const one of strings) expect(b.encode(one, { special })).toEqual(a.encode(one, { special }))
    expect([b.addsBos, b.bosId, b.eosIds]).toEqual([addsBos, 1, [2, 0]])
  })

  test('SentencePiece scores: the same ids as the list of merges made from them', () => {
    const json = jsonOf('llama')
    const tokens = list(json)
    // the reference's list of merges ranks tokens in the order in which they were learned
    const order = new Map(json.model.merges.map((pair, rank) => [pair.join(''), rank]))
    const b = gguf({
      'tokenizer.ggml.model': 'llama',
      'tokenizer.ggml.tokens': tokens,
      'tokenizer.ggml.scores': Float32Array.from(tokens, (token) => -(order.get(token) ?? 1e6)),
      'tokenizer.ggml.token_type': Int32Array.from(tokens, (token, id) =>
        id === 0 ? 2 : id < 3 ? 3 : /^<0x/.test(token) ? 6 : 1,
      ),
      'tokenizer.ggml.bos_token_id': 1,
      'tokenizer.ggml.eos_token_id': 2,
      'tokenizer.ggml.unknown_token_id': 0,
    })
    expect(b.addsBos).toBe(true)
    for (const one of strings) {
      const ids = b.encode(one)
      expect(b.decode(ids)).toBe(one.replaceAll('▁', ' '))
    }
    // pairs other than those learned may merge too, so equality is of texts of learned words
    expect(b.encode(' the quick')).toEqual(load(json).encode(' the quick'))
  })

  test.each([
    [
      { 'tokenizer.ggml.pre': 'poro-chat' },
      /tokenizer\.ggml\.pre = poro-chat is not supported, .*supported: default, gpt-2, mpt/,
    ],
    [
      { 'tokenizer.ggml.model': 'bert' },
      /tokenizer\.ggml\.model = bert is not supported \(supported: gpt2, llama\)$/,
    ],
    [{ 'tokenizer.ggml.eos_token_id': 1e6 }, /eos_token_id is 1000000, but there are \d+ tokens$/],
    [{ 'tokenizer.ggml.merges': ['a zzz'] }, /merge 0, "a zzz": "zzz" is no token$/],
    [{ 'tokenizer.ggml.merges': 3 }, /tokenizer\.ggml\.merges is no list of texts/],
    [{ 'tokenizer.ggml.token_type': Int32Array.of(1) }, /1 token types for \d+ tokens$/],
  ])('%j is refused', (change, message) => {
    expect(() => gguf({ ...bytePairs(jsonOf('gpt2'), 'gpt-2'), ...change } as GgufMetadata)).toThrow(message)
  })
})

test('what ends a turn, what begins a text, and the fingerprint', () => {
  const json = jsonOf('gpt2')
  const names = {
    bos_token: { content: '<|im_start|>' },
    eos_token: '<|im_end|>',
    chat_template: [{ name: 'default', template: 'x{{ bos_token }}' }],
  }
  const one = load(json, {
    'tokenizer_config.json': names,
    'generation_config.json': { eos_token_id: [2, 77] },
  })
  expect([one.bosId, one.eosIds, one.addsBos]).toEqual([1, [2, 77, 0], false])
  expect(one.encode('a', { bos: true })[0]).toBe(1)
  expect(one.applyChatTemplate([])).toBe('x<|im_start|>')
  expect(one.encodeChat([])).toEqual([...one.encode('x'), 1])
  expect(one.fingerprint()).toMatch(/^[0-9a-f]{64}$/)
  expect(load(json, { 'tokenizer_config.json': names }).fingerprint()).toBe(one.fingerprint())
  const other = jsonOf('gpt2')
  other.model.merges.reverse()
  expect(load(other, { 'tokenizer_config.json': names }).fingerprint()).not.toBe(one.fingerprint())
  expect(() => load(json).encode('a', { bos: true })).toThrow(/names no BOS token/)
  expect(() => load(json).applyChatTemplate([])).toThrow(/has no chat template/)
  expect(one.decode([1e6])).toBe('')
  expect(one.encode('a\ud800b')).toEqual(one.encode('a\ufffdb'))
})

// Oniguruma 6.9.10 at Unicode 16: which characters each pattern matches
test.each([
  ['(?i:s|k|å)', [...'sSſkKKåÅÅ'], [...'tß']],
  ['(?i:[r-t])x?', [...'rstST'], [...'qU']],
  ['\\p{L}', ['a', 'ɐ', '\u{a7cd}'], ['\u{a7ce}', '\u{88f}', '1']],
  ['\\P{L}', ['\u{a7ce}', '1'], ['a']],
  ['[^\\p{L}\\d]', ['\u{11de0}', '-'], ['a', '1', '٣']],
  ['\\s', ['\u{85}', '\u{3000}'], ['\u{feff}', 'a']],
  ['\\p{Greek}', ['α'], ['a']],
  ['.', ['\r', 'a'], ['\n']],
  ['(?~abc)', ['\u{a7ce}'], []],
])('the pattern %s matches what Oniguruma matches', (pattern, inside, outside) => {
  const matches = (text: string): boolean => text.match(translate(pattern, 'test'))?.[0] === text
  expect(inside.filter(matches)).toEqual(inside)
  expect(outside.filter(matches)).toEqual([])
})

test.each([
  [
    (json: Json) => Object.assign(json, { pre_tokenizer: { type: 'BertPreTokenizer' } }),
    /pre-tokenizer BertPreTokenizer is not supported \(supported: Split, /,
  ],
  [
    (json: Json) => Object.assign(json, { normalizer: { type: 'Precompiled' } }),
    /normalizer Precompiled is not supported \(supported: NFC, /,
  ],
  [
    (json: Json) => Object.assign(json, { decoder: { type: 'WordPiece' } }),
    /decoder WordPiece is not supported/,
  ],
  [
    (json: Json) => Object.assign(json.model, { type: 'Unigram' }),
    /a Unigram tokenizer is not supported \(supported: BPE\)/,
  ],
  [(json: Json) => json.model.merges.push(['a', 'nope']), /merge \d+, \["a","nope"\]: "nope" is no token/],
  [(json: Json) => Object.assign(json.model.vocab, { x: -1 }), /token "x" has the id -1/],
  [
    (json: Json) =>
      Object.assign(json, {
        pre_tokenizer: { type: 'Split', pattern: { Regex: '(?<a>b' }, behavior: 'Isolated' },
      }),
    /the pattern "\(\?<a>b" cannot be followed: Unclosed group/,
  ],
  [
    (json: Json) =>
      Object.assign(json, {
        pre_tokenizer: { type: 'Split', pattern: { Regex: '\\p{Nope}' }, behavior: 'Isolated' },
      }),
    /cannot be followed: Invalid property name/,
  ],
  [
    (json: Json) =>
      Object.assign(json, {
        pre_tokenizer: { type: 'Split', pattern: { Regex: '\\Ga' }, behavior: 'Isolated' },
      }),
    /\\G, the end of the match before, has no counterpart/,
  ],
])('a tokenizer.json that cannot be followed is refused (%#)', (change, message) => {
  const json = jsonOf('gpt2')
  change(json)
  expect(() => load(json)).toThrow(message)
  expect(() => load('{"model": ')).toThrow(/tokenizer\.json: not valid JSON/)
})

test('a damaged tokenizer.json gives a tokenizer or one line', () => {
  const whole = JSON.stringify(jsonOf('llama'))
  const paths = [
    'model',
    'added_tokens',
    'normalizer',
    'pre_tokenizer',
    'post_processor',
    'decoder',
    'model.vocab',
    'model.merges',
    'model.unk_token',
    'normalizer.normalizers',
    'decoder.decoders',
    'decoder.decoders.0',
    'normalizer.normalizers.0',
    'added_tokens.1',
    'model.merges.3',
    'post_processor.single',
  ]
  fc.assert(
    fc.property(fc.constantFrom(...paths), fc.jsonValue({ maxDepth: 2 }), (path, value) => {
      const json = JSON.parse(whole) as Record<string, never>
      const steps = path.split('.')
      const last = steps.pop()!
      Object.assign(
        steps.reduce<Record<string, unknown>>((node, step) => node[step] as never, json),
        { [last]: value },
      )
      try {
        load(json).encode('the quick  brown')
      } catch (error) {
        expect(error, `${path} = ${JSON.stringify(value)}`).toBeInstanceOf(TreelineError)
      }
    }),
    { numRuns: 300 },
  )
})
