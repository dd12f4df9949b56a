/** Whole merges from files to files: equal to what mergekit 0.1.5 writes, the same bytes after any interruption, one message for every mishap. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { decodeF32, encodeF32, openCheckpoint, writeSafetensors } from '../../src/checkpoint/index.ts'
import {
  executeMerge,
  linesScale,
  openMergeWorkers,
  parseMergeConfig,
  planFromFiles,
} from '../../src/merge/index.ts'

const root = mkdtempSync(join(tmpdir(), 'treeline-merge-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))
const fixture = (name: string): string => new URL(`../fixtures/${name}`, import.meta.url).pathname

type Tensors = Map<string, { shape: readonly number[]; values: Float32Array; dtype: string }>

/** All tensors of a checkpoint, by prefix. */
function readAll(path: string): Map<string, Tensors> {
  const checkpoint = openCheckpoint(path)
  const groups = new Map<string, Tensors>()
  for (const [name, tensor] of checkpoint.tensors) {
    const match = /^(input\/[^/]+|[^/]+)\/(.*)$/.exec(name)
    const [group, own] = match ? [match[1]!, match[2]!] : ['', name]
    const tensors = groups.get(group) ?? new Map()
    tensors.set(own, { shape: tensor.shape, values: tensor.f32(), dtype: tensor.dtype })
    groups.set(group, tensors)
  }
  checkpoint.close()
  return groups
}

function writeModel(
  folder: string,
  tensors: Tensors,
  config: object = { num_hidden_layers: 4, torch_dtype: 'float32' },
): string {
  mkdirSync(folder, { recursive: true })
  const entries = [...tensors].map(
    ([name, { shape, values }]) => [name, { dtype: 'F32', shape, data: values }] as const,
  )
  writeSafetensors(join(folder, 'model.safetensors'), new Map(entries), { format: 'pt' })
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config))
  return folder
}

let number = 0
const fresh = (): string => join(root, `out-${number++}`)
const merge = (text: string, out = fresh(), options = {}) =>
  executeMerge(parseMergeConfig(text, 'merge.yaml'), out, { threads: 1, ...options })
const bytesOf = (folder: string): Record<string, string> =>
  Object.fromEntries(
    readdirSync(folder)
      .filter((name) => !name.startsWith('.'))
      .map((name) => [name, readFileSync(join(folder, name)).toString('base64')]),
  )

const runs = readAll(fixture('merge-runs.safetensors'))
const place = (model: string): string => join(root, model)
beforeAll(() => {
  for (const model of ['base', 'a', 'b', 'tied']) writeModel(place(model), runs.get(`input/${model}`)!)
})
const fill = (text: string): string =>
  text.replace(/\{(base|a|b|tied)\}/g, (_, model: string) => place(model))

function metadataOf(name: string, key: string): unknown {
  const head = readFileSync(fixture(name))
  const json = JSON.parse(head.subarray(8, 8 + Number(head.readBigUInt64LE())).toString('utf8')) as {
    __metadata__: Record<string, string>
  }
  return JSON.parse(json.__metadata__[key]!)
}

/** The largest difference, over max(|expected|, floor). */
function worst(own: Float32Array, expected: Float32Array, floor: number): number {
  let most = own.length === expected.length ? 0 : Number.POSITIVE_INFINITY
  for (const [i, value] of expected.entries()) {
    const error = Math.abs(own[i]! - value) / Math.max(Math.abs(value), floor)
    if (!(error <= most)) most = error
  }
  return most
}

describe('slices, gradients, filters, modules and tied heads as mergekit merges them', () => {
  const cases = Object.entries(metadataOf('merge-runs.safetensors', 'cases') as Record<string, string>)
  it.each(cases)('%s', async (name, text) => {
    for (const dtype of ['float32', 'bfloat16']) {
      const out = fresh()
      await merge(`${fill(text)}dtype: float32\nout_dtype: ${dtype}\n`, out)
      const ours = readAll(out).get('')!
      const theirs = runs.get(`${name}-${dtype}`)!
      expect([...ours.keys()].sort()).toEqual([...theirs.keys()].sort())
      for (const [tensor, { values, shape, dtype: stored }] of theirs) {
        const own = ours.get(tensor)!
        expect([own.shape, own.dtype]).toEqual([shape, stored])
        // in bf16 a last bit of f32 can decide a tie: one step of 2⁻⁸ there, and none elsewhere
        const tolerance = dtype === 'float32' ? 1e-6 : 2 ** -8
        expect(worst(own.values, values, 0.1), tensor).toBeLessThanOrEqual(tolerance)
        const different = values.filter((value, i) => own.values[i] !== value).length
        if (dtype === 'bfloat16') expect(different, tensor).toBeLessThanOrEqual(1)
      }
    }
  })
})

