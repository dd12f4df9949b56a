/** @file safetensors: round trips, agreement with the Python library, one clear message for each mistake, fuzz. */
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { TreelineError } from '../../src/base/index.ts'
import {
  encodeSafetensors,
  openSafetensors,
  parseSafetensors,
  readSafetensors,
  readSafetensorsHeader,
  type StoredDtype,
  storedBytes,
  storedDtypes,
  type TensorToWrite,
  writeSafetensors,
} from '../../src/checkpoint/index.ts'

const fixture = new URL('../fixtures/python.safetensors', import.meta.url).pathname
const expected = JSON.parse(readFileSync(new URL('../fixtures/python.json', import.meta.url), 'utf8')) as {
  metadata: Record<string, string>
  tensors: Record<string, { dtype: StoredDtype; shape: number[]; hex: string }>
}
const rawBytes = (view: ArrayBufferView) => Buffer.from(view.buffer, view.byteOffset, view.byteLength)

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'treeline-safetensors-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

/** The code and message of what `action` throws; anything but a TreelineError fails the test. */
function refusal(action: () => unknown): { code: string; message: string } {
  try {
    action()
  } catch (error) {
    expect(error).toBeInstanceOf(TreelineError)
    const { code, message } = error as TreelineError
    expect(message).not.toMatch(/\n/)
    return { code, message }
  }
  return expect.fail('nothing was thrown')
}

/** A file with the given header text and as many data bytes as wanted. */
function file(header: unknown, dataBytes = 0): Uint8Array {
  const text = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header))
  const whole = Buffer.alloc(8 + text.length + dataBytes)
  whole.writeBigUInt64LE(BigInt(text.length))
  text.copy(whole, 8)
  return whole
}

const one = (fields: object) => ({ x: { dtype: 'F32', shape: [2], data_offsets: [0, 8], ...fields } })

describe('files of the Python library', () => {
  it('are read tensor for tensor', () => {
    const { tensors, metadata } = readSafetensors(fixture)
    expect(metadata).toEqual(expected.metadata)
    expect([...tensors.keys()].sort()).toEqual(Object.keys(expected.tensors).sort())
    for (const [name, { dtype, shape, hex }] of Object.entries(expected.tensors)) {
      const tensor = tensors.get(name)!
      expect([name, tensor.dtype, tensor.shape]).toEqual([name, dtype, shape])
      expect([name, rawBytes(tensor.data).toString('hex')]).toEqual([name, hex])
    }
    const scalar = tensors.get('scalar')!
    expect(scalar.data).toEqual(new Float32Array([-0.5]))
    const integers = tensors.get('all/I64')!
    expect(integers.data).toBeInstanceOf(BigInt64Array)
    expect(integers.data[0]).toBe(-(2n ** 63n))
  })

  it('come out byte for byte when written again', () => {
    const { tensors, metadata } = readSafetensors(fixture)
    const shuffled = [...tensors].reverse()
    expect(Buffer.compare(encodeSafetensors(shuffled, metadata), readFileSync(fixture))).toBe(0)
  })
})

const arrays = {
  F32: Float32Array,
  F64: Float64Array,
  I32: Int32Array,
  I64: BigInt64Array,
  U32: Uint32Array,
} as const
const anyTensor: fc.Arbitrary<TensorToWrite> = fc
  .tuple(fc.constantFrom(...storedDtypes), fc.array(fc.nat(4), { maxLength: 4 }))
  .filter(([dtype, shape]) => storedBytes(dtype, shape) !== undefined)
  .chain(([dtype, shape]) => {
    const size = storedBytes(dtype, shape)!
    const byte = dtype === 'BOOL' ? fc.nat(1) : fc.nat(255)
    return fc.array(byte, { minLength: size, maxLength: size }).map((list) => {
      const raw = Uint8Array.from(list)
      const make = arrays[dtype as keyof typeof arrays]
      return { dtype, shape, data: make ? new make(raw.buffer) : raw }
    })
  })
