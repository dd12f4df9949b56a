/** The manifest of a merge: hashes that other programs compute, the same bytes again, and the input that has changed by name. */
import { createHash } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeEach, describe, expect, it } from 'vitest'
import { hashFile } from '../../src/base/hashFile.ts'
import { writeSafetensors } from '../../src/checkpoint/index.ts'
import { executeMerge, parseMergeConfig, replayMerge } from '../../src/merge/index.ts'

const root = mkdtempSync(join(tmpdir(), 'treeline-manifest-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))
const at = (...names: string[]): string => join(root, ...names)
const sha256 = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex')

function writeModel(name: string, seed: number): void {
  mkdirSync(at(name), { recursive: true })
  const tensor = (shape: number[], from: number) => ({
    dtype: 'F32' as const,
    shape,
    data: Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) =>
      Math.sin(seed + from + i),
    ),
  })
  writeSafetensors(at(name, 'model.safetensors'), {
    'model.layers.0.mlp.weight': tensor([8, 8], 1),
    'model.layers.1.mlp.weight': tensor([8, 8], 2),
    'model.norm.weight': tensor([8], 3),
  })
  writeFileSync(at(name, 'config.json'), '{"num_hidden_layers": 2}')
  writeFileSync(at(name, 'tokenizer_config.json'), '{}')
}
beforeEach(() => {
  for (const [i, name] of ['base', 'a', 'b'].entries()) writeModel(name, 10 * i)
  rmSync(at('out'), { recursive: true, force: true })
  rmSync(at('again'), { recursive: true, force: true })
})

const recipe = (): string =>
  `merge_method: dare_ties\nbase_model: ${at('base')}\nmodels:\n- {model: ${at('a')}, parameters: {weight: 1, density: 0.5}}\n- {model: ${at('b')}, parameters: {weight: 0.5, density: 0.7}}\nlines: {alpha: auto, beta: 0.5}\nout_dtype: bfloat16\n`
const merge = (options = {}) =>
  executeMerge(parseMergeConfig(recipe(), 'merge.yaml'), at('out'), {
    threads: 1,
    seed: 7,
    shardSize: 200,
    ...options,
  })
const manifestPath = () => at('out', 'treeline-merge.json')
const manifest = () => JSON.parse(readFileSync(manifestPath(), 'utf8'))
/** All of a model but its card, which names the folder. */
const filesOf = (folder: string): Record<string, string> =>
  Object.fromEntries(
    readdirSync(at(folder))
      .filter((name) => !name.startsWith('.') && name !== 'README.md')
      .map((name) => [name, readFileSync(at(folder, name)).toString('base64')]),
  )

describe('a manifest', () => {
  it('has the hashes of all files that went in and came out, as any program computes them', async () => {
    await merge()
    const { inputs, outputs, bytesRead, plan, settings, recipe: own, versions } = manifest()
    expect(inputs.map(({ model }: { model: string }) => model)).toEqual(
      ['base', 'a', 'b'].map((one) => at(one)),
    )
    for (const { model, files } of inputs) {
      expect(files.map(({ name }: { name: string }) => name)).toEqual([
        'config.json',
        'model.safetensors',
        'tokenizer_config.json',
      ])
      for (const { name, bytes, sha256: hash } of files)
        expect([bytes, hash]).toEqual([statSync(join(model, name)).size, sha256(join(model, name))])
    }
    const written = readdirSync(at('out')).filter((name) => !/^\.|^README|^treeline-merge/.test(name))
    expect(outputs.map(({ name }: { name: string }) => name).sort()).toEqual(written.sort())
    for (const { name, sha256: hash } of outputs) expect(hash).toBe(sha256(at('out', name)))
    expect(bytesRead).toBe(3 * 4 * (64 + 64 + 8))
    expect(settings).toEqual({ seed: 7, lenient: false, shardSize: 200, arithmetic: 'float32' })
    expect(own).toEqual({ path: 'merge.yaml', text: recipe() })
    expect(versions.treeline).toBe(JSON.parse(readFileSync('package.json', 'utf8')).version)
    expect(plan.method).toBe('dare_ties')
    expect(plan.tensors.map(({ factor }: { factor: number }) => factor - plan.lines.alpha)).toEqual([
      0,
      expect.closeTo(0.5, 12),
      0,
    ])
  })

  it('makes the same bytes again, whatever the threads; the same folder is finished already', async () => {
    await merge()
    await replayMerge(manifestPath(), at('again'), { threads: 2 })
    expect(filesOf('again')).toEqual(filesOf('out'))
    expect(await replayMerge(at('again', 'treeline-merge.json'), at('again'), { threads: 1 })).toMatchObject({
      isUnchanged: true,
    })
  })

  it('says which inputs have changed, and writes nothing', async () => {
    await merge()
    writeModel('b', 21)
    writeFileSync(at('a', 'tokenizer.json'), '{}')
    rmSync(at('base', 'tokenizer_config.json'))
    const was = manifest().inputs[2].files[1].sha256.slice(0, 12)
    const is = sha256(at('b', 'model.safetensors')).slice(0, 12)
    await expect(replayMerge(manifestPath(), at('again'), { threads: 1 })).rejects.toThrow(
      `the inputs have changed since the manifest was made: ${at('base')}: tokenizer_config.json is gone; ${at('a')}: tokenizer.json is new; ${at('b')}: model.safetensors (SHA-256 ${is}…, expected ${was}…)`,
    )
    expect(existsSync(at('again'))).toBe(false)
    rmSync(at('a', 'tokenizer.json'))
  })

  it('an output that is not that of the manifest is not kept', async () => {
    await merge()
    const other = manifest()
    other.settings.seed = 8
    writeFileSync(at('other.json'), JSON.stringify(other))
    await expect(replayMerge(at('other.json'), at('again'), { threads: 1 })).rejects.toThrow(
      /the output is not that of the manifest.*model-00001-of-00002\.safetensors/,
    )
    expect(existsSync(at('again'))).toBe(false)
  })

  it.each([
    ['no JSON', '{', /other\.json/],
    ['another file', '{}', /no manifest of a merge: format/],
    ['no recipe', '{"format":"treeline-merge/1","versions":{"treeline":"1"}}', /recipe/],
    [
      'no settings',
      '{"format":"treeline-merge/1","versions":{"treeline":"1"},"recipe":{"text":"","path":""},"settings":{"seed":"x"}}',
      /settings/,
    ],
  ])('%s in place of a manifest', async (_, text, message) => {
    writeFileSync(at('other.json'), text)
    await expect(replayMerge(at('other.json'), at('again'), { threads: 1 })).rejects.toThrow(message)
    expect(existsSync(at('again'))).toBe(false)
  })

  it('is left out on request', async () => {
    await merge({ manifest: false })
    expect(existsSync(manifestPath())).toBe(false)
  })
})

it('a file is hashed in pieces; an interruption ends it', async () => {
  const bytes = Buffer.alloc(9_000_001, 'treeline')
  writeFileSync(at('long'), bytes)
  expect(await hashFile(at('long'))).toEqual({ bytes: bytes.length, sha256: sha256(at('long')) })
  writeFileSync(at('empty'), '')
  expect((await hashFile(at('empty'))).sha256).toBe(
    'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  )
  await expect(hashFile(at('long'), AbortSignal.abort())).rejects.toThrow(/interrupted/)
  await expect(hashFile(at('none'))).rejects.toThrow(/cannot read .*none/)
})