describe('every method, from a file to a file', () => {
  const methods = readAll(fixture('merges.safetensors'))
  const { cases } = metadataOf('merges.safetensors', 'fixture') as {
    cases: Record<string, { models: { model: string }[]; base_model?: string }>
  }
  const at = (model: string): string => join(root, 'methods', model)
  beforeAll(() => {
    for (const model of ['base', 'a', 'b', 'c']) writeModel(at(model), methods.get(`input/${model}`)!)
  })
  const deterministic = Object.entries(cases).filter(([name]) => !/random|unscaled/.test(name))
  it.each(deterministic)('%s', async (name, config) => {
    const models = config.models.map((one) => ({ ...one, model: at(one.model) }))
    const real = { ...config, models, ...(config.base_model ? { base_model: at(config.base_model) } : {}) }
    const out = fresh()
    await executeMerge(parseMergeConfig(JSON.stringify(real), 'merge.yaml', { lenient: true }), out, {
      threads: 1,
    })
    const ours = readAll(out).get('')!
    const theirs = methods.get(name)!
    for (const [tensor, { values }] of theirs) {
      const scale = values.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-3)
      expect(worst(ours.get(tensor)!.values, values, scale), tensor).toBeLessThanOrEqual(2e-6)
    }
  })
})

const ties = () =>
  `merge_method: ties\nbase_model: ${place('base')}\nmodels:\n- model: ${place('a')}\n  parameters: {weight: 1, density: 0.5}\n- model: ${place('b')}\n  parameters: {weight: 0.5, density: 0.7}\n`
const arithmetic = (more = '') =>
  `merge_method: task_arithmetic\nbase_model: ${place('base')}\nmodels: [{model: ${place('a')}}, {model: ${place('b')}}]\nparameters: {weight: 1}\n${more}`

describe('LiNeS', () => {
  it('equals a gradient of lambda, as mergekit computes it', async () => {
    const out = fresh()
    await merge(arithmetic('lines: {alpha: 0.4, beta: 0.7}\n'), out)
    const ours = readAll(out).get('')!
    for (const [tensor, { values }] of runs.get('lines-float32')!)
      for (const [i, value] of values.entries())
        expect(Math.abs(ours.get(tensor)!.values[i]! - value), tensor).toBeLessThanOrEqual(
          1e-6 * Math.max(1, Math.abs(value)),
        )
  })
  it('alpha: auto is 1/N for task arithmetic, and measured for ties', async () => {
    expect((await merge(arithmetic('lines: {alpha: auto, beta: 0.5}\n'))).lines!.alpha).toBeCloseTo(0.5, 6)
    const plain = fresh()
    await merge(ties(), plain)
    const [merged, base, a, b] = [
      readAll(plain).get('')!,
      ...['base', 'a', 'b'].map((model) => runs.get(`input/${model}`)!),
    ]
    let [sum, l1] = [0, 0]
    for (const [name, { values }] of base!)
      for (const [i, from] of values.entries()) {
        sum += Math.abs(a!.get(name)!.values[i]! + b!.get(name)!.values[i]! - 2 * from)
        l1 += Math.abs(merged!.get(name)!.values[i]! - from)
      }
    const scaled = fresh()
    const { lines } = await merge(`${ties()}lines: {alpha: auto, beta: 1}\n`, scaled)
    expect(lines!.alpha).toBeCloseTo(sum / l1 / 2, 6)
    const [name, layer] = ['model.layers.2.mlp.up_proj.weight', 3]
    const factor = linesScale(layer, 4, lines!.alpha, 1)
    const [from, whole, own] = [base!, merged!, readAll(scaled).get('')!].map((one) => one.get(name)!.values)
    for (const [i, value] of own!.entries())
      expect(value).toBeCloseTo(from![i]! + factor * (whole![i]! - from![i]!), 5)
  })
})