const anyName = fc.string({ unit: 'grapheme', maxLength: 12 }).filter((name) => name !== '__metadata__')
const anyTensors = fc
  .dictionary(anyName, anyTensor, { maxKeys: 6 })
  .map((record) => new Map(Object.entries(record)))
const anyMetadata = fc.dictionary(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'grapheme' }), {
  maxKeys: 4,
})

describe('round trips', () => {
  it('give back every tensor, dtype, shape and word of metadata, in memory and on disk', () => {
    const path = join(folder, 'round.safetensors')
    fc.assert(
      fc.property(anyTensors, anyMetadata, (tensors, metadata) => {
        writeSafetensors(path, tensors, metadata)
        const encoded = encodeSafetensors(tensors, metadata)
        expect(Buffer.compare(readFileSync(path), encoded)).toBe(0)
        for (const back of [readSafetensors(path), parseSafetensors(encoded)]) {
          expect(back.metadata).toEqual({ ...metadata })
          expect(back.tensors.size).toBe(tensors.size)
          for (const [name, { dtype, shape, data }] of tensors) {
            const tensor = back.tensors.get(name)!
            expect([tensor.dtype, tensor.shape]).toEqual([dtype, shape])
            expect(tensor.data.constructor).toBe((data as ArrayBufferView).constructor)
            expect(rawBytes(tensor.data).equals(rawBytes(data as ArrayBufferView))).toBe(true)
          }
        }
      }),
      { numRuns: 150 },
    )
    expect(readdirSync(folder).filter((name) => name.endsWith('.tmp'))).toEqual([])
  })

  it('keep names that JavaScript objects trip over', () => {
    const data = new Float32Array([1])
    const names = ['__proto__', 'constructor', 'toString', '', ' ', '\u0000', '"\\', '🌲']
    const bytes = encodeSafetensors(
      names.map((name) => [name, { dtype: 'F32', shape: [1], data }] as const),
      Object.fromEntries([['__proto__', 'x']]),
    )
    const back = parseSafetensors(bytes)
    expect([...back.tensors.keys()].sort()).toEqual([...names].sort())
    expect(Object.entries(back.metadata)).toEqual([['__proto__', 'x']])
  })

  it('take chunks from a function, and views that begin inside a buffer', () => {
    const path = join(folder, 'chunks.safetensors')
    const values = Float32Array.from({ length: 10 }, (_, i) => i / 3)
    const raw = rawBytes(values)
    writeSafetensors(path, {
      streamed: { dtype: 'F32', shape: [2, 5], data: () => [raw.subarray(0, 7), raw.subarray(7)] },
      view: { dtype: 'F32', shape: [3], data: values.subarray(4, 7) },
      raw: { dtype: 'F32', shape: [10], data: new Uint8Array(raw) },
    })
    const { tensors } = readSafetensors(path)
    expect(tensors.get('streamed')!.data).toEqual(values)
    expect(tensors.get('raw')!.data).toEqual(values)
    expect(tensors.get('view')!.data).toEqual(values.slice(4, 7))
  })
})

