/** @file GGUF and Hugging Face folders into each other: against Transformers and the gguf package, and back to the same bits. */
import { createHash } from 'node:crypto'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  type Checkpoint,
  convertCheckpoint,
  type GgufField,
  type GgufFile,
  openCheckpoint,
  openGguf,
  openSafetensorsCheckpoint,
  writeGguf,
  writeSafetensors,
} from '../../src/checkpoint/index.ts'
import { loadModel, loadTokenizer, toGguf, toHuggingFace } from '../../src/lm/index.ts'
import { ggufTokenizer } from '../../src/lm/translate/ggufTokenizer.ts'
import { readGgufTokenizer } from '../../src/tokenizer/gguf.ts'
import { treeline } from '../cli/caught.ts'
import { randomStrings } from '../tokenizer/strings.ts'
import {
  furthest,
  isThere,
  readFixture,
  skipped,
  smollm2,
  stories,
  type Tiny,
  tinyModels,
} from './fixtures.ts'

const root = mkdtempSync(join(tmpdir(), 'treeline-translate-'))
let all: { models: Tiny[]; clean: () => void }
beforeAll(async () => {
  all = await tinyModels()
})
afterAll(() => {
  all.clean()
  rmSync(root, { recursive: true, force: true })
})
const tiny = (name: string): Tiny => all.models.find((m) => m.name === name)!
let made = 0
const fresh = (ending = ''): string => join(root, `o${made++}${ending}`)
const fixture = (name: string): string => new URL(`../fixtures/${name}`, import.meta.url).pathname

/** GGUF → folder. */
function folderOf(gguf: string, dtype?: string): string {
  const out = fresh()
  const file = openCheckpoint(gguf)
  const { checkpoint, companions } = toHuggingFace(gguf, file as GgufFile)
  convertCheckpoint(checkpoint, out, { companions, ...(dtype && { dtype }) })
  file.close()
  return out
}
/** Folder → GGUF. */
function ggufOf(folder: string, dtype?: string): string {
  const out = fresh('.gguf')
  const from = openCheckpoint(folder)
  convertCheckpoint(toGguf(folder, from).checkpoint, out, dtype ? { dtype } : {})
  from.close()
  return out
}
function using<Result>(path: string, use: (checkpoint: Checkpoint) => Result): Result {
  const checkpoint = openCheckpoint(path)
  try {
    return use(checkpoint)
  } finally {
    checkpoint.close()
  }
}
const bitsOf = (path: string): Map<string, string> =>
  using(
    path,
    ({ tensors }) =>
      new Map(
        [...tensors.values()].map((t) => [
          t.name,
          `${t.dtype} [${t.shape}] ${createHash('sha256').update(t.bytes()).digest('hex')}`,
        ]),
      ),
  )
const sorted = (map: Map<string, string>) => [...map].sort(([a], [b]) => (a < b ? -1 : 1))

interface Oracle {
  texts: string[]
  default: { texts: string[]; ids: number[][] }
  models: Record<
    string,
    {
      ids: number[]
      logits: number[][]
      tensors: Record<string, { gguf: string; sha256: string }>
      texts: number[][]
    }
  >
}
const oracle = readFixture<Oracle>('conversions.json')