describe('a merge that is interrupted', () => {
  const random = () =>
    `merge_method: dare_ties\nbase_model: ${place('base')}\nmodels:\n- model: ${place('a')}\n  parameters: {weight: 1, density: 0.5}\n- model: ${place('b')}\n  parameters: {weight: 0.5, density: 0.7}\nlines: {alpha: auto, beta: 0.5}\ndtype: bfloat16\n`
  it('goes on to the same bytes, whenever it was stopped, and has no final name before the end', async () => {
    const whole = fresh()
    const options = { seed: 7, shardSize: 400 }
    await merge(random(), whole, options)
    const expected = bytesOf(whole)
    expect(Object.keys(expected).filter((name) => name.endsWith('.safetensors')).length).toBeGreaterThan(3)
    // the card names its folder
    delete expected['README.md']
    for (const stop of [1, 2, 9, 17, 30, 38]) {
      const out = fresh()
      const controller = new AbortController()
      const onProgress = ({ phase }: { phase: string }): void => {
        if (phase === 'merge' && ++seen === stop) controller.abort()
      }
      let seen = 0
      await expect(
        merge(random(), out, { ...options, signal: controller.signal, onProgress }),
      ).rejects.toThrow(/interrupted after/)
      expect(readdirSync(out)).toEqual(['.treeline-merge'])
      // what a kill leaves: a torn last line
      const list = join(out, '.treeline-merge', 'done.txt')
      writeFileSync(list, `${readFileSync(list, 'utf8')}3`)
      const outcome = await merge(random(), out, options)
      expect(outcome.resumed).toBe(true)
      const { 'README.md': _, ...own } = bytesOf(out)
      expect(own).toEqual(expected)
    }
  })
  it('another seed is another merge: with force it begins anew', async () => {
    const out = fresh()
    const controller = new AbortController()
    await expect(
      merge(random(), out, { seed: 1, signal: controller.signal, onProgress: () => controller.abort() }),
    ).rejects.toThrow(/interrupted/)
    await expect(merge(random(), out, { seed: 2 })).rejects.toThrow(
      /another merge was interrupted here.*--force/,
    )
    expect((await merge(random(), out, { seed: 2, force: true })).resumed).toBe(false)
    const [again, other] = [fresh(), fresh()]
    await merge(random(), again, { seed: 2 })
    await merge(random(), other, { seed: 1 })
    const weights = (folder: string) => bytesOf(folder)['model.safetensors']
    expect(weights(out)).toBe(weights(again))
    expect(weights(out)).not.toBe(weights(other))
  })
})

describe('what is beside the weights', () => {
  it('config with type and depth, tokenizer, chat template, recipe', async () => {
    const model = writeModel(join(root, 'full'), runs.get('input/a')!, {
      num_hidden_layers: 4,
      dtype: 'float32',
      vocab_size: 8,
    })
    writeFileSync(join(model, 'tokenizer.json'), '{"model":{"vocab":{"x":0}}}')
    writeFileSync(join(model, 'tokenizer_config.json'), '{"chat_template":"{{ old }}"}')
    const out = fresh()
    const text = `merge_method: passthrough\nslices:\n- sources: [{model: ${model}, layer_range: [0, 3]}]\n- sources: [{model: ${model}, layer_range: [1, 4]}]\ndtype: bfloat16\nchat_template: "{{ new }}"\n`
    await merge(text, out)
    const config = JSON.parse(readFileSync(join(out, 'config.json'), 'utf8')) as object
    expect(config).toEqual({ num_hidden_layers: 6, dtype: 'bfloat16', vocab_size: 8 })
    expect(readFileSync(join(out, 'tokenizer.json'), 'utf8')).toBe('{"model":{"vocab":{"x":0}}}')
    expect(readFileSync(join(out, 'chat_template.jinja'), 'utf8')).toBe('{{ new }}')
    expect(readFileSync(join(out, 'mergekit_config.yml'), 'utf8')).toBe(text)
    expect(readFileSync(join(out, 'README.md'), 'utf8')).toContain(text.trimEnd())
  })
})

