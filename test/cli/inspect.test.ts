/** @file `treeline inspect` and `treeline convert` as people and scripts meet them. */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  openCheckpoint,
  readSafetensors,
  type TensorToWrite,
  writeSafetensors,
} from '../../src/checkpoint/index.ts'
import { treeline } from './caught.ts'

const root = mkdtempSync(join(tmpdir(), 'treeline-inspect-'))
const at = (name: string): string => join(root, name)
afterAll(() => rmSync(root, { recursive: true, force: true }))
const fixture = (name: string) => new URL(`../fixtures/${name}`, import.meta.url).pathname

const values = (count: number, from = 0) => Float32Array.from({ length: count }, (_, i) => (i + from) / 8 - 1)
const f32 = (shape: number[], data: Float32Array): TensorToWrite => ({ dtype: 'F32', shape, data })
beforeAll(() => {
  const tensors: Record<string, TensorToWrite> = { 'model.embed.weight': f32([4, 2], values(8)) }
  for (let layer = 0; layer < 12; layer++) {
    tensors[`model.layers.${layer}.norm.weight`] = f32([2], values(2, layer))
    tensors[`model.layers.${layer}.mlp.up.weight`] = f32([2, 2], values(4, layer))
  }
  tensors['steps'] = { dtype: 'I64', shape: [], data: BigInt64Array.of(7n) }
  writeSafetensors(at('model/model.safetensors'), tensors, { format: 'pt' })
  writeFileSync(at('model/config.json'), JSON.stringify({ model_type: 'llama', torch_dtype: 'float32' }))
  writeFileSync(at('model/tokenizer.json'), '{}')
  writeFileSync(at('model/optimizer.pt'), 'not a companion')
})

describe('inspect', () => {
  it('draws a tree in which layers that are alike share a line', async () => {
    const { code, out, err } = await treeline('inspect', at('model'))
    expect([code, err]).toEqual([0, ''])
    expect(out).toMatch(/model: safetensors, 26 tensors, 81 elements, 328 B/)
    expect(out).toMatch(/F32: 25 tensors, 320 B\n {2}I64: 1 tensor, 8 B\n {2}format = "pt"\n/)
    expect(out).toMatch(/^ {2}layers\.0…11$/m)
    expect(out).toMatch(/^ {4}mlp\.up\.weight +F32 +\[2, 2\] +16 B × 12$/m)
    expect(out).toMatch(/^steps +I64 +\[\] +8 B$/m)
    const all = await treeline('inspect', at('model'), '--all')
    expect(all.out.match(/mlp\.up\.weight/g)!.length).toBe(12)
  })

  it('norms, and null for what has none', async () => {
    const path = at('norms.safetensors')
    writeSafetensors(path, {
      a: f32([4], Float32Array.of(3, -4, Number.NaN, Number.POSITIVE_INFINITY)),
      b: { dtype: 'C64', shape: [1], data: new Uint8Array(8) },
      c: f32([0], values(0)),
    })
    const { code, out } = await treeline('inspect', path, '--norms', '--json')
    expect(code).toBe(0)
    const found = JSON.parse(out) as {
      tensors: { name: string; norms: unknown }[]
      elements: number
      bytes: number
    }
    expect([found.elements, found.bytes]).toEqual([5, 24])
    expect(Object.fromEntries(found.tensors.map(({ name, norms }) => [name, norms]))).toEqual({
      a: { l1: 7, l2: 5, max: 4, mean: -0.5, notFinite: 2 },
      b: null,
      c: { l1: 0, l2: 0, max: 0, mean: null, notFinite: 0 },
    })
    const text = await treeline('inspect', path, '--norms')
    expect(text.out).toMatch(/a +F32 +\[4\] +16 B +norm 5\.000 +max 4\.000 +mean -0\.500 +2 not finite/)
  })

  it('names from a file cannot write to the terminal', async () => {
    const path = at('escape.safetensors')
    writeSafetensors(path, { '\u001b[2Jx': f32([1], values(1)) }, { k: '\u001b[31m' })
    const { out } = await treeline('inspect', path)
    expect(out).not.toContain('\u001b')
    expect(out).toContain('�[2Jx')
  })

  it('columns stand below each other', async () => {
    const { out } = await treeline('inspect', at('model'))
    const rows = out.split('\n').filter((line) => / B( × \d+)?$/.test(line) && line.includes('['))
    expect(rows.length).toBe(4)
    expect(new Set(rows.map((line) => line.indexOf('['))).size).toBe(1)
    expect(new Set(rows.map((line) => line.replace(/ × \d+$/, '').length)).size).toBe(1)
  })

  it('says what stands in place of weights', async () => {
    const message = async (name: string, content: string) => {
      writeFileSync(at(name), content)
      const { code, out, err } = await treeline('inspect', at(name))
      expect([code, out]).toEqual([1, ''])
      return err
    }
    expect(await message('empty.gguf', '')).toMatch(/empty\.gguf: the file is empty/)
    const pointer = 'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n'
    expect(await message('lfs.safetensors', pointer)).toMatch(/a Git LFS pointer .* "git lfs pull"/)
    expect(await message('page.bin', '<!DOCTYPE html><html></html>')).toMatch(/a web page, not the weights/)
  })

  it('a named pipe is refused, not waited for', async ({ skip }) => {
    if (process.platform === 'win32') skip('no named pipes in folders here')
    execFileSync('mkfifo', [at('pipe')])
    expect((await treeline('inspect', at('pipe'))).err).toMatch(/pipe: a file was expected/)
  })

  it('other formats, and one line for what is none', async () => {
    expect((await treeline('inspect', fixture('numpy.npz'))).out).toMatch(/npz, 32 tensors/)
    expect((await treeline('inspect', fixture('gguf.gguf'), '--norms')).code).toBe(0)
    const { code, out, err } = await treeline('inspect', at('absent'))
    expect([code, out]).toEqual([1, ''])
    expect(err).toMatch(/^treeline: cannot read .*absent: no such file or folder: check the path\n$/)
    expect((await treeline('inspect', at('model'), '--norm')).err).toMatch(/did you mean "--norms"/)
  })
})

