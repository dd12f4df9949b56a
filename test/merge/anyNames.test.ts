/** Checkpoints of names that nobody has heard of merge by names; what `skip` names stays as the base has it, to the byte. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { encodeF32, openCheckpoint, writeSafetensors } from '../../src/checkpoint/index.ts'
import { checkMerge, executeMerge, parseMergeConfig } from '../../src/merge/index.ts'

const root = mkdtempSync(join(tmpdir(), 'treeline-names-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))
const at = (...names: string[]): string => join(root, ...names)

/** Names with shapes; F32 where it is said, BF16 elsewhere. */
type Layout = Record<string, { shape: number[]; dtype?: 'F32' }>
const sizeOf = (shape: readonly number[]): number => shape.reduce((product, n) => product * n, 1)

function write(name: string, layout: Layout, seed: number, config: object): void {
  mkdirSync(at(name), { recursive: true })
  const entries = Object.entries(layout).map(([tensor, { shape, dtype = 'BF16' }], i) => {
    const values = Float32Array.from({ length: sizeOf(shape) }, (_, k) => Math.sin(seed + 3 * i + k))
    return [tensor, { dtype, shape, data: dtype === 'F32' ? values : encodeF32(values, 'BF16') }] as const
  })
  writeSafetensors(at(name, 'model.safetensors'), new Map(entries) as Parameters<typeof writeSafetensors>[1])
  writeFileSync(at(name, 'config.json'), JSON.stringify(config))
}

const blocks = (count: number, block: (i: number) => Layout): Layout =>
  Object.assign({}, ...Array.from({ length: count }, (_, i) => block(i))) as Layout

/** As Qwen 3.5: three layers of linear attention to one of softmax, experts, a vision tower, a head of several tokens. */
const qwen: Layout = {
  'model.language_model.embed_tokens.weight': { shape: [12, 4] },
  ...blocks(4, (i) => ({
    ...(i % 4 === 3
      ? { [`model.language_model.layers.${i}.self_attn.q_proj.weight`]: { shape: [8, 4] } }
      : {
          [`model.language_model.layers.${i}.linear_attn.in_proj_qkvz.weight`]: { shape: [8, 4] },
          [`model.language_model.layers.${i}.linear_attn.conv1d.weight`]: { shape: [8, 1, 4] },
          [`model.language_model.layers.${i}.linear_attn.A_log`]: { shape: [2], dtype: 'F32' },
          [`model.language_model.layers.${i}.linear_attn.dt_bias`]: { shape: [2] },
        }),
    [`model.language_model.layers.${i}.mlp.experts.gate_up_proj`]: { shape: [2, 4, 6] },
    [`model.language_model.layers.${i}.mlp.shared_expert_gate.weight`]: { shape: [1, 4] },
  })),
  'model.language_model.norm.weight': { shape: [4] },
  'lm_head.weight': { shape: [12, 4] },
  ...blocks(2, (i) => ({ [`model.visual.blocks.${i}.attn.qkv.weight`]: { shape: [6, 2] } })),
  'model.visual.merger.linear_fc1.weight': { shape: [4, 2] },
  'mtp.fc.weight': { shape: [4, 8] },
  'mtp.layers.0.self_attn.q_proj.weight': { shape: [8, 4] },
}
const qwenConfig = {
  model_type: 'qwen3_5_moe',
  text_config: { model_type: 'qwen3_5_moe_text', num_hidden_layers: 4 },
}

/** A vision–language model whose author has read no one else's. */
const strange: Layout = {
  'eye.grid.kernel': { shape: [3, 2, 2] },
  ...blocks(3, (i) => ({
    [`eye.stack.${i}.see.w`]: { shape: [2, 3] },
    [`eye.stack.${i}.see.b`]: { shape: [2] },
  })),
  'bridge.0.w': { shape: [5, 2] },
  ...blocks(12, (i) => ({ [`thought.cell.${i}.mix.${i % 2}.w`]: { shape: [5, 5] } })),
  'thought.scale': { shape: [], dtype: 'F32' },
  'voice.w': { shape: [7, 5] },
}

const recipe = (models: readonly string[], more = ''): string =>
  `merge_method: linear\nbase_model: ${at(models[0]!)}\nmodels:\n${models.map((one, i) => `- {model: ${at(one)}, parameters: {weight: ${i + 1}}}\n`).join('')}parameters: {normalize: false}\ndtype: float32\n${more}`

function tensorsOf(name: string) {
  const checkpoint = openCheckpoint(at(name))
  const all = [...checkpoint.tensors].map(
    ([tensor, one]) =>
      [
        tensor,
        { dtype: one.dtype, shape: one.shape, bytes: Buffer.from(one.bytes()), values: one.f32() },
      ] as const,
  )
  checkpoint.close()
  return new Map(all)
}

/** Σ (i + 1) θᵢ with one rounding for each model. */
const mixed = (parts: readonly Float32Array[]): number[] =>
  Array.from(parts[0]!, (_, k) => parts.reduce((sum, part, i) => Math.fround(sum + (i + 1) * part[k]!), 0))

