/** @file Paths that are models, and paths that are none: what each message says. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { companionsOf, openCheckpoint, resolveModel, writeSafetensors } from '../../src/checkpoint/index.ts'
import { loadModel, loadTokenizer } from '../../src/lm/index.ts'

const root = mkdtempSync(join(tmpdir(), 'treeline-model-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))
const at = (...names: string[]): string => join(root, ...names)
const f32 = (shape: number[], values: number[]) =>
  ({ dtype: 'F32', shape, data: Float32Array.from(values) }) as const

function folder(name: string, weights: Parameters<typeof writeSafetensors>[1], config?: unknown): string {
  mkdirSync(at(name), { recursive: true })
  writeSafetensors(at(name, 'model.safetensors'), weights)
  if (config !== undefined) writeFileSync(at(name, 'config.json'), JSON.stringify(config))
  return at(name)
}
function adapter(name: string, weights: Parameters<typeof writeSafetensors>[1], config = {}): string {
  mkdirSync(at(name), { recursive: true })
  writeSafetensors(at(name, 'adapter_model.safetensors'), weights)
  writeFileSync(
    at(name, 'adapter_config.json'),
    JSON.stringify({ peft_type: 'LORA', r: 1, lora_alpha: 2, ...config }),
  )
  return at(name)
}
const q = 'base_model.model.layers.0.q'
const base = folder('base', { 'model.layers.0.q.weight': f32([2, 2], [1, 1, 1, 1]) })
const low = adapter('low', {
  [`${q}.lora_A.weight`]: f32([1, 2], [1, 2]),
  [`${q}.lora_B.weight`]: f32([2, 1], [3, 4]),
})
const values = (path: string, name: string): number[] => {
  const checkpoint = openCheckpoint(path)
  const found = [...checkpoint.tensors.get(name)!.f32()]
  checkpoint.close()
  return found
}
/** One line, whatever is asked for. */
function refusal(path: string, open: (path: string) => unknown = openCheckpoint): string {
  try {
    open(path)
  } catch (error) {
    expect((error as Error).message).not.toMatch(/\n/)
    return (error as Error).message
  }
  return 'nothing was thrown'
}

describe('BASE+ADAPTER', () => {
  it('is the base with the adapter, its companions are the base’s, and a plus in a name is a part of it', () => {
    expect(values(`${base}+${low}`, 'model.layers.0.q.weight')).toEqual([7, 13, 9, 17])
    expect(resolveModel(`${base}+${low}`)).toEqual({ path: base, adapter: low })
    expect(companionsOf(`${base}+${low}`)).toBe(base)
    const odd = folder('a+b', { 'model.layers.0.q.weight': f32([2, 2], [0, 0, 0, 0]) })
    expect(resolveModel(odd)).toEqual({ path: odd })
    expect(values(`${odd}+${low}`, 'model.layers.0.q.weight')).toEqual([6, 12, 8, 16])
  })

  it('names the half that is missing or no adapter', () => {
    expect(refusal(`${base}+${at('none')}`)).toMatch(/cannot read .*none \(of .*base\+.*none\): no such file/)
    expect(refusal(`${at('none')}+${low}`)).toMatch(/cannot read .*none \(of /)
    expect(refusal(`${base}+${base}`)).toMatch(
      /has no adapter_config.json: expected the folder of an adapter/,
    )
  })

  it('an adapter alone is named with its base', () => {
    for (const open of [openCheckpoint, loadModel, loadTokenizer])
      expect(refusal(low, open)).toMatch(
        /an adapter and not a whole model: .*`treeline vector apply BASE .*low OUT`/,
      )
    const known = adapter('known', { 'x.lora_A.weight': f32([1, 1], [1]) }, { base_model_name_or_path: base })
    expect(refusal(known)).toMatch(`name it with its base as ${base}+${known}`)
    const hub = adapter(
      'hub',
      { 'x.lora_A.weight': f32([1, 1], [1]) },
      { base_model_name_or_path: 'owner/name' },
    )
    expect(refusal(hub)).toMatch(/trained on "owner\/name"/)
  })
})

describe('paths that are no paths', () => {
  it.each([openCheckpoint, loadModel, loadTokenizer])('names on a hub (%o)', (open) => {
    for (const name of ['mistralai/Mistral-7B-v0.1', 'owner/name@main'])
      expect(refusal(name, open)).toMatch(/looks like a name on a model hub: .*nothing is downloaded/)
    expect(refusal('mistralai/Mistral-7B-v0.1+owner/lora', open)).toMatch(
      /^mistralai\/Mistral-7B-v0.1: looks like/,
    )
    expect(refusal('./mistral/x', open)).toMatch(/no such file or folder/)
    expect(refusal(at('missing'), open)).toMatch(/no such file or folder/)
  })

  it('a folder of a hub’s cache is its snapshot', () => {
    const cache = at('models--owner--name')
    expect(mkdirSync(cache) ?? refusal(cache)).toMatch(/no weights/)
    const snapshot = (hash: string, value: number): string =>
      folder(join('models--owner--name', 'snapshots', hash), { w: f32([1], [value]) })
    snapshot('abc', 1)
    expect(values(cache, 'w')).toEqual([1])
    snapshot('def', 2)
    expect(refusal(cache)).toMatch(/2 snapshots: name one, such as .*abc/)
    mkdirSync(join(cache, 'refs'))
    writeFileSync(join(cache, 'refs', 'main'), 'def')
    expect(values(cache, 'w')).toEqual([2])
    expect(companionsOf(cache)).toBe(join(cache, 'snapshots', 'def'))
  })

  it('links to nothing: the file, the folder', () => {
    mkdirSync(at('broken'))
    symlinkSync('../../blobs/0123', at('broken', 'model.safetensors'))
    for (const open of [openCheckpoint, loadModel, loadTokenizer])
      expect(refusal(at('broken'), open)).toMatch(
        /broken\/model.safetensors: a link to nothing \(..\/..\/blobs\/0123\): download the model again/,
      )
    symlinkSync('nowhere', at('link'))
    expect(refusal(at('link'))).toMatch(/link: a link to nothing \(nowhere\)/)
  })

  it('JSON that begins with a byte-order mark, or is UTF-16', () => {
    const text = JSON.stringify({ model_type: 'llama' })
    const marked = folder('marked', { w: f32([1], [1]) })
    writeFileSync(join(marked, 'config.json'), `\uFEFF${text}`)
    expect(refusal(marked, loadModel)).toMatch(/config.json: begins with a byte-order mark: save it as UTF-8/)
    writeFileSync(join(marked, 'config.json'), Buffer.from(`\uFEFF${text}`, 'utf16le'))
    expect(refusal(marked, loadModel)).toMatch(/config.json: is UTF-16: save it as UTF-8/)
    writeFileSync(join(marked, 'tokenizer.json'), `\uFEFF{}`)
    expect(refusal(marked, loadTokenizer)).toMatch(/tokenizer.json: begins with a byte-order mark/)
    writeFileSync(join(low, 'adapter_config.json'), `\uFEFF{}`)
    expect(refusal(`${base}+${low}`)).toMatch(/adapter_config.json: begins with a byte-order mark/)
  })
})
