/** @file GGUF: agreement with llama.cpp's Python package, ranges, round trips, one clear message for each mistake. */
import { createHash } from 'node:crypto'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { TreelineError } from '../../src/base/index.ts'
import {
  encodeGguf,
  type GgufField,
  type GgufTensor,
  ggufTypes,
  openGguf,
  parseGguf,
  writeGguf,
} from '../../src/checkpoint/gguf/index.ts'

const fixture = new URL('../fixtures/gguf.gguf', import.meta.url).pathname
const readJson = (name: string) =>
  JSON.parse(readFileSync(new URL(`../fixtures/${name}`, import.meta.url), 'utf8'))
const expected = readJson('gguf.json') as {
  tensors: Record<string, { dtype: string; shape: number[]; bytes: number; decoded: string }>
  quantized: Record<string, string>
}
const rawBytes = (view: ArrayBufferView) => Buffer.from(view.buffer, view.byteOffset, view.byteLength)
const floats = (base64: string) => new Float32Array(new Uint8Array(Buffer.from(base64, 'base64')).buffer)
const bits = (values: Float32Array) => rawBytes(values).toString('hex')

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'treeline-gguf-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

function refusal(action: () => unknown): string {
  try {
    action()
  } catch (error) {
    expect(error).toBeInstanceOf(TreelineError)
    const { code, message } = error as TreelineError
    expect(message).not.toMatch(/\n/)
    return `${code} ${message}`
  }
  return expect.fail('nothing was thrown')
}

describe('a file of the gguf package', () => {
  it('gives every element type bit for bit', () => {
    const file = openGguf(fixture)
    expect(file.format).toBe('gguf')
    expect([...file.tensors.keys()]).toEqual(Object.keys(expected.tensors))
    for (const [name, { dtype, shape, bytes, decoded }] of Object.entries(expected.tensors)) {
      const tensor = file.tensors.get(name)!
      expect([name, tensor.dtype, tensor.shape, tensor.byteLength]).toEqual([name, dtype, shape, bytes])
      expect([name, bits(tensor.f32())]).toEqual([name, bits(floats(decoded))])
      expect(tensor.bytes().byteLength).toBe(bytes)
    }
    file.close()
    expect(refusal(() => file.tensors.get('plain/F32')!.f32())).toMatch(/TL_BAD_ARGUMENT .*read after close/)
  })

  it('covers every type that has a decoder', () => {
    const covered = new Set(Object.values(expected.tensors).map(({ dtype }) => dtype))
    // I64 is decoded by the same conversion as in every other format and cannot be told apart here
    const decoded = ggufTypes.filter((type) => type.decode && type.name !== 'I64').map((type) => type.name)
    expect([...covered].sort()).toEqual(decoded.sort())
  })

  it('gives any element range of any tensor', () => {
    const file = openGguf(fixture)
    for (const tensor of file.tensors.values()) {
      const whole = tensor.f32()
      for (const [start, end] of [
        [0, whole.length],
        [1, whole.length - 1],
        [whole.length >> 1, (whole.length >> 1) + 1],
        [3, 3],
        [whole.length, whole.length],
      ] as const)
        expect(bits(tensor.f32(start, end - start))).toBe(bits(whole.slice(start, end)))
      expect(bits(tensor.f32(2))).toBe(bits(whole.slice(2)))
      expect(refusal(() => tensor.f32(1, whole.length))).toMatch(/TL_BAD_ARGUMENT .*it has/)
      expect(refusal(() => tensor.f32(-1, 1))).toMatch(/TL_BAD_ARGUMENT/)
    }
    file.close()
  })

  it('keeps its metadata, nested arrays included', () => {
    const { metadata, fields } = parseGguf(readFileSync(fixture))
    expect(metadata).toEqual({
      'general.architecture': 'llama',
      'llama.block_count': 2,
      'llama.rope.freq_base': 10000,
      'all.UINT8': 255,
      'all.INT8': -128,
      'all.UINT16': 65535,
      'all.INT16': -32768,
      'all.UINT32': 2 ** 32 - 1,
      'all.INT32': -(2 ** 31),
      'all.FLOAT32': Math.fround(1e-5),
      'all.BOOL': true,
      'all.STRING': 'héllo 🌲',
      'all.UINT64': 2 ** 53 - 1,
      'all.INT64': -(2 ** 40),
      'all.FLOAT64': 0.1,
      'all.huge': 2n ** 64n - 1n,
      'array.text': ['<s>', '', '▁the', '\n'],
      'array.int': Int32Array.of(1, -2, 3),
      'array.float': Float32Array.of(0.5, -0.25),
      'array.bool': Uint8Array.of(1, 0),
      'array.nested': [Int32Array.of(1, 2), Int32Array.of(3)],
      'array.nested.text': [['a', 'b'], ['c']],
    })
    expect(fields.get('llama.rope.freq_base')).toEqual({ type: 'float32', value: 10000 })
    expect(fields.get('array.bool')).toEqual({ type: 'array', of: 'bool', value: Uint8Array.of(1, 0) })
  })

  it('decodes a list of texts once, at the first look', () => {
    const words = ['', 'é', '日本', 'x'.repeat(300)]
    const file = parseGguf(encodeGguf([], { words, other: 1 }))
    const field = file.fields.get('words')!
    expect(Object.keys(file.metadata)).toEqual(['words', 'other'])
    const getter = Object.getOwnPropertyDescriptor(field, 'value')!
    expect(typeof getter.get).toBe('function')
    expect(file.metadata['words']).toEqual(words)
    expect(file.metadata['words']).toBe(field.value)
  })

  it('is read as version 2 just the same, and refused as version 1 or big-endian', () => {
    const bytes = new Uint8Array(readFileSync(fixture))
    bytes[4] = 2
    expect(parseGguf(bytes).tensors.size).toBe(Object.keys(expected.tensors).length)
    bytes[4] = 1
    expect(refusal(() => parseGguf(bytes))).toMatch(/TL_UNSUPPORTED .*version 1, expected 2 or 3/)
    bytes.set([0, 0, 0, 3], 4)
    expect(refusal(() => parseGguf(bytes))).toMatch(/big-endian/)
  })
})

