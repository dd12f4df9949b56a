/** @file One door for every format: shards with an index, NumPy's arrays, folders, and one clear message for what is none. */
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { deflateRawSync } from 'node:zlib'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { TreelineError } from '../../src/base/index.ts'
import {
  type Checkpoint,
  openCheckpoint,
  readSafetensorsHeader,
  type ShardData,
  shardedWriter,
  writeSafetensors,
} from '../../src/checkpoint/index.ts'
import { parseNpz } from '../../src/checkpoint/npy.ts'
import { memorySource } from '../../src/checkpoint/source.ts'

const root = mkdtempSync(join(tmpdir(), 'treeline-open-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))
let folders = 0
const newFolder = (): string => {
  const path = join(root, `f${folders++}`)
  mkdirSync(path)
  return path
}
const fixture = (name: string) => new URL(`../fixtures/${name}`, import.meta.url).pathname

/** The message of what `action` throws, with its code; anything but a one-line TreelineError fails. */
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
function using<Result>(path: string, use: (checkpoint: Checkpoint) => Result): Result {
  const checkpoint = openCheckpoint(path)
  try {
    return use(checkpoint)
  } finally {
    checkpoint.close()
  }
}
const f32 = (...values: number[]) => Float32Array.from(values)

/** A folder of two shards with an index, both changeable before they are written. */
function shards(
  change: (index: { metadata?: unknown; weight_map: Record<string, unknown> }) => void = () => {},
): string {
  const path = newFolder()
  writeSafetensors(
    join(path, 'model-00001-of-00002.safetensors'),
    { a: { dtype: 'F32', shape: [2], data: f32(1, 2) } },
    { format: 'pt' },
  )
  writeSafetensors(join(path, 'model-00002-of-00002.safetensors'), {
    b: { dtype: 'BF16', shape: [1, 2], data: Uint8Array.of(0x80, 0x3f, 0, 0xc0) },
    c: { dtype: 'F32', shape: [], data: f32(3) },
  })
  const index = {
    metadata: { total_size: 16 } as unknown,
    weight_map: {
      c: 'model-00002-of-00002.safetensors',
      a: 'model-00001-of-00002.safetensors',
      b: 'model-00002-of-00002.safetensors',
    },
  }
  change(index)
  writeFileSync(join(path, 'model.safetensors.index.json'), JSON.stringify(index))
  return path
}

describe('shards', () => {
  it('are one checkpoint, by folder and by index', () => {
    const path = shards()
    for (const door of [path, join(path, 'model.safetensors.index.json')])
      using(door, ({ tensors, metadata, format, path: own }) => {
        expect([own, format]).toEqual([door, 'safetensors (2 shards)'])
        expect([...tensors.keys()]).toEqual(['c', 'a', 'b'])
        expect(metadata).toEqual({ format: 'pt', total_size: 16 })
        const b = tensors.get('b')!
        expect([b.dtype, b.shape, b.byteLength]).toEqual(['BF16', [1, 2], 4])
        expect([...b.bytes()]).toEqual([0x80, 0x3f, 0, 0xc0])
        expect(b.f32()).toEqual(f32(1, -2))
        expect(b.f32(1)).toEqual(f32(-2))
        expect(b.f32(0, 1)).toEqual(f32(1))
        expect(b.f32(2)).toEqual(f32())
        expect(tensors.get('c')!.f32()).toEqual(f32(3))
        for (const [start, count] of [[3], [0, 3], [-1, 1], [0.5, 1], [1, -1]] as const)
          expect(refusal(() => b.f32(start, count))).toMatch(
            /TL_BAD_ARGUMENT tensor "b": elements .* it has 2/,
          )
      })
  })

  it('may be links to elsewhere, as in the cache of Hugging Face, but an index may not name what lies elsewhere', () => {
    const path = shards()
    const linked = newFolder()
    for (const name of readdirSync(path)) symlinkSync(join(path, name), join(linked, name))
    using(linked, ({ tensors }) => expect(tensors.get('a')!.f32()).toEqual(f32(1, 2)))
    const escapes = [
      '../x.safetensors',
      '/etc/passwd',
      'sub/x.safetensors',
      '..',
      '.',
      '',
      'a\\b',
      'C:\\x',
      'x\0',
    ]
    for (const name of escapes) {
      const bad = shards(({ weight_map }) => (weight_map['a'] = name))
      expect(refusal(() => openCheckpoint(bad))).toMatch(
        /^TL_BAD_FILE .*index\.json: weight_map: tensor "a" is said to be in .* plain name/,
      )
    }
  })

  it('must agree with their index', () => {
    const bad: [Parameters<typeof shards>[0], RegExp][] = [
      [
        ({ weight_map }) => (weight_map['a'] = 'model-3.safetensors'),
        /TL_IO .*shard model-3.safetensors is missing/,
      ],
      [
        ({ weight_map }) => (weight_map['a'] = 'model-00002-of-00002.safetensors'),
        /puts tensor "a" into .*, which does not have it did you mean|has it/,
      ],
      [
        ({ weight_map }) => (weight_map['d'] = 'model-00002-of-00002.safetensors'),
        /"d" into model-00002-of-00002.safetensors, which does not have it/,
      ],
      [({ weight_map }) => delete weight_map['b'], /has tensor "b", which weight_map does not name/],
      [
        ({ weight_map }) => (weight_map['b'] = 'model-00001-of-00002.safetensors'),
        /weight_map puts tensor "b" into model-00001|into model-00001/,
      ],
      [({ weight_map }) => (weight_map['a'] = 3), /tensor "a": expected a file name, got number/],
      [(index) => (index.weight_map = [] as never), /"weight_map" is missing/],
      [(index) => (index.metadata = 'x'), /"metadata": expected an object/],
    ]
    for (const [change, message] of bad)
      expect(refusal(() => openCheckpoint(shards(change)))).toMatch(message)
    const path = shards()
    writeFileSync(join(path, 'model.safetensors.index.json'), '{"weight_map": {')
    expect(refusal(() => openCheckpoint(path))).toMatch(/TL_BAD_FILE .*index\.json: not valid JSON/)
  })
})

describe('the sharded writer', () => {
  const collect = (path: string) =>
    using(path, ({ tensors, format }) => ({
      format,
      tensors: [...tensors.values()]
        .map(({ name, dtype, shape, f32 }) => [name, dtype, shape, [...f32()]])
        .sort(),
    }))

  it('writes one file when one is enough, and an index when not', () => {
    const path = newFolder()
    const writer = shardedWriter(path, { metadata: { format: 'pt' } })
    writer.write('w', 'BF16', [2, 2], f32(1, 1 + 2 ** -8, 3, -4))
    writer.write('x', 'F32', [3], [f32(5), f32(6, 7)])
    expect(readdirSync(path).every((name) => name.endsWith('.tmp'))).toBe(true)
    expect(writer.finish()).toEqual({ files: ['model.safetensors'], bytes: 20 })
    expect(readdirSync(path)).toEqual(['model.safetensors'])
    expect(collect(path).tensors).toEqual([
      ['w', 'BF16', [2, 2], [1, 1, 3, -4]],
      ['x', 'F32', [3], [5, 6, 7]],
    ])
    expect(readSafetensorsHeader(join(path, 'model.safetensors'))).toMatchObject({
      metadata: { format: 'pt' },
    })

    expect(refusal(() => shardedWriter(path))).toMatch(/^TL_EXISTS .*weights already \(model\.safetensors\)/)
    const again = shardedWriter(path, { shardSize: 16, force: true })
    for (const name of ['c', 'a', 'b']) again.write(name, 'F32', [3], f32(1, 2, 3))
    expect(again.finish().files).toEqual([
      'model-00001-of-00003.safetensors',
      'model-00002-of-00003.safetensors',
      'model-00003-of-00003.safetensors',
      'model.safetensors.index.json',
    ])
    // the file of before would make the folder ambiguous
    expect(readdirSync(path)).not.toContain('model.safetensors')
    expect(collect(path)).toEqual({
      format: 'safetensors (3 shards)',
      tensors: ['a', 'b', 'c'].map((name) => [name, 'F32', [3], [1, 2, 3]]),
    })
    const back = shardedWriter(path, { force: true })
    back.write('only', 'U8', [1], Uint8Array.of(9))
    back.finish()
    expect(readdirSync(path)).toEqual(['model.safetensors'])
    shardedWriter(newFolder()).finish()
  })

  it('gives back whatever was written, in any split, with wide elements aligned', () => {
    const dtype = fc.constantFrom('F32', 'BF16', 'F16', 'U8', 'F64', 'I64')
    const tensor = fc.record({
      dtype,
      values: fc.array(fc.integer({ min: 0, max: 100 }), { maxLength: 20 }),
      cut: fc.nat(20),
    })
    fc.assert(
      fc.property(
        fc.array(tensor, { maxLength: 12 }),
        fc.integer({ min: 1, max: 300 }),
        (list, shardSize) => {
          const path = join(root, 'any')
          const writer = shardedWriter(path, { shardSize, force: true })
          for (const [i, { dtype, values, cut }] of list.entries()) {
            const data: ShardData = [
              Float32Array.from(values.slice(0, cut)),
              Float32Array.from(values.slice(cut)),
            ]
            writer.write(`t${i}`, dtype, [values.length], data)
          }
          const { files, bytes } = writer.finish()
          expect(readdirSync(path).sort()).toEqual([...files].sort())
          const expected = list
            .map(({ dtype, values }, i) => [`t${i}`, dtype, [values.length], values])
            .sort()
          expect(collect(path).tensors).toEqual(expected)
          let sum = 0
          for (const file of files.filter((name) => name.endsWith('.safetensors'))) {
            const { tensors, dataBytes, dataStart } = readSafetensorsHeader(join(path, file))
            expect(dataStart % 8).toBe(0)
            sum += dataBytes
            if (tensors.size > 1) expect(dataBytes).toBeLessThanOrEqual(shardSize)
            const widths: Record<string, number> = { F64: 8, I64: 8, F32: 4, BF16: 2, F16: 2, U8: 1 }
            for (const { dtype, begin } of tensors.values()) expect(begin % widths[dtype]!).toBe(0)
          }
          expect(sum).toBe(bytes)
        },
      ),
      { numRuns: 25 },
    )
  })

  it('keeps large data where they are behind a padded header, and begins a shard when a header is full', () => {
    const path = newFolder()
    const writer = shardedWriter(path)
    const large = new Uint8Array(30_000_000).fill(7)
    writer.write('large', 'U8', [large.length], large)
    writer.finish()
    using(path, ({ tensors }) => expect(Buffer.compare(tensors.get('large')!.bytes(), large)).toBe(0))
    const many = shardedWriter(path, { force: true })
    for (let i = 0; i < 3000; i++) many.write(`${'name'.repeat(20)}.${i}`, 'U8', [1], Uint8Array.of(i % 256))
    expect(many.finish().files.length).toBeGreaterThan(2)
    using(path, ({ tensors }) => {
      expect(tensors.size).toBe(3000)
      expect(tensors.get(`${'name'.repeat(20)}.2999`)!.f32()).toEqual(f32(2999 % 256))
    })
  })

  it('leaves nothing behind after a failure', () => {
    const wrong: [(writer: ReturnType<typeof shardedWriter>) => void, RegExp][] = [
      [(w) => w.write('a', 'F32', [2], f32(1)), /TL_SHAPE_MISMATCH .*takes 8 bytes, got 4/],
      [(w) => w.write('a', 'F32', [1], f32(1, 2)), /takes 4 bytes, got 8/],
      [(w) => w.write('ok', 'F32', [1], f32(1)), /"ok" is given twice/],
      [(w) => w.write('a', 'F23', [1], f32(1)), /did you mean "F32"/],
      [
        (w) => w.write('a', 'F6_E2M3', [4], f32(1, 1, 1, 1)),
        /TL_UNSUPPORTED dtype "F6_E2M3" has no conversion/,
      ],
      [(w) => w.write('a'.repeat(300_000), 'F32', [1], f32(1)), /name is too long/],
      [(w) => w.write('a', 'U8', [1], f32(Number.NaN)), /TL_NOT_FINITE/],
    ]
    for (const [act, message] of wrong) {
      const path = newFolder()
      const writer = shardedWriter(path)
      writer.write('ok', 'F32', [1], f32(1))
      expect(refusal(() => act(writer))).toMatch(message)
      expect(readdirSync(path)).toEqual([])
      expect(refusal(() => writer.finish())).toMatch(/writer is closed/)
    }
    const path = newFolder()
    const writer = shardedWriter(path)
    writer.write('a', 'F32', [1], f32(1))
    writer.abort()
    expect(readdirSync(path)).toEqual([])
    writeFileSync(join(path, 'file'), '')
    expect(refusal(() => shardedWriter(join(path, 'file', 'x')).finish())).toMatch(/^TL_IO cannot write/)
    chmodSync(path, 0o755)
  })
})

describe('NumPy', () => {
  for (const name of ['numpy.npz', 'numpy-packed.npz'])
    it(`${name}: every type, both byte orders, both element orders`, () => {
      using(fixture(name), ({ tensors, format }) => {
        expect(format).toBe('npz')
        expect(tensors.size).toBe(32)
        for (const [name, tensor] of tensors) {
          const expected = Float32Array.from({ length: 24 }, (_, i) => (name.startsWith('|b1') ? i % 2 : i))
          if (name === 'scalar')
            expect([tensor.shape, tensor.dtype, [...tensor.f32()]]).toEqual([[], 'F32', [7]])
          else if (name === 'empty')
            expect([tensor.shape, tensor.byteLength, tensor.f32().length]).toEqual([[0, 3], 0, 0])
          else {
            expect([name, tensor.shape]).toEqual([name, [2, 3, 4]])
            expect([name, tensor.f32()]).toEqual([name, expected])
            expect(tensor.f32(5, 7)).toEqual(expected.slice(5, 12))
            expect(tensor.bytes().byteLength).toBe(tensor.byteLength)
          }
        }
        expect(tensors.get('>f4-F')!.bytes()).toEqual(tensors.get('<f4-C')!.bytes())
        expect(tensors.get('>i8-C')!.dtype).toBe('I64')
      })
    })

  it('one array, and a pickle that is refused by name', () => {
    using(fixture('numpy-fortran.npy'), ({ tensors, format }) => {
      expect([format, ...tensors.keys()]).toEqual(['npy', 'array'])
      expect(tensors.get('array')!.f32()).toEqual(Float32Array.from({ length: 24 }, (_, i) => i))
    })
    expect(refusal(() => openCheckpoint(fixture('numpy-object.npy')))).toMatch(
      /TL_UNSUPPORTED .*pickle: it could run a program/,
    )
  })

  const npy = (header: string, data = 0): Buffer => {
    const text = Buffer.from(`${header}\n`)
    const lead = Buffer.from('\x93NUMPY\x01\x00\0\0', 'latin1')
    lead.writeUInt16LE(text.length, 8)
    return Buffer.concat([lead, text, Buffer.alloc(data)])
  }
  it('says what is wrong with an array', () => {
    const path = join(newFolder(), 'x')
    const cases: [Buffer, RegExp][] = [
      [
        npy("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }", 8),
        /shape \[3\] of F32 needs more than the 8 bytes/,
      ],
      [npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }", 8), /4 bytes after the last element/],
      [
        npy("{'descr': '<f4', 'fortran_order': False, 'shape': (9999999999, 9999999999, 99), }", 8),
        /needs more than/,
      ],
      [
        npy("{'descr': '<f4', 'fortran_order': 1, 'shape': (1,), }", 4),
        /expected 'descr', 'fortran_order' and 'shape'/,
      ],
      [npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", 4), /record array/],
      [
        npy("{'descr': '<U3', 'fortran_order': False, 'shape': (1,), }", 12),
        /text of NumPy type "<U3": not read; expected f8, /,
      ],
      [npy('{}{}'), /expected a dictionary/],
      [Buffer.from('\x93NUMPY\x09\x00aaaa', 'latin1'), /format version 9/],
      [Buffer.from('\x93NUMPY\x01\x00\xff\xff', 'latin1'), /a header of 65535 bytes announced/],
      [Buffer.from('\x93NUMPY', 'latin1'), /6 bytes, a .npy file has at least 10/],
    ]
    for (const [bytes, message] of cases) {
      writeFileSync(path, bytes)
      expect(refusal(() => openCheckpoint(path))).toMatch(message)
    }
  })

  it('mutated archives give arrays or one TreelineError, and take no more memory than they may', () => {
    const seeds = ['numpy.npz', 'numpy-packed.npz'].map((name) => readFileSync(fixture(name)))
    let refused = 0
    fc.assert(
      fc.property(
        fc.constantFrom(...seeds),
        fc.array(fc.record({ at: fc.nat(), value: fc.nat(255), fromEnd: fc.boolean() }), {
          minLength: 1,
          maxLength: 3,
        }),
        (seed, mutations) => {
          const bytes = Buffer.from(seed)
          // the directory at the end is where most of the structure is
          for (const { at, value, fromEnd } of mutations)
            bytes[fromEnd ? bytes.length - 1 - (at % 3000) : at % bytes.length] = value
          try {
            for (const tensor of parseNpz(memorySource(bytes, 'fuzz')).tensors.values()) {
              expect(tensor.byteLength).toBeLessThan(bytes.length * 1032)
              tensor.bytes()
            }
          } catch (error) {
            if (!(error instanceof TreelineError)) throw error
            expect(error.message).not.toMatch(/[\n\r]/)
            refused++
          }
        },
      ),
      { numRuns: 500 },
    )
    expect(refused).toBeGreaterThan(50)
  })

  it('an entry that claims more than it can hold is not unpacked', () => {
    const packed = deflateRawSync(Buffer.alloc(1_000_000))
    const archive = (size: number): Buffer => {
      const name = Buffer.from('a.npy')
      const local = Buffer.alloc(30)
      local.writeUInt32LE(0x04034b50)
      local.writeUInt16LE(name.length, 26)
      const central = Buffer.alloc(46)
      central.writeUInt32LE(0x02014b50)
      central.writeUInt16LE(8, 10)
      central.writeUInt32LE(packed.length, 20)
      central.writeUInt32LE(size, 24)
      central.writeUInt16LE(name.length, 28)
      const end = Buffer.alloc(22)
      end.writeUInt32LE(0x06054b50)
      end.writeUInt16LE(1, 10)
      end.writeUInt32LE(46 + name.length, 12)
      end.writeUInt32LE(30 + name.length + packed.length, 16)
      return Buffer.concat([local, name, packed, central, name, end])
    }
    const open = (size: number) => refusal(() => parseNpz(memorySource(archive(size), 'bomb')))
    expect(open(4e9)).toMatch(/claims 4.0 GB out of/)
    expect(open(10_000)).toMatch(/cannot be unpacked|no NumPy array|not what the directory says/)
  })
})

describe('folders and files', () => {
  const write = (path: string) => writeSafetensors(path, { x: { dtype: 'F32', shape: [1], data: f32(1) } })

  it('content decides, not the name', () => {
    const path = newFolder()
    write(join(path, 'weights.gguf'))
    cpSync(fixture('numpy.npz'), join(path, 'x.safetensors'))
    expect(using(join(path, 'weights.gguf'), ({ format }) => format)).toBe('safetensors')
    expect(using(join(path, 'x.safetensors'), ({ format }) => format)).toBe('npz')
  })

  it('model.safetensors, or the only weight file', () => {
    const path = newFolder()
    expect(refusal(() => openCheckpoint(path))).toMatch(
      /TL_BAD_FILE .*no weights: expected model.safetensors/,
    )
    write(join(path, 'other.safetensors'))
    expect(using(path, (checkpoint) => [checkpoint.path, ...checkpoint.tensors.keys()])).toEqual([path, 'x'])
    write(join(path, 'second.safetensors'))
    expect(refusal(() => openCheckpoint(path))).toMatch(
      /2 weight files \(other.safetensors, second.safetensors\)/,
    )
    write(join(path, 'model.safetensors'))
    using(path, ({ tensors }) => expect(tensors.size).toBe(1))
    writeFileSync(join(path, 'model.safetensors.index.json'), '{"weight_map":{}}')
    expect(refusal(() => openCheckpoint(path))).toMatch(
      /both model.safetensors and model.safetensors.index.json/,
    )
  })

  it('older folders: pytorch_model.bin beside other archives, or shards of them', () => {
    const path = newFolder()
    cpSync(fixture('pytorch.pt'), join(path, 'pytorch_model-00001-of-00002.bin'))
    write(join(path, 'pytorch_model-00002-of-00002.bin'))
    const names = using(fixture('pytorch.pt'), ({ tensors }) => [...tensors.keys()])
    const weight_map = Object.fromEntries(names.map((name) => [name, 'pytorch_model-00001-of-00002.bin']))
    const index = { weight_map: { x: 'pytorch_model-00002-of-00002.bin', ...weight_map } }
    writeFileSync(join(path, 'pytorch_model.bin.index.json'), JSON.stringify(index))
    using(path, ({ tensors, format }) => {
      expect(format).toMatch(/\(2 shards\)/)
      expect([...tensors.keys()]).toEqual(['x', ...names])
    })
    const loop = { weight_map: { x: 'pytorch_model.bin.index.json' } }
    writeFileSync(join(path, 'pytorch_model.bin.index.json'), JSON.stringify(loop))
    expect(refusal(() => openCheckpoint(path))).toMatch(/an index where a shard was expected/)
    cpSync(fixture('pytorch.pt'), join(path, 'training_args.bin'))
    cpSync(fixture('pytorch.pt'), join(path, 'pytorch_model.bin'))
    expect(using(path, ({ tensors }) => [...tensors.keys()])).toEqual(names)
  })

  it('what is none', () => {
    const path = newFolder()
    expect(refusal(() => openCheckpoint(join(path, 'absent')))).toMatch(/TL_IO .*no such file/)
    const cases: [string | Buffer, RegExp][] = [
      ['', /the file is empty/],
      [
        'hello, this is a text',
        /not a weight file, whatever its name .* a text that begins with "hello, this is a tex"\); looked for safetensors/,
      ],
      ['{"a": 1}', /"weight_map" is missing/],
      [Buffer.from('PK\x03\x04aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 'latin1'), /no end-of-directory record/],
      [Buffer.from('GGUF\x03\x00', 'latin1'), /./],
    ]
    for (const [content, message] of cases) {
      writeFileSync(join(path, 'x'), content)
      expect(refusal(() => openCheckpoint(join(path, 'x')))).toMatch(message)
    }
  })
})