describe('lazy reading', () => {
  it('reads a header, one tensor, a byte range, chunks', () => {
    const header = readSafetensorsHeader(fixture)
    expect(header.dataStart + header.dataBytes).toBe(statSync(fixture).size)
    const open = openSafetensors(fixture)
    try {
      const { hex, shape } = expected.tensors['layer.0.weight']!
      expect(open.entry('layer.0.weight')).toMatchObject({ dtype: 'F32', shape })
      expect(rawBytes(open.readBytes('layer.0.weight', 5, 21)).toString('hex')).toBe(hex.slice(10, 42))
      const chunks = [...open.chunks('layer.0.weight', 13)]
      expect(chunks.map((chunk) => chunk.byteLength)).toEqual([13, 13, 13, 9])
      expect(Buffer.concat(chunks).toString('hex')).toBe(hex)
      expect([...open.chunks('empty')]).toEqual([])
      expect(refusal(() => open.read('layer.0.wieght')).message).toMatch(/did you mean "layer.0.weight"/)
      expect(refusal(() => open.readBytes('scalar', 0, 5)).message).toMatch(/bytes \[0, 5\), it has 4/)
      expect(refusal(() => open.readBytes('scalar', 3, 2)).code).toBe('TL_BAD_ARGUMENT')
    } finally {
      open.close()
    }
    expect(refusal(() => open.read('scalar')).message).toMatch(/after close/)
  })

  it('notices a file that shrinks after it was opened', () => {
    const path = join(folder, 'shrinks.safetensors')
    writeSafetensors(path, { x: { dtype: 'F32', shape: [64], data: new Float32Array(64) } })
    const open = openSafetensors(path)
    truncateSync(path, 200)
    expect(refusal(() => open.read('x'))).toMatchObject({ code: 'TL_BAD_FILE' })
    open.close()
  })

  it('says what is wrong with a path', () => {
    expect(refusal(() => readSafetensors(join(folder, 'absent')))).toMatchObject({ code: 'TL_IO' })
    expect(refusal(() => readSafetensors(folder)).message).toMatch(/a file was expected/)
    writeFileSync(join(folder, 'nothing'), '')
    expect(refusal(() => readSafetensors(join(folder, 'nothing'))).message).toMatch(/0 bytes.*at least 8/)
  })
})