describe('writing', () => {
  it('encodes Q8_0, F16 and BF16 as the gguf package does', () => {
    const values = floats(expected.quantized.values!)
    for (const dtype of ['Q8_0', 'F16', 'BF16']) {
      const file = parseGguf(encodeGguf([{ name: 'w', dtype, shape: [4, 64], values }]))
      const stored = Buffer.from(file.tensors.get('w')!.bytes()).toString('hex')
      expect([dtype, stored]).toEqual([
        dtype,
        Buffer.from(expected.quantized[dtype]!, 'base64').toString('hex'),
      ])
    }
  })

  it('copies a file: metadata with its types, quantized tensors as they are, the same bytes', () => {
    const source = openGguf(fixture)
    const path = join(folder, 'copy.gguf')
    const tensors = [...source.tensors.values()].map(
      ({ name, dtype, shape, bytes }): GgufTensor => ({ name, dtype, shape, bytes }),
    )
    writeGguf(path, tensors, source.fields)
    expect(Buffer.compare(readFileSync(path), readFileSync(fixture))).toBe(0)
    source.close()
  })

  it('streams values by element range, across chunks', () => {
    const shape = [3, 1 << 17]
    const value = (i: number) => Math.sin(i)
    const asked: number[] = []
    const values = (start: number, count: number) => {
      asked.push(count)
      return Float32Array.from({ length: count }, (_, i) => value(start + i))
    }
    const path = join(folder, 'stream.gguf')
    writeGguf(path, [{ name: 'w', dtype: 'F32', shape, values }])
    expect(asked.length).toBeGreaterThan(1)
    const file = openGguf(path)
    const whole = file.tensors.get('w')!.f32()
    expect(bits(whole) === bits(Float32Array.from({ length: 3 << 17 }, (_, i) => value(i)))).toBe(true)
    file.close()
  })

  it('leaves the old file alone when a tensor fails half-way', () => {
    const path = join(folder, 'old.gguf')
    writeFileSync(path, 'old')
    const values = () => new Float32Array(1)
    const message = refusal(() => writeGguf(path, [{ name: 'w', dtype: 'F32', shape: [2], values }]))
    expect(message).toMatch(/TL_SHAPE_MISMATCH .*2 values were asked for at 0, 1 came/)
    expect(readFileSync(path, 'utf8')).toBe('old')
    expect(readdirSync(folder).filter((name) => name.endsWith('.tmp'))).toEqual([])
  })

  it('gives plain values the types llama.cpp expects', () => {
    const metadata = {
      'general.alignment': 64,
      text: 'x',
      count: 3,
      negative: -3,
      wide: 2 ** 40,
      real: 0.25,
      yes: true,
      whole: { type: 'float32', value: 10000 } satisfies GgufField,
      ids: [1, 2],
      scores: [0.5, 1],
      words: ['a', 'b'],
      flags: [true, false],
      nested: [[1], ['a']],
      none: [],
    }
    const bytes = encodeGguf([{ name: 'w', dtype: 'F16', shape: [], values: Float32Array.of(2) }], metadata)
    const { fields, tensors, dataStart, alignment } = parseGguf(bytes)
    expect([alignment, dataStart % 64, tensors.get('w')!.f32()[0]]).toEqual([64, 0, 2])
    expect([...fields].map(([key, field]) => [key, field.type === 'array' ? field.of : field.type])).toEqual([
      ['general.alignment', 'uint32'],
      ['text', 'string'],
      ['count', 'uint32'],
      ['negative', 'int32'],
      ['wide', 'uint64'],
      ['real', 'float32'],
      ['yes', 'bool'],
      ['whole', 'float32'],
      ['ids', 'int32'],
      ['scores', 'float32'],
      ['words', 'string'],
      ['flags', 'bool'],
      ['nested', 'array'],
      ['none', 'int32'],
    ])
  })

  it('refuses what the format cannot hold', () => {
    const one = (fields: Partial<GgufTensor>) => () =>
      encodeGguf([
        { name: 'w', dtype: 'F32', shape: [2], values: new Float32Array(2), ...fields } as GgufTensor,
      ])
    expect(refusal(one({ dtype: 'Q4_0' }))).toMatch(/TL_BAD_ARGUMENT .*did you mean "Q8_0"/)
    expect(refusal(one({ dtype: 'Q8_0' }))).toMatch(/rows of 2 elements, Q8_0 comes in blocks of 32/)
    expect(refusal(one({ shape: [3] }))).toMatch(/TL_SHAPE_MISMATCH .*3 elements, 2 values/)
    expect(refusal(one({ shape: [1, 1, 1, 1, 2] }))).toMatch(/at most 4/)
    const wild = new Float32Array(32)
    wild[3] = Number.NaN
    expect(refusal(one({ dtype: 'Q8_0', shape: [32], values: wild }))).toMatch(/TL_NOT_FINITE .*is NaN/)
    wild[3] = 1e9
    expect(refusal(one({ dtype: 'Q8_0', shape: [32], values: wild }))).toMatch(
      /TL_NOT_FINITE .*too large for Q8_0/,
    )
    const twice: GgufTensor = { name: 'w', dtype: 'F32', shape: [1], values: new Float32Array(1) }
    expect(refusal(() => encodeGguf([twice, twice]))).toMatch(/given twice/)
    for (const value of [
      null,
      undefined,
      () => 1,
      [1, 'a'],
      { type: 'uint8', value: 256 },
      { type: 'int64', value: 0.5 },
    ])
      expect(refusal(() => encodeGguf([], { key: value }))).toMatch(/TL_BAD_ARGUMENT metadata "key"/)
    expect(refusal(() => encodeGguf([], { 'general.alignment': 33 }))).toMatch(/power of two/)
  })

  // whole numbers are kept exactly (-0 as 0), others are rounded to f32
  const asWritten = (value: number) => (Number.isSafeInteger(value) ? value + 0 : Math.fround(value))

  it('round-trips whatever it writes', () => {
    const tensor = fc.record({
      shape: fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 3 }),
      dtype: fc.constantFrom('F32', 'F16', 'BF16'),
    })
    fc.assert(
      fc.property(
        fc.array(tensor, { maxLength: 5 }),
        fc.dictionary(fc.string(), fc.oneof(fc.string(), fc.double({ noNaN: true }), fc.boolean())),
        (list, metadata) => {
          delete metadata['general.alignment']
          const tensors = list.map(({ shape, dtype }, index): GgufTensor & { values: Float32Array } => {
            const count = shape.reduce((a, b) => a * b, 1)
            // small integers survive every type
            return {
              name: `t${index}`,
              dtype,
              shape,
              values: Float32Array.from({ length: count }, (_, i) => i - 3),
            }
          })
          const file = parseGguf(encodeGguf(tensors, metadata))
          for (const { name, shape, values } of tensors) {
            expect(file.tensors.get(name)!.shape).toEqual(shape)
            expect(file.tensors.get(name)!.f32()).toEqual(values)
          }
          for (const [key, value] of Object.entries(metadata)) {
            const kept = typeof value === 'number' ? asWritten(value) : value
            expect(file.metadata[key]).toEqual(kept)
          }
        },
      ),
      { numRuns: 200 },
    )
  })
})