describe('mishaps', () => {
  const changed = (folder: string, change: (tensors: Tensors) => void): string => {
    const tensors: Tensors = new Map(runs.get('input/a')!)
    change(tensors)
    return writeModel(join(root, folder), tensors)
  }
  const linear = (model: string) =>
    `merge_method: linear\nmodels: [{model: ${place('b')}}, {model: ${model}}]\nparameters: {weight: 1}\n`
  it('a tensor that one model lacks, another shape, another vocabulary: all found before any work', async () => {
    const lacking = changed('lacking', (tensors) => tensors.delete('model.norm.weight'))
    await expect(merge(linear(lacking))).rejects.toThrow(
      /lacking lacks a tensor that another model has: model\.norm\.weight/,
    )
    const shaped = changed('shaped', (tensors) =>
      tensors.set('model.norm.weight', { shape: [2], values: new Float32Array(2), dtype: 'F32' }),
    )
    await expect(merge(linear(shaped))).rejects.toThrow(
      /model\.norm\.weight: .*b has shape \[4\], .*shaped has \[2\]/,
    )
    const larger = changed('larger', (tensors) => {
      for (const name of ['model.embed_tokens.weight', 'lm_head.weight'])
        tensors.set(name, { shape: [9, 4], values: new Float32Array(36), dtype: 'F32' })
    })
    const out = fresh()
    await expect(merge(linear(larger), out)).rejects.toThrow(
      /vocabularies differ: model\.embed_tokens\.weight and lm_head\.weight/,
    )
    expect(() => readdirSync(out)).toThrow()
    expect(planFromFiles(parseMergeConfig(linear(larger), 'm.yaml')).problems).toHaveLength(1)
  })
  it('a base of LiNeS that lacks a tensor is refused, even with --lenient', async () => {
    const bare = changed('bare', (tensors) => tensors.delete('model.norm.weight'))
    const text = `${linear(place('a'))}lines: {alpha: 1, beta: 0, base: ${bare}}\n`
    await expect(merge(text, fresh(), { lenient: true })).rejects.toThrow(
      /bare, lacks 1 of 39 tensors, model\.norm\.weight first/,
    )
  })
  it('another number of layers, a range beyond the layers', async () => {
    const shallow = changed('shallow', (tensors) => {
      for (const name of tensors.keys()) if (name.includes('layers.3')) tensors.delete(name)
    })
    await expect(merge(linear(shallow))).rejects.toThrow(/shallow has 3 layers in model\.layers, .*b has 4/)
    await expect(
      merge(
        `merge_method: passthrough\nslices: [{sources: [{model: ${place('a')}, layer_range: [0, 5]}]}]\n`,
      ),
    ).rejects.toThrow(/^merge\.yaml:2: layer_range \[0, 5\]: .*a has 4 layers/)
  })
  it('NaN names model and element; float16 that overflows says so', async () => {
    const broken = changed('broken', (tensors) => {
      const old = tensors.get('model.norm.weight')!
      tensors.set('model.norm.weight', {
        ...old,
        values: Float32Array.from(old.values, (x, i) => (i === 2 ? Number.NaN : x)),
      })
    })
    await expect(merge(linear(broken))).rejects.toThrow(/broken: model\.norm\.weight, element 2 is NaN/)
    await merge(linear(broken), fresh(), { lenient: true })
    await expect(
      merge(
        `merge_method: passthrough\nmodels: [{model: ${place('a')}, parameters: {scale: 1e6}}]\ndtype: float16\n`,
      ),
    ).rejects.toThrow(/beyond float16/)
  })
  it('a folder with a model in it is left alone', async () => {
    for (const force of [false, true])
      await expect(merge(ties(), place('a'), { force })).rejects.toThrow(/a: this is the input itself/)
    await expect(merge(ties(), place('tied'))).rejects.toThrow(/tied: the folder is not empty \(config\.json/)
    const file = join(root, 'file')
    writeFileSync(file, '')
    await expect(merge(ties(), file)).rejects.toThrow(/file: a file, expected a folder/)
  })
  it('rounds to nearest even', async () => {
    const out = fresh()
    await merge(`merge_method: passthrough\nmodels: [{model: ${place('a')}}]\ndtype: bfloat16\n`, out)
    const [source, written] = [runs.get('input/a')!, readAll(out).get('')!]
    for (const [name, { values }] of source)
      expect(written.get(name)!.values).toEqual(decodeF32(encodeF32(values, 'BF16'), 'BF16'))
  })
})

it('threads that stay do not write into, or read from, files of an earlier merge', async () => {
  const names = Array.from({ length: 40 }, (_, i) => `model.layers.0.part${i}.weight`)
  const [input, out] = ['again-in', 'again-out'].map((name) => join(root, name)) as [string, string]
  const workers = openMergeWorkers(2)
  try {
    for (const value of [1, 2]) {
      for (const folder of [input, out]) rmSync(folder, { recursive: true, force: true })
      const values = new Float32Array(5).fill(value)
      writeModel(input, new Map(names.map((name) => [name, { shape: [5], values, dtype: 'F32' }])))
      const text = `merge_method: linear\nmodels: [{model: ${input}, parameters: {weight: 1}}]\n`
      await executeMerge(parseMergeConfig(text, 'm.yaml'), out, { workers })
      const merged = readAll(join(out, 'model.safetensors')).get('')!
      expect([...merged.values()].map((one) => [...one.values])).toEqual(names.map(() => [...values]))
    }
  } finally {
    await workers.close()
  }
})