describe('convert', () => {
  it('a folder: weights rounded once, configuration and tokenizer beside them', async () => {
    const { code, out } = await treeline('convert', at('model'), at('half'), '--dtype', 'bfloat16', '--quiet')
    expect([code, out]).toEqual([0, `${at('half')}: 26 tensors, 25 of them converted\n`])
    expect(readdirSync(at('half')).sort()).toEqual([
      '.treeline.json',
      'config.json',
      'model.safetensors',
      'tokenizer.json',
    ])
    expect(JSON.parse(readFileSync(at('half/config.json'), 'utf8'))).toEqual({
      model_type: 'llama',
      torch_dtype: 'bfloat16',
    })
    const half = openCheckpoint(at('half'))
    const full = openCheckpoint(at('model'))
    for (const [name, tensor] of full.tensors) {
      const own = half.tensors.get(name)!
      expect([own.dtype, own.shape]).toEqual([tensor.dtype === 'F32' ? 'BF16' : 'I64', tensor.shape])
      // eighths below 2 are exact in bfloat16
      expect(own.f32()).toEqual(tensor.f32())
    }
    half.close()
    full.close()
    const sharded = await treeline('convert', at('half'), at('shards'), '--shard-size', '100B', '--json')
    const { files } = JSON.parse(sharded.out) as { files: string[] }
    expect(files).toContain('model.safetensors.index.json')
    expect((await treeline('inspect', at('shards'))).out).toMatch(/shards\)/)
  })

  it('one file: the same tensors give the same bytes', async () => {
    await treeline('convert', at('model'), at('one.safetensors'), '--quiet')
    expect(readFileSync(at('one.safetensors')).equals(readFileSync(at('model/model.safetensors')))).toBe(true)
    await treeline('convert', fixture('numpy-packed.npz'), at('numpy.safetensors'), '--quiet')
    const { tensors } = readSafetensors(at('numpy.safetensors'))
    expect(tensors.get('>i8-F')).toMatchObject({ dtype: 'I64', shape: [2, 3, 4] })
    expect([...(tensors.get('<f4-F')!.data as Float32Array)]).toEqual(Array.from({ length: 24 }, (_, i) => i))
  })

  it('GGUF: quantized weights as numbers, and back among its own types', async () => {
    expect((await treeline('convert', fixture('gguf.gguf'), at('weights.safetensors'), '--quiet')).code).toBe(
      0,
    )
    const [source, plain] = [openCheckpoint(fixture('gguf.gguf')), openCheckpoint(at('weights.safetensors'))]
    let decoded = 0
    for (const [name, tensor] of source.tensors) {
      const own = plain.tensors.get(name)!
      expect(own.shape).toEqual(tensor.shape)
      if (own.dtype !== tensor.dtype) decoded++
      expect(own.f32()).toEqual(tensor.f32())
    }
    expect(decoded).toBeGreaterThan(5)
    source.close()
    plain.close()
    const bf16 = await treeline('convert', fixture('gguf.gguf'), at('x.gguf'), '--dtype', 'bf16', '--json')
    expect([bf16.code, bf16.err]).toEqual([0, ''])
    const tooLarge = await treeline('convert', fixture('gguf.gguf'), at('z.gguf'), '--dtype', 'f16')
    expect(tooLarge.err).toMatch(/is 918360, too large for F16/)
    const back = openCheckpoint(at('x.gguf'))
    for (const { dtype, shape } of back.tensors.values())
      if (shape.length > 1) expect(dtype).toMatch(/^BF16$|^[IU]/)
    back.close()
    const refused = await treeline('convert', at('model'), at('y.gguf'))
    expect(refused.err).toMatch(/config.json: "num_attention_heads" should be a positive number/)
    const bare = await treeline('convert', at('weights.safetensors'), at('y.gguf'))
    expect(bare.err).toMatch(/no config.json: expected a Hugging Face model folder/)
    expect(existsSync(at('y.gguf'))).toBe(false)
  })

  it('one line for each mistake, and nothing half-written', async () => {
    const large = at('large.safetensors')
    writeSafetensors(large, { x: f32([3], Float32Array.of(1, 70_000, 2)) })
    mkdirSync(at('empty'))
    const cases: [string[], number, RegExp][] = [
      [
        [large, at('o.safetensors'), '--dtype', 'f16'],
        1,
        /"x": element 1 is 70000, too large for F16.*such as bf16/,
      ],
      [[large, at('o'), '--dtype', 'f8_e4m3'], 1, /too large for F8_E4M3/],
      [[large, at('o.safetensors'), '--dtype', 'bf61'], 2, /did you mean "bf16"/],
      [
        [large, at('o.bin')],
        2,
        /cannot write .bin: expected a name ending in .safetensors or .gguf, or a folder/,
      ],
      [[large, large], 2, /this is the input itself/],
      [[large, at('o'), '--shard-size', 'big'], 2, /--shard-size: expected a size such as 5GB/],
      [[at('empty'), at('o')], 1, /no weights/],
      [[at('model'), join(large, 'below')], 1, /below: .*is a file, expected a folder/],
      [
        [at('model'), join(large, 'below.safetensors')],
        1,
        /below.safetensors: .*is a file, expected a folder/,
      ],
    ]
    for (const [words, code, message] of cases) {
      const result = await treeline('convert', ...words, '--quiet')
      expect([result.code, result.out]).toEqual([code, ''])
      expect(result.err).toMatch(message)
      expect(result.err.trim()).not.toMatch(/\n/)
    }
    expect(existsSync(at('o.safetensors'))).toBe(false)
    expect(existsSync(at('o')) ? readdirSync(at('o')) : []).toEqual([])
  })
})