/** A file with one tensor entry and, if wanted, metadata bytes, all made by hand. */
function byHand(
  entry: { name?: string; dims?: bigint[]; type?: number; offset?: bigint },
  dataBytes = 64,
): Uint8Array {
  const { name = 'w', dims = [2n], type = 0, offset = 0n } = entry
  const u32 = (x: number) => Buffer.from(Uint32Array.of(x).buffer)
  const u64 = (x: bigint) => Buffer.from(BigUint64Array.of(x).buffer)
  const head = Buffer.concat([
    Buffer.from('GGUF'),
    u32(3),
    u64(1n),
    u64(0n),
    u64(BigInt(name.length)),
    Buffer.from(name),
    u32(dims.length),
    ...dims.map(u64),
    u32(type),
    u64(offset),
  ])
  return Buffer.concat([head, Buffer.alloc(((-head.length % 32) + 32) % 32), Buffer.alloc(dataBytes)])
}

describe('damaged files', () => {
  it('are refused with what is wrong', () => {
    expect(parseGguf(byHand({})).tensors.get('w')!.f32()).toEqual(new Float32Array(2))
    const cases: [Uint8Array, RegExp][] = [
      [new Uint8Array(3), /3 bytes, a GGUF file has at least 24/],
      [new Uint8Array(40), /does not begin with "GGUF"/],
      [byHand({}, 4), /tensor "w": ends at byte 8 of the data, of which the file has 4 \(truncated\?\)/],
      [byHand({ dims: [2n ** 60n] }), /too large for any file/],
      [byHand({ dims: [2n ** 40n, 2n ** 40n] }), /shape \[1099511627776, 1099511627776\] is too large/],
      [byHand({ dims: [2n, 2n ** 40n] }), /ends at byte 8796093022208 of the data/],
      [byHand({ dims: Array(9).fill(1n) }), /9 dimensions, expected at most 8/],
      [byHand({ type: 5 }), /unknown element type 5/],
      [byHand({ type: 2 }), /rows of 2 elements, Q4_0 comes in blocks of 32/],
      [byHand({ offset: 8n }), /begins at byte 8 of the data, no multiple of 32/],
      [byHand({ offset: 2n ** 63n }), /beyond any file/],
    ]
    for (const [bytes, message] of cases) expect(refusal(() => parseGguf(bytes, 'x.gguf'))).toMatch(message)
    const overlap = encodeGguf([
      { name: 'a', dtype: 'F32', shape: [16], values: new Float32Array(16) },
      { name: 'b', dtype: 'F32', shape: [8], values: new Float32Array(8) },
    ])
    const at = Buffer.from(overlap).lastIndexOf(Buffer.from(BigUint64Array.of(64n).buffer))
    overlap[at] = 32
    expect(refusal(() => parseGguf(overlap))).toMatch(/tensors "a" and "b" overlap/)
  })

  it('hold types that can be copied and not decoded', () => {
    const tensor = parseGguf(byHand({ dims: [256n], type: 16 }, 66)).tensors.get('w')!
    expect([tensor.dtype, tensor.bytes().byteLength]).toEqual(['IQ2_XXS', 66])
    expect(refusal(() => tensor.f32())).toMatch(
      /TL_UNSUPPORTED IQ2_XXS cannot be decoded \(known: F32, F16, Q4_0/,
    )
  })

  it('are refused when missing', () => {
    expect(refusal(() => openGguf(join(folder, 'missing.gguf')))).toMatch(/TL_IO .*no such file/)
    expect(refusal(() => openGguf(folder))).toMatch(/TL_IO/)
  })
})

describe('mutated headers', () => {
  it('give a file or one clear error, 100,000 times, and never tensors larger than the file', {
    timeout: 60_000,
  }, () => {
    // a smaller file than the fixture, of every kind of field, so that each edit has something to break
    const { fields } = parseGguf(readFileSync(fixture))
    const original = encodeGguf(
      ['F32', 'F16', 'BF16', 'Q8_0'].map((dtype) => ({
        name: dtype,
        dtype,
        shape: [1, 32],
        values: new Float32Array(32),
      })),
      new Map([...fields].filter(([key]) => /array|STRING|BOOL|huge|FLOAT64|INT32/.test(key))),
    )
    const headerBytes = parseGguf(original).dataStart
    let state = 1
    const random = (limit: number) => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0
      return Math.floor((state / 2 ** 32) * limit)
    }
    const messages = new Map<string, number>()
    Error.stackTraceLimit = 0
    const interesting = [0, 1, 7, 8, 9, 0x7f, 0x80, 0xff]
    for (let round = 0; round < 100_000; round++) {
      // every third file keeps only the beginning of the data, so that truncation is met too
      const bytes = original.slice(0, round % 3 === 0 ? random(original.length) : original.length)
      for (let edit = 1 + random(3); edit > 0; edit--) {
        const at = random(Math.min(headerBytes, bytes.length))
        const value = random(2) ? random(256) : interesting[random(interesting.length)]!
        if (at < bytes.length) bytes[at] = value
        if (random(8) === 0) bytes.fill(value, at, Math.min(at + 8, headerBytes))
      }
      try {
        const { tensors } = parseGguf(bytes, 'f')
        const bound = [...tensors.values()].reduce((sum, tensor) => sum + tensor.byteLength, 0)
        if (bound > bytes.length) expect.fail(`tensors of ${bound} bytes in a file of ${bytes.length}`)
        if (round % 50 === 0) for (const tensor of tensors.values()) tensor.f32()
        messages.set('read', (messages.get('read') ?? 0) + 1)
      } catch (error) {
        if (!(error instanceof TreelineError) || error.message.includes('\n')) throw error
        if (error.code !== 'TL_BAD_FILE' && error.code !== 'TL_UNSUPPORTED') throw error
        const kind = error.message.replace(/"(?:[^"\\]|\\.)*"|\d+/g, '#').slice(0, 60)
        messages.set(kind, (messages.get(kind) ?? 0) + 1)
      }
    }
    Error.stackTraceLimit = 10
    expect(messages.get('read')).toBeGreaterThan(1000)
    // the mutations reach deep: many different mistakes were met
    expect(messages.size).toBeGreaterThan(20)
  })
})

