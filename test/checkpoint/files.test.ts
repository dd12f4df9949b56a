/** @file GGUF in parts, and files whose names say nothing or the wrong thing: their bytes decide. */
import { cpSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { TreelineError } from '../../src/base/index.ts'
import { type GgufMetadata, openCheckpoint, openGguf, writeGguf } from '../../src/checkpoint/index.ts'
import { loadTokenizer } from '../../src/lm/index.ts'

const root = mkdtempSync(join(tmpdir(), 'treeline-files-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))
let folders = 0
const newFolder = (): string => {
  const path = join(root, `f${folders++}`)
  mkdirSync(path)
  return path
}
const fixture = (name: string) => new URL(`../fixtures/${name}`, import.meta.url).pathname

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

const uint16 = (value: number) => ({ type: 'uint16', value }) as const
const tokenizer = {
  'general.architecture': 'llama',
  'tokenizer.ggml.model': 'gpt2',
  'tokenizer.ggml.pre': 'gpt-2',
  'tokenizer.ggml.tokens': ['a', 'b', 'ab'],
  'tokenizer.ggml.merges': ['a b'],
}

/** Three parts with the types that the gguf package gives `split.*`; the first one has no tensor, as gguf-split can leave it. */
function parts(change: (part: number) => GgufMetadata = () => ({})): {
  folder: string
  path(n: number): string
} {
  const folder = newFolder()
  const path = (n: number): string => join(folder, `big-0000${n}-of-00003.gguf`)
  for (const n of [1, 2, 3]) {
    const tensors = n === 1 ? [] : [n * 10, n * 10 + 1]
    writeGguf(
      path(n),
      tensors.map((value) => ({
        name: `t${value}`,
        dtype: 'F32',
        shape: [2],
        values: Float32Array.of(value, -1),
      })),
      {
        ...(n === 1 ? tokenizer : {}),
        'split.no': uint16(n - 1),
        'split.count': uint16(3),
        'split.tensors.count': { type: 'int32', value: 4 },
        ...change(n),
      } as GgufMetadata,
    )
  }
  return { folder, path }
}

describe('a GGUF file in parts', () => {
  it('is opened whole by any part and by its folder, tokenizer included', () => {
    const { folder, path } = parts()
    for (const door of [path(1), path(2), path(3), folder]) {
      const model = openCheckpoint(door)
      expect([model.path, model.format]).toEqual([door, 'gguf (3 parts)'])
      expect([...model.tensors.keys()]).toEqual(['t20', 't21', 't30', 't31'])
      expect([...model.tensors.get('t31')!.f32()]).toEqual([31, -1])
      expect(model.metadata).toMatchObject({ 'general.architecture': 'llama' })
      expect(Object.keys(model.metadata).filter((key) => key.startsWith('split.'))).toEqual([])
      model.close()
      expect(loadTokenizer(door).encode('abab')).toEqual([2, 2])
    }
  })

  it('is refused when a part is missing, has another name, or is of another file', () => {
    const { folder, path } = parts()
    cpSync(path(2), join(folder, 'lost.gguf'))
    rmSync(path(3))
    expect(refusal(() => openGguf(path(1)))).toMatch(
      /TL_IO .*part 1 of 3 of a split GGUF file, of which part 3 is missing: download big-00003-of-00003.gguf into the same folder/,
    )
    expect(refusal(() => openGguf(join(folder, 'lost.gguf')))).toMatch(
      /part 2 of 3 of a split GGUF file: the other parts are found by their names, .* ends in -00002-of-00003.gguf/,
    )
    rmSync(path(2))
    expect(refusal(() => loadTokenizer(path(1)))).toMatch(/parts 2, 3 are missing/)

    const swapped = parts()
    renameSync(swapped.path(2), swapped.path(9))
    cpSync(swapped.path(3), swapped.path(2))
    expect(refusal(() => openGguf(swapped.path(1)))).toMatch(
      /says that it is part 3 of 3, its name says part 2 of 3: the parts are of different files/,
    )
    expect(
      refusal(() => openGguf(parts((n) => (n === 1 ? { 'split.tensors.count': 5 } : {})).path(2))),
    ).toMatch(/the 3 parts hold 4 tensors, split.tensors.count says 5/)
    expect(refusal(() => openGguf(parts(() => ({ 'split.count': 'three' })).path(2)))).toMatch(
      /split.count is "three", expected a whole number/,
    )
  })

  it('of one part is a file like any other, under any name', () => {
    const path = join(newFolder(), 'whole.gguf')
    writeGguf(path, [], { ...tokenizer, 'split.no': uint16(0), 'split.count': uint16(1) })
    expect(loadTokenizer(path).encode('ab')).toEqual([2])
  })
})

describe('a name', () => {
  it('says nothing about a GGUF file: blobs, capitals, another ending', () => {
    for (const name of ['sha256-0123abcd', 'MODEL.GGUF', 'model.bin', 'model.safetensors', 'model']) {
      const folder = newFolder()
      const path = join(folder, name)
      writeGguf(path, [{ name: 't', dtype: 'F32', shape: [1], values: Float32Array.of(7) }], tokenizer)
      writeFileSync(join(folder, 'README'), 'words about it')
      for (const door of [path, folder]) {
        expect(loadTokenizer(door).encode('ab')).toEqual([2])
        const model = openCheckpoint(door)
        expect([...model.tensors.get('t')!.f32()]).toEqual([7])
        model.close()
      }
    }
  })

  it('says nothing about other weights either', () => {
    const folder = newFolder()
    for (const [from, to] of [
      ['python.safetensors', 'weights.gguf'],
      ['pytorch.pt', 'weights.npz'],
      ['numpy.npz', 'weights.pt'],
    ] as const) {
      cpSync(fixture(from), join(folder, to))
      const [own, right] = [openCheckpoint(join(folder, to)), openCheckpoint(fixture(from))]
      expect([...own.tensors.keys()]).toEqual([...right.tensors.keys()])
      own.close()
      right.close()
    }
    expect(refusal(() => loadTokenizer(join(folder, 'weights.gguf')))).toMatch(
      /a safetensors file, which has no tokenizer: name the Hugging Face folder/,
    )
  })

  it('does not hide what is no weight file', () => {
    const noise = Buffer.from('dcb98f680be301c3', 'hex')
    const cases: [Buffer, RegExp][] = [
      [
        Buffer.concat([noise, Buffer.alloc(4992, 1)]),
        /not a weight file, whatever its name \(5.0 kB, begins with the bytes dc b9 8f 68 0b e3 01 c3\); looked for safetensors .* GGUF/,
      ],
      [Buffer.from('\x89HDF\r\n\x1a\n and more', 'latin1'), /TL_UNSUPPORTED .*an HDF5 file \(Keras/],
      [
        Buffer.from('tjgg\x03\0\0\0 and more', 'latin1'),
        /a GGML file from before GGUF.*: convert it to GGUF/,
      ],
      [Buffer.from('\x1f\x8b\x08 and more', 'latin1'), /a gzip archive.*: unpack it first/],
      [Buffer.from('%PDF-1.7 and more', 'latin1'), /a PDF document/],
    ]
    const folder = newFolder()
    for (const [content, message] of cases)
      for (const name of ['x.gguf', 'x.pt', 'x.safetensors', 'x']) {
        writeFileSync(join(folder, name), content)
        expect(refusal(() => openCheckpoint(join(folder, name)))).toMatch(message)
        expect(refusal(() => loadTokenizer(join(folder, name)))).toMatch(message)
      }
  })
})