describe.each(Object.keys(oracle.models))('%s as the gguf package writes it', (name) => {
  const { ids, logits, tensors, texts } = oracle.models[name]!
  const gguf = fixture(`conversion-${name}.gguf`)
  let folder: string
  beforeAll(() => {
    folder = folderOf(gguf)
  })

  it('becomes the weights that Transformers has under these names', () => {
    const digests = using(folder, (own) =>
      Object.fromEntries(
        [...own.tensors.values()].map((t) => [
          t.name,
          createHash('sha256').update(new Uint8Array(t.f32().buffer)).digest('hex').slice(0, 16),
        ]),
      ),
    )
    expect(digests).toEqual(
      Object.fromEntries(Object.entries(tensors).map(([key, { sha256 }]) => [key, sha256])),
    )
  })

  it('gives the logits and the ids of Transformers, as file, as folder and as file again', async () => {
    for (const path of [gguf, folder, ggufOf(folder)]) {
      const model = loadModel(path)
      const own = await model.logits(
        ids,
        ids.map((_, i) => i),
      )
      const { vocabulary } = model.config
      for (const [i, row] of logits.entries())
        expect(furthest(own.subarray(i * vocabulary, i * vocabulary + row.length), row)).toBeLessThan(1e-4)
      model.dispose()
      const tokenizer = loadTokenizer(path)
      const bos = tokenizer.addsBos
      expect(oracle.texts.map((text) => tokenizer.encode(text, { bos, special: true }))).toEqual(texts)
      expect(tokenizer.applyChatTemplate([{ role: 'user', content: 'hi' }])).toBe('user: hi\n')
    }
  })

  it('comes back bit for bit, Q8_0 through f32 included, with the metadata that it had', () => {
    const [before, plain, packed] = [gguf, ggufOf(folder), ggufOf(folder, 'q8_0')].map(bitsOf)
    for (const [key, bits] of before!) {
      if (bits.startsWith('Q8_0')) expect(packed!.get(key)).toBe(bits)
      else if (key !== 'rope_freqs.weight') expect(plain!.get(key)).toBe(bits)
    }
    expect([...plain!.keys()].sort()).toEqual([...before!.keys()].sort())
    const [own, theirs] = [openGguf(ggufOf(folder)), openGguf(gguf)]
    // scores come from the order of merges, the type of the file from its matrices
    const free = ['tokenizer.ggml.scores', 'general.file_type']
    for (const [key, field] of theirs.fields)
      if (!free.includes(key)) expect([key, own.fields.get(key)]).toEqual([key, field])
    const factors = [own, theirs].map(
      ({ tensors }) => tensors.get('rope_freqs.weight')?.f32() ?? new Float32Array(),
    )
    expect(furthest(factors[0]!, factors[1]!)).toBeLessThan(1e-6)
    for (const file of [own, theirs]) file.close()
  })
})

/** A byte-level tokenizer of 96 tokens for the tiny models. */
function addTokenizer(folder: string): void {
  const vocab = Object.fromEntries(Array.from({ length: 94 }, (_, i) => [String.fromCharCode(33 + i), i]))
  const json = {
    added_tokens: [{ id: 95, content: '<end>', special: true, normalized: false }],
    normalizer: null,
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
    post_processor: null,
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: { type: 'BPE', vocab: { ...vocab, ab: 94 }, merges: [['a', 'b']] },
  }
  writeFileSync(join(folder, 'tokenizer.json'), JSON.stringify(json))
  writeFileSync(join(folder, 'tokenizer_config.json'), JSON.stringify({ eos_token: '<end>' }))
}
function withTokenizer(name: string, config: object = {}): string {
  const copy = fresh()
  cpSync(tiny(name).path, copy, { recursive: true })
  const path = join(copy, 'config.json')
  writeFileSync(path, JSON.stringify({ ...(JSON.parse(readFileSync(path, 'utf8')) as object), ...config }))
  addTokenizer(copy)
  return copy
}