const models = process.env.TREELINE_TEST_MODELS ?? new URL('../../../shared/models', import.meta.url).pathname
const real = readJson('gguf-model.json') as {
  file: string
  dataStart: number
  keys: string[]
  types: Record<string, string>
  tokens: string
  f32: Record<string, string>
}
const modelPath = join(models, 'smollm2-135m-instruct', real.file)
const missing = existsSync(modelPath) ? '' : ' (skipped: no such model; set TREELINE_TEST_MODELS)'

describe(`a real model${missing}`, () => {
  it.skipIf(missing)('is what the gguf package says it is', () => {
    const file = openGguf(modelPath)
    const sha256 = (data: Uint8Array | string) => createHash('sha256').update(data).digest('hex')
    expect(file.dataStart).toBe(real.dataStart)
    expect(Object.keys(file.metadata)).toEqual(real.keys)
    expect(Object.fromEntries([...file.tensors].map(([name, { dtype }]) => [name, dtype]))).toEqual(
      real.types,
    )
    expect(file.tensors.get('token_embd.weight')!.shape).toEqual([49152, 576])
    expect(sha256((file.metadata['tokenizer.ggml.tokens'] as string[]).join('\n'))).toBe(real.tokens)
    for (const [name, digest] of Object.entries(real.f32)) {
      const tensor = file.tensors.get(name)!
      const count = tensor.shape.reduce((a, b) => a * b, 1)
      expect([name, sha256(rawBytes(tensor.f32(0, Math.min(count, 1 << 20))))]).toEqual([name, digest])
    }
    file.close()
  })
})