describe('refusals', () => {
  const huge = Buffer.alloc(16)
  huge.writeBigUInt64LE(2n ** 63n)
  const announced = Buffer.alloc(16)
  announced.writeBigUInt64LE(9n)
  const deep = `{"x":${'['.repeat(100_000)}`
  const cases: [string, Uint8Array, RegExp][] = [
    ['a header length beyond all bounds', huge, /header length 9223372036854775808 is above 100000000/],
    ['a header longer than the file', announced, /header of 9 bytes announced, the file has 8/],
    ['an empty header', file(''), /header length 0/],
    ['text that is not UTF-8', Buffer.concat([file('{"a'), Buffer.alloc(0)]).fill(0xff, 9), /not UTF-8/],
    ['a list', file('[1]'), /expected "\{" as the first character, found "\[1\]"/],
    ['leading space', file(' {}'), /expected "\{" as the first character/],
    ['a cut header', file('{"x":{"dtype":"F3'), /expected the closing quote/],
    ['text after the header', file('{} x'), /expected nothing but spaces/],
    ['nesting', file(deep), /expected "\{", found "\[\[/],
    ['nesting in a shape', file(`{"x":{"shape":${'['.repeat(100_000)}`), /expected a whole number/],
    ['a trailing comma', file('{"x":{"dtype":"F32",}}'), /expected a string, found "\}\}"/],
    ['a bad escape', file('{"\\q":1}'), /valid escapes/],
    ['half a surrogate pair', file('{"\\ud800":1}'), /valid escapes/],
    ['a raw control character', file('{"\n":1}'), /escape in place of a control character/],
    [
      'a repeated name',
      file('{"x":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"\\u0078":{}}'),
      /"x" stands in the header twice/,
    ],
    ['a repeated field', file('{"x":{"dtype":"U8","dtype":"U8"}}'), /"dtype" stands there twice/],
    [
      'repeated metadata',
      file('{"__metadata__":{},"__metadata__":{}}'),
      /__metadata__ stands in the header twice/,
    ],
    [
      'a repeated metadata key',
      file('{"__metadata__":{"a":"b","a":"c"}}'),
      /metadata key "a" stands in the header twice/,
    ],
    ['metadata that is not text', file({ __metadata__: { a: 1 } }), /expected a string, found "1\}\}"/],
    [
      'an unknown field',
      file(one({ offset: 1 }), 8),
      /unknown field "offset" \(valid: dtype, shape, data_offsets\)/,
    ],
    ['an unknown dtype', file(one({ dtype: 'F31' }), 8), /unknown dtype "F31", did you mean "F32"/],
    ['no dtype', file({ x: { shape: [], data_offsets: [0, 0] } }), /"dtype" is missing/],
    ['no shape', file({ x: { dtype: 'U8', data_offsets: [0, 0] } }), /"shape" is missing/],
    ['no offsets', file({ x: { dtype: 'U8', shape: [] } }), /"data_offsets" is missing/],
    ['one offset', file(one({ data_offsets: [8] }), 8), /data_offsets \[8\], expected \[begin, end\]/],
    ['three offsets', file(one({ data_offsets: [0, 8, 8] }), 8), /at most 2 integers/],
    ['reversed offsets', file(one({ data_offsets: [8, 0] }), 8), /begin <= end/],
    ['a negative offset', file(one({ data_offsets: [-8, 0] }), 8), /expected a whole number from 0/],
    ['a fractional size', file(one({ shape: [2.5] }), 8), /expected "," or "\]", found "\.5/],
    ['a leading zero', file('{"x":{"shape":[02]}}'), /expected a whole number/],
    ['a size beyond exact numbers', file(one({ shape: [2 ** 53] }), 8), /expected a whole number/],
    ['a product beyond exact numbers', file(one({ shape: [2 ** 40, 2 ** 40] }), 8), /too large for any file/],
    ['too many dimensions', file(one({ shape: new Array(65).fill(1) }), 8), /at most 64 integers/],
    [
      'half a byte',
      file(one({ dtype: 'F4', shape: [3], data_offsets: [0, 1] }), 1),
      /does not fill whole bytes/,
    ],
    [
      'a shape that does not fit',
      file(one({ shape: [3] }), 8),
      /shape \[3\] of F32 takes 12 bytes, data_offsets \[0, 8\] give 8/,
    ],
    ['missing data', file(one({}), 4), /ends at byte 8 of the data, of which the file has 4 \(truncated\?\)/],
    ['data of no tensor', file(one({}), 10), /2 B after tensor "x" belong to no tensor/],
    [
      'a gap at the start',
      file(one({ data_offsets: [4, 12] }), 12),
      /4 B between the start of the data and tensor "x"/,
    ],
    [
      'an overlap',
      file({ ...one({}), y: { dtype: 'F32', shape: [2], data_offsets: [4, 12] } }, 12),
      /"y" begins at byte 4, inside tensor "x", which ends at 8/,
    ],
    ['data without a header', file({}, 3), /3 B after the start of the data/],
    [
      'a BOOL that is neither',
      Buffer.concat([file(one({ dtype: 'BOOL', data_offsets: [0, 2] })), Buffer.from([1, 2])]),
      /BOOL element 1 is 2, expected 0 or 1/,
    ],
    ['an endless name', file({ ['n'.repeat(1e6)]: 1 }), /expected "\{", found "1\}"/],
  ]
  for (const [what, bytes, message] of cases)
    it(`of ${what}`, () => {
      const refused = refusal(() => parseSafetensors(bytes, 'a.safetensors'))
      expect(refused.code).toBe('TL_BAD_FILE')
      expect(refused.message).toMatch(message)
      expect(refused.message).toMatch(/^a\.safetensors: /)
      expect(refused.message.length).toBeLessThan(600)
    })

  it('of tensors that cannot be written, before the file is touched', () => {
    const path = join(folder, 'refused.safetensors')
    const f32 = (shape: number[], data: TensorToWrite['data']): TensorToWrite => ({
      dtype: 'F32',
      shape,
      data,
    })
    const wrong: [Parameters<typeof writeSafetensors>[1], string, RegExp][] = [
      [{ x: f32([2], new Float32Array(3)) }, 'TL_SHAPE_MISMATCH', /takes 8 bytes, the data have 12/],
      [{ x: f32([1], new Float64Array(1)) }, 'TL_DTYPE_MISMATCH', /takes a Float32Array.*got a Float64Array/],
      [{ x: f32([-1], new Float32Array(1)) }, 'TL_BAD_ARGUMENT', /expected integers >= 0/],
      [{ __metadata__: f32([0], new Float32Array(0)) }, 'TL_BAD_ARGUMENT', /keeps this name for itself/],
      [{ '\ud800': f32([0], new Float32Array(0)) }, 'TL_BAD_ARGUMENT', /not valid Unicode/],
      [
        [
          ['x', f32([0], new Float32Array(0))],
          ['x', f32([0], new Float32Array(0))],
        ],
        'TL_BAD_ARGUMENT',
        /given twice/,
      ],
      [
        { x: { dtype: 'f32' as StoredDtype, shape: [], data: new Float32Array(1) } },
        'TL_BAD_ARGUMENT',
        /did you mean "F32"/,
      ],
      [
        { x: f32([2], () => [new Uint8Array(9)]) },
        'TL_SHAPE_MISMATCH',
        /8 bytes announced, its chunks gave more/,
      ],
      [{ x: f32([2], () => [new Uint8Array(7)]) }, 'TL_SHAPE_MISMATCH', /its chunks gave 7/],
    ]
    for (const [tensors, code, message] of wrong) {
      const refused = refusal(() => writeSafetensors(path, tensors))
      expect(refused.code).toBe(code)
      expect(refused.message).toMatch(message)
      expect(existsSync(path)).toBe(false)
    }
    const bad = { a: 1 } as unknown as Record<string, string>
    expect(refusal(() => writeSafetensors(path, {}, bad)).message).toMatch(
      /metadata "a": expected text, got number/,
    )
    expect(readdirSync(folder).filter((name) => name.includes('refused'))).toEqual([])
  })
})

describe('fuzz', () => {
  const seeds = [
    readFileSync(fixture),
    Buffer.from(
      encodeSafetensors({ a: { dtype: 'F32', shape: [2], data: new Float32Array(2) } }, { k: 'v' }),
    ),
  ]
  const mutation = fc.oneof(
    fc.record({ kind: fc.constant('set' as const), at: fc.nat(1500), value: fc.nat(255) }),
    fc.record({
      kind: fc.constant('digit' as const),
      at: fc.nat(1500),
      value: fc.integer({ min: 0x22, max: 0x7d }),
    }),
    fc.record({ kind: fc.constant('cut' as const), at: fc.nat(1500), value: fc.nat(40) }),
    fc.record({ kind: fc.constant('insert' as const), at: fc.nat(1500), value: fc.nat(255) }),
    fc.record({ kind: fc.constant('length' as const), at: fc.nat(7), value: fc.nat(255) }),
  )
  it('mutated bytes give tensors or one TreelineError, nothing else', () => {
    let refused = 0
    fc.assert(
      fc.property(
        fc.constantFrom(...seeds),
        fc.array(mutation, { minLength: 1, maxLength: 4 }),
        (seed, mutations) => {
          let bytes = Buffer.from(seed)
          for (const { kind, at, value } of mutations) {
            const place = at % Math.max(1, bytes.length)
            if (kind === 'cut')
              bytes = Buffer.concat([bytes.subarray(0, place), bytes.subarray(place + value)])
            else if (kind === 'insert')
              bytes = Buffer.concat([bytes.subarray(0, place), Buffer.from([value]), bytes.subarray(place)])
            else bytes[kind === 'length' ? at : place] = value
          }
          try {
            const { tensors } = parseSafetensors(bytes, 'fuzz')
            for (const { dtype, shape, data } of tensors.values())
              expect(data.byteLength).toBe(storedBytes(dtype, shape))
          } catch (error) {
            if (!(error instanceof TreelineError) || error.code !== 'TL_BAD_FILE') throw error
            expect(error.message).not.toMatch(/[\n\r]/)
            refused++
          }
        },
      ),
      { numRuns: 4000 },
    )
    expect(refused).toBeGreaterThan(1000)
  })
})