describe('folders as Hugging Face writes them', () => {
  it.each(['llama', 'llama3', 'linear', 'mistral', 'qwen2', 'qwen3', 'gpt2'])(
    '%s: GGUF has the logits of the oracle, and gives the folder back',
    async (name) => {
      const folder = withTokenizer(name)
      const { ids, logits } = tiny(name)
      const gguf = ggufOf(folder)
      const model = loadModel(gguf)
      expect(
        furthest(
          await model.logits(
            ids,
            ids.map((_, i) => i),
          ),
          logits,
        ),
      ).toBeLessThan(1e-4)
      model.dispose()
      const back = folderOf(gguf)
      const again = loadModel(back)
      const { architecture, ...config } = again.config
      const { architecture: other, ...before } = loadModel(folder).config
      expect(architecture.name).toBe(other.name)
      expect({ ...config, tied: 0, epsilon: 0 }).toEqual({ ...before, tied: 0, epsilon: 0 })
      expect(config.epsilon / before.epsilon).toBeCloseTo(1, 6)
      again.dispose()
      const prefixed = ([key, bits]: [string, string]): [string, string] => [
        key.replace(/^transformer\./, ''),
        bits,
      ]
      expect(sorted(bitsOf(back)).map(prefixed)).toEqual(sorted(bitsOf(folder)).map(prefixed))
      expect(loadTokenizer(back).encode('cab1')).toEqual(loadTokenizer(folder).encode('cab1'))
    },
  )

  it('with a head that is not the embedding, whatever the flag says, keep it; with one that is, they do not', async () => {
    const { ids, logits } = tiny('llama')
    const gguf = ggufOf(withTokenizer('llama', { tie_word_embeddings: true }))
    const model = loadModel(gguf)
    expect(furthest(await model.logits(ids), logits.subarray(-96))).toBeLessThan(1e-4)
    model.dispose()
    const converted = await treeline(
      'convert',
      withTokenizer('llama', { tie_word_embeddings: true }),
      fresh('.gguf'),
    )
    expect(converted.err).toMatch(/note: .*"lm_head.weight" has other values: it is written, too/)
    const same = withTokenizer('linear')
    using(same, ({ tensors }) => {
      const copied = Object.fromEntries(
        [...tensors.values()].map((t) => [t.name, { dtype: 'F32' as const, shape: t.shape, data: t.f32() }]),
      )
      writeSafetensors(join(same, 'model.safetensors'), {
        ...copied,
        'lm_head.weight': copied['model.embed_tokens.weight']!,
      })
    })
    expect([...bitsOf(ggufOf(same)).keys()]).not.toContain('output.weight')
  })

  it('are refused when GGUF has no words for them', () => {
    const bare = tiny('llama').path
    expect(() => ggufOf(bare)).toThrow(/no tokenizer.json: a GGUF file holds its tokenizer/)
    const more = withTokenizer('qwen2')
    const tokenizer = JSON.parse(readFileSync(join(more, 'tokenizer.json'), 'utf8')) as Record<
      string,
      unknown
    >
    const write = (change: object) =>
      writeFileSync(join(more, 'tokenizer.json'), JSON.stringify({ ...tokenizer, ...change }))
    write({ added_tokens: [{ id: 96, content: '<more>', special: true }] })
    expect(() => ggufOf(more)).toThrow(/token "<more>" has the id 96, the embedding has 96 rows/)
    write({ normalizer: { type: 'Lowercase' } })
    expect(() => ggufOf(more)).toThrow(/cuts words as "gpt-2" of llama.cpp does, but with another normalizer/)
    write({
      pre_tokenizer: {
        type: 'Sequence',
        pretokenizers: [{ type: 'Whitespace' }, tokenizer['pre_tokenizer']],
      },
    })
    expect(() => ggufOf(more)).toThrow(
      /no name that is known here for its way of cutting words \(known: default, gpt-2/,
    )
  })
})

describe('rotary scaling in the spellings of GGUF', () => {
  /** The linear model (factor 2) with other keys for the scaling. */
  function spelled(change: Record<string, GgufField | undefined>): string {
    const path = ggufOf(withTokenizer('linear'))
    const file = openGguf(path)
    const fields = new Map(file.fields)
    for (const key of ['type', 'factor']) fields.delete(`llama.rope.scaling.${key}`)
    for (const [key, field] of Object.entries(change)) if (field) fields.set(`llama.rope.${key}`, field)
    const tensors = [...file.tensors.values()].map(({ name, dtype, shape, bytes }) => ({
      ...{ name, dtype, shape },
      bytes: bytes(),
    }))
    const out = fresh('.gguf')
    writeGguf(out, tensors, fields)
    file.close()
    return out
  }
  const two: GgufField = { type: 'float32', value: 2 }
  const kind = (value: string): GgufField => ({ type: 'string', value })
  it.each([
    ['a factor without a type', { 'scaling.factor': two }],
    ['the older key', { scale_linear: two }],
    ['the older key with a type', { 'scaling.type': kind('linear'), scale_linear: two }],
    [
      'what does not matter here',
      { 'scaling.factor': two, 'scaling.original_context_length': { type: 'uint32', value: 32 } },
    ],
    ['a strength of 1', { 'scaling.factor': two, 'scaling.attn_factor': { type: 'float32', value: 1 } }],
  ] as [string, Record<string, GgufField>][])('%s: linear, as llama.cpp reads it', async (_, change) => {
    const { ids, logits } = tiny('linear')
    const path = spelled(change)
    for (const one of [path, folderOf(path)]) {
      const model = loadModel(one)
      expect(furthest(await model.logits(ids), logits.subarray(-96))).toBeLessThan(1e-4)
      model.dispose()
    }
  })
  it.each([
    ['none, and a factor', { 'scaling.type': kind('none'), 'scaling.factor': two }],
    ['linear without a factor', { 'scaling.type': kind('linear') }],
    ['a factor of 0', { 'scaling.factor': { type: 'float32', value: 0 } }],
  ] as [string, Record<string, GgufField>][])('%s: no scaling', (_, change) => {
    const model = loadModel(spelled(change))
    expect(model.config.rotary).toEqual({ base: 10_000 })
    model.dispose()
  })
  it.each([
    ['yarn', { 'scaling.type': kind('yarn'), 'scaling.factor': two }, /rope scaling "yarn" is not supported/],
    ['longrope', { 'scaling.type': kind('longrope') }, /rope scaling "longrope" is not supported/],
    ['a strength', { 'scaling.attn_factor': two }, /attn_factor is 2: .* strength of attention/],
  ] as [string, Record<string, GgufField>, RegExp][])('%s is refused', (_, change, message) => {
    expect(() => loadModel(spelled(change))).toThrow(message)
  })
})

describe('GGUF files', () => {
  it('with a tensor that nobody asks for are refused: it would be missing from every result', () => {
    const path = ggufOf(withTokenizer('llama'))
    const file = openGguf(path)
    const tensors = [...file.tensors.values()].map(({ name, dtype, shape, bytes }) => ({
      ...{ name, dtype, shape },
      bytes: bytes(),
    }))
    const odd = fresh('.gguf')
    const bias = { name: 'blk.0.ffn_up.bias', dtype: 'F32', shape: [48], values: new Float32Array(48) }
    writeGguf(odd, [...tensors, bias], file.fields)
    expect(() => loadModel(odd)).toThrow(/a tensor "blk.0.ffn_up.bias", which a llama model has not/)
    expect(() => folderOf(odd)).toThrow(
      /a tensor that llama models of Transformers have not: blk.0.ffn_up.bias/,
    )
    const some = fresh('.gguf')
    writeGguf(
      some,
      [...tensors, { ...bias, name: 'blk.0.attn_q.bias', shape: [32], values: new Float32Array(32) }],
      file.fields,
    )
    expect(() => folderOf(some)).toThrow(/biases in some projections only \(blk.0.attn_q.bias, but not/)
    const factors = {
      name: 'rope_freqs.weight',
      dtype: 'F32',
      shape: [4],
      values: Float32Array.of(1, 3, 2, 7),
    }
    const strange = fresh('.gguf')
    writeGguf(strange, [...tensors, factors], file.fields)
    expect(() => folderOf(strange)).toThrow(/the factors in rope_freqs.weight follow no llama3 scaling/)
    file.close()
  })

  it('in parts become one folder', () => {
    const file = openGguf(fixture('conversion-qwen2.gguf'))
    const list = [...file.tensors.values()].map(({ name, dtype, shape, bytes }) => ({
      ...{ name, dtype, shape },
      bytes: bytes(),
    }))
    const parts = fresh()
    mkdirSync(parts)
    for (const n of [0, 1]) {
      const split: [string, GgufField][] = [
        ['split.no', { type: 'uint16', value: n }],
        ['split.count', { type: 'uint16', value: 2 }],
      ]
      const fields = new Map([...(n === 0 ? file.fields : []), ...split])
      writeGguf(
        join(parts, `m-0000${n + 1}-of-00002.gguf`),
        n === 0 ? list.slice(0, 9) : list.slice(9),
        fields,
      )
    }
    file.close()
    const whole = bitsOf(folderOf(fixture('conversion-qwen2.gguf')))
    for (const door of [parts, join(parts, 'm-00002-of-00002.gguf')])
      expect(bitsOf(folderOf(door))).toEqual(whole)
  })
})

describe('tokenizers', () => {
  interface Case {
    name: string
    tokenizer: { model: { vocab: Record<string, number> } } | null
  }
  const { cases } = JSON.parse(gunzipSync(readFileSync(fixture('tokenizers.json.gz'))).toString()) as {
    cases: Case[]
  }
  const strings = randomStrings(5, 400)
  /** A model with an embedding row for each token, and otherwise the tiny one. */
  function modelOf(name: string): string {
    const { tokenizer } = cases.find((one) => one.name === name)!
    const folder = withTokenizer('linear')
    writeFileSync(join(folder, 'tokenizer.json'), JSON.stringify(tokenizer))
    writeFileSync(join(folder, 'tokenizer_config.json'), '{}')
    const rows = loadTokenizer(folder).vocabularySize + 3
    using(folder, ({ tensors }) => {
      const copied = Object.fromEntries(
        [...tensors.values()].map((t) => [t.name, { dtype: 'F32' as const, shape: t.shape, data: t.f32() }]),
      )
      const table = { dtype: 'F32' as const, shape: [rows, 32], data: new Float32Array(rows * 32) }
      writeSafetensors(join(folder, 'model.safetensors'), { ...copied, 'model.embed_tokens.weight': table })
    })
    const path = join(folder, 'config.json')
    const config = JSON.parse(readFileSync(path, 'utf8')) as object
    writeFileSync(path, JSON.stringify({ ...config, vocab_size: rows }))
    return folder
  }
  it.each(['gpt2', 'smollm without bytes', 'llama3', 'qwen2', 'o200k'])(
    '%s: the same ids as file and as folder again',
    (name) => {
      const folder = modelOf(name)
      const gguf = ggufOf(folder)
      const [own, file, back] = [folder, gguf, folderOf(gguf)].map(loadTokenizer)
      for (const text of strings)
        for (const special of [false, true]) {
          const ids = own!.encode(text, { special })
          expect(file!.encode(text, { special })).toEqual(ids)
          expect(back!.encode(text, { special })).toEqual(ids)
        }
    },
  )
  it('of pre = default cut words where llama.cpp cuts them, and come back under that name', () => {
    const gguf = fixture('conversion-default.gguf')
    const tokenizer = loadTokenizer(gguf)
    const { texts, ids } = oracle.default
    expect(texts.map((text) => tokenizer.encode(text))).toEqual(ids)
    const file = openGguf(gguf)
    const definition = readGgufTokenizer(file.metadata, gguf)
    file.close()
    const around = { rows: ids.length + 300, ends: [], addsEos: false, ids: {}, templates: [] }
    expect(new Map(ggufTokenizer(definition, around).fields).get('tokenizer.ggml.pre')?.value).toBe('default')
  })
  it('whose merges are not those of scores are refused', () => {
    expect(() => ggufOf(modelOf('llama'))).toThrow(
      /its merges are not those of a SentencePiece vocabulary \(".*" \+ ".*"\)/,
    )
  })
  it.skipIf(!isThere(stories))(
    `stories260k: SentencePiece scores from its merges${skipped(stories)}`,
    async () => {
      const gguf = ggufOf(stories)
      const [own, file, back] = [stories, gguf, folderOf(gguf)].map(loadTokenizer)
      for (const text of [...strings, 'Once upon a time, there was a little girl named Lily.']) {
        const ids = own!.encode(text)
        expect(file!.encode(text)).toEqual(ids)
        expect(back!.encode(text)).toEqual(ids)
      }
      const [a, b] = [loadModel(stories), loadModel(gguf)]
      const ids = own!.encode('Once upon a time', { bos: true })
      expect(furthest(await a.logits(ids), await b.logits(ids))).toBeLessThan(1e-4)
      for (const model of [a, b]) model.dispose()
    },
  )
})

describe('on the command line', () => {
  it('GGUF is converted, merged and continued, and comes back', async () => {
    const folder = fresh()
    const converted = await treeline('convert', fixture('conversion-llama.gguf'), folder)
    expect([converted.code, converted.out]).toEqual([0, `${folder}: 21 tensors, 8 of them converted\n`])
    expect(converted.err).toMatch(/note: weights of Q8_0 are written as f32/)
    // a merge of a model with itself is the model
    const twin = fresh()
    cpSync(folder, twin, { recursive: true })
    const recipe = fresh('.yaml')
    const models = [folder, twin].map((path) => `  - model: ${path}\n    parameters: { weight: 1 }\n`)
    writeFileSync(recipe, `merge_method: linear\nmodels:\n${models.join('')}`)
    const merged = fresh()
    expect(await treeline('merge', recipe, merged)).toMatchObject({ code: 0 })
    const gguf = fresh('.gguf')
    expect((await treeline('convert', merged, gguf, '-q')).code).toBe(0)
    const texts = await Promise.all(
      [fixture('conversion-llama.gguf'), folder, merged, gguf].map(async (model) => {
        const { code, out } = await treeline(
          'generate',
          model,
          '--prompt',
          'the tree',
          '--max-tokens',
          '6',
          '--json',
        )
        expect(code).toBe(0)
        return (JSON.parse(out) as { ids: number[] }).ids
      }),
    )
    for (const ids of texts) expect(ids).toEqual(texts[0])
  })

  it('a plan says when a merge of GGUF files would have no configuration', async () => {
    const gguf = fixture('conversion-llama.gguf')
    const [twin, recipe, out] = [fresh('.gguf'), fresh('.yaml'), fresh()]
    cpSync(gguf, twin)
    const models = [gguf, twin].map((path) => `  - model: ${path}\n    parameters: { weight: 1 }\n`)
    writeFileSync(recipe, `merge_method: linear\nmodels:\n${models.join('')}`)
    const warning =
      /has no config.json, so the output has none: its tensors have the names of GGUF.*treeline convert/
    expect((await treeline('merge', recipe, out, '--dry-run')).out).toMatch(warning)
    const merged = await treeline('merge', recipe, out)
    expect([merged.code, merged.err]).toEqual([0, expect.stringMatching(warning)])
    expect(readFileSync(join(out, 'README.md'), 'utf8')).not.toContain('library_name')
  })

  it('a single file keeps the names, unless told otherwise; what has no effect is refused', async () => {
    const [keep, hf] = [fresh('.safetensors'), fresh('.safetensors')]
    const gguf = fixture('conversion-llama.gguf')
    expect((await treeline('convert', gguf, keep, '-q')).code).toBe(0)
    expect((await treeline('convert', gguf, hf, '--names', 'hf', '-q')).code).toBe(0)
    const names = (path: string): string[] => {
      const file = openSafetensorsCheckpoint(path)
      file.close()
      return [...file.tensors.keys()]
    }
    expect(names(keep)).toContain('blk.0.attn_q.weight')
    expect(names(hf)).toContain('model.layers.0.self_attn.q_proj.weight')
    const same = await treeline('convert', hf, fresh('.safetensors'), '--names', 'hf')
    expect([same.code, same.err]).toEqual([
      2,
      expect.stringMatching(/only where a GGUF file becomes safetensors/),
    ])
    const other = await treeline('convert', fixture('gguf.gguf'), fresh())
    expect([other.code, other.err]).toEqual([
      1,
      expect.stringMatching(/--names keep copies the tensors as they are/),
    ])
    expect((await treeline('convert', fixture('gguf.gguf'), fresh(), '--names', 'keep', '-q')).code).toBe(0)
  })
})

describe.skipIf(!isThere(smollm2))(`SmolLM2 from its GGUF${skipped(smollm2)}`, () => {
  it('gives the names, values and settings of its folder, and the metadata again', () => {
    const file = openGguf(smollm2)
    const { checkpoint, companions } = toHuggingFace(smollm2, file)
    expect(checkpoint.tensors.size).toBe(272)
    expect(JSON.parse(companions.get('config.json')!)).toMatchObject({
      architectures: ['LlamaForCausalLM'],
      head_dim: 64,
      rms_norm_eps: 1e-5,
      rope_theta: 100_000,
      tie_word_embeddings: true,
      torch_dtype: 'float32',
    })
    // hf[i] = gguf[2i], hf[i + 32] = gguf[2i + 1] in each head of 64 rows
    const [own, theirs] = [
      checkpoint.tensors.get('model.layers.7.self_attn.k_proj.weight')!.f32(),
      file.tensors.get('blk.7.attn_k.weight')!.f32(),
    ]
    const row = (values: Float32Array, r: number) => values.subarray(r * 576, (r + 1) * 576)
    for (const [hf, gguf] of [
      [0, 0],
      [1, 2],
      [31, 62],
      [32, 1],
      [63, 63],
      [64 + 33, 64 + 3],
    ] as const)
      expect(row(own, hf)).toEqual(row(theirs, gguf))
    // any range of it is that part of the whole
    const part = checkpoint.tensors.get('model.layers.7.self_attn.k_proj.weight')!.f32(576 * 60 + 5, 576 * 9)
    expect(part).toEqual(own.subarray(576 * 60 + 5, 576 * 69 + 5))
    file.close()
  })
})