const merge = (text: string, out: string) => {
  rmSync(at(out), { recursive: true, force: true })
  return executeMerge(parseMergeConfig(text, 'merge.yaml'), at(out), { threads: 1 })
}
const problems = (text: string): string[] =>
  checkMerge({ text, path: 'merge.yaml' }).problems.map(({ message }) => message)

describe.each([
  ['as Qwen 3.5', qwen, qwenConfig],
  ['of names that nobody has heard of', strange, { model_type: 'strange' }],
])('a checkpoint %s', (_, layout, config) => {
  it('merges, every tensor by its name', async () => {
    for (const [i, name] of ['base', 'a', 'b'].entries()) write(name, layout, 7 * i, config)
    const text = recipe(['base', 'a', 'b'])
    expect(problems(text)).toEqual([])
    await merge(text, 'out')
    const [out, ...inputs] = ['out', 'base', 'a', 'b'].map(tensorsOf)
    expect([...out!.keys()].sort()).toEqual(Object.keys(layout).sort())
    for (const [name, { values, shape }] of out!) {
      expect(shape).toEqual(layout[name]!.shape)
      expect([...values]).toEqual(mixed(inputs.map((one) => one.get(name)!.values)))
    }
  })
})

describe('skip', () => {
  it('leaves a tower and a prediction head as the base has them, though others lack them or have others', async () => {
    write('base', qwen, 0, qwenConfig)
    const text = Object.fromEntries(Object.entries(qwen).filter(([name]) => !/visual|mtp/.test(name)))
    write('a', text, 7, qwenConfig)
    write(
      'b',
      {
        ...qwen,
        'model.visual.merger.linear_fc1.weight': { shape: [9, 9] },
        'model.visual.extra': { shape: [1] },
      },
      14,
      qwenConfig,
    )
    const models = ['base', 'a', 'b']
    expect(problems(recipe(models)).length).toBeGreaterThan(0)
    const own = recipe(models, 'skip: [".visual.", "mtp.*weight"]\nlines: {alpha: 1, beta: 0}\n')
    expect(problems(own)).toEqual([])
    await merge(own, 'out')
    const [out, base, a, b] = ['out', ...models].map(tensorsOf)
    expect([...out!.keys()].sort()).toEqual(Object.keys(qwen).sort())
    for (const [name, { bytes, dtype, values }] of out!) {
      const from = base!.get(name)!
      if (/visual|mtp/.test(name)) expect([dtype, bytes.equals(from.bytes)]).toEqual(['BF16', true])
      else expect([...values]).toEqual(mixed([from, a!.get(name)!, b!.get(name)!].map((one) => one.values)))
    }
  })

  it('works where slices move layers; without a base the first model is one', async () => {
    for (const [i, name] of ['base', 'a'].entries()) write(name, strange, 7 * i, {})
    const only = Object.fromEntries(Object.entries(strange).filter(([name]) => /thought\.cell/.test(name)))
    for (const [i, name] of ['deep', 'deep-a'].entries()) write(name, only, 7 * i, {})
    const sources = (from: number) =>
      `- sources: [{model: ${at('deep')}, layer_range: [${from}, ${from + 2}], parameters: {weight: 1}}, {model: ${at('deep-a')}, layer_range: [${from}, ${from + 2}], parameters: {weight: 1}}]\n`
    const text = `merge_method: linear\nslices:\n${sources(0)}${sources(4)}skip: mix.1\n`
    expect(problems(text)).toEqual([])
    await merge(text, 'out')
    const [out, base, a] = ['out', 'deep', 'deep-a'].map(tensorsOf)
    for (const [to, from] of [0, 1, 4, 5].entries()) {
      const own = out!.get(`thought.cell.${to}.mix.${to % 2}.w`)!
      const name = `thought.cell.${from}.mix.${from % 2}.w`
      if (to % 2 === 1) expect(own.bytes.equals(base!.get(name)!.bytes)).toBe(true)
      else
        expect(own.bytes.equals(base!.get(name)!.bytes) || own.bytes.equals(a!.get(name)!.bytes)).toBe(false)
    }
  })

  it('a pattern that matches nothing is a warning; no pattern is a mistake with its line', () => {
    for (const [i, name] of ['base', 'a'].entries()) write(name, strange, 7 * i, {})
    const { warnings } = checkMerge({ text: recipe(['base', 'a'], 'skip: [eye, ear]\n'), path: 'merge.yaml' })
    expect(warnings).toEqual(['merge.yaml:8: skip: "ear" occurs in no tensor\'s name'])
    expect(problems(recipe(['base', 'a'], 'skip: ["*", 3]\n'))).toEqual([
      'skip: expected a part of tensor names, such as visual. or mtp.*, got "*"',
      'skip: expected a part of tensor names, such as visual. or mtp.*, got 3',
    ])
  })
})
