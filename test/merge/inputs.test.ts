/** @file What a merge takes for a model: adapters, names without their prefix, other architectures, chosen layers, paths that are none. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { openCheckpoint, writeSafetensors } from '../../src/checkpoint/index.ts'
import { executeMerge, parseMergeConfig, planFromFiles, problemText } from '../../src/merge/index.ts'

const root = mkdtempSync(join(tmpdir(), 'treeline-inputs-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))
let folders = 0
type Values = Readonly<Record<string, readonly number[]>>

function model(
  values: Values,
  config?: Record<string, unknown>,
  shape = (list: readonly number[]) => [list.length],
): string {
  const folder = join(root, `m${folders++}`)
  mkdirSync(folder)
  writeSafetensors(
    join(folder, 'model.safetensors'),
    Object.entries(values).map(([name, list]) => [
      name,
      { dtype: 'F32', shape: shape(list), data: Float32Array.from(list) },
    ]),
  )
  if (config) writeFileSync(join(folder, 'config.json'), JSON.stringify(config))
  return folder
}
function adapter(rows: readonly number[], columns: readonly number[]): string {
  const folder = join(root, `a${folders++}`)
  mkdirSync(folder)
  const q = 'base_model.model.model.layers.0.q_proj'
  const f32 = (shape: number[], values: readonly number[]) =>
    ({ dtype: 'F32', shape, data: Float32Array.from(values) }) as const
  writeSafetensors(join(folder, 'adapter_model.safetensors'), {
    [`${q}.lora_A.weight`]: f32([1, columns.length], columns),
    [`${q}.lora_B.weight`]: f32([rows.length, 1], rows),
  })
  writeFileSync(
    join(folder, 'adapter_config.json'),
    JSON.stringify({ peft_type: 'LORA', r: 1, lora_alpha: 1 }),
  )
  return folder
}
const read = (yaml: string, lenient = false) => parseMergeConfig(yaml, 'merge.yaml', { lenient })
async function merged(
  yaml: string,
  lenient = false,
): Promise<{
  values: Record<string, number[]>
  config: Record<string, unknown>
  warnings: readonly string[]
}> {
  const out = join(root, `out${folders++}`)
  const { warnings } = await executeMerge(read(yaml, lenient), out, { threads: 0, lenient })
  const file = openCheckpoint(out)
  const values = Object.fromEntries([...file.tensors].map(([name, tensor]) => [name, [...tensor.f32()]]))
  file.close()
  const config = (() => {
    try {
      return JSON.parse(readFileSync(join(out, 'config.json'), 'utf8')) as Record<string, unknown>
    } catch {
      return {}
    }
  })()
  return { values, config, warnings }
}
const problems = (yaml: string): string[] => planFromFiles(read(yaml)).problems.map(problemText)

describe('adapters', () => {
  const square = (list: readonly number[]): number[] => [2, list.length / 2]
  const base = model({ 'model.layers.0.q_proj.weight': [1, 1, 1, 1] }, { model_type: 'llama' }, square)
  const [one, two] = [adapter([1, 0], [2, 4]), adapter([0, 1], [6, 8])]

  it('BASE+ADAPTER and mergekit’s nested form are the base with the adapter', async () => {
    const nested = (own: string): string => `{ model: { path: ${base} }, lora: { path: ${own} } }`
    for (const [a, b] of [
      [`${base}+${one}`, `${base}+${two}`],
      [nested(one), nested(two)],
      [`{ model: ${base}, lora: ${one} }`, nested(two)],
    ]) {
      const { values, config } = await merged(
        `merge_method: task_arithmetic\nbase_model: ${base}\nmodels:\n  - model: ${a}\n    parameters: { weight: 1 }\n  - model: ${b}\n    parameters: { weight: 0.5 }\n`,
      )
      expect(values).toEqual({ 'model.layers.0.q_proj.weight': [3, 5, 4, 5] })
      expect(config).toMatchObject({ model_type: 'llama' })
    }
    // configuration and base of an adapter's model are those of its base
    const linear = await merged(
      `merge_method: linear\nmodels:\n  - { model: ${base}+${one}, parameters: { weight: 1 } }\n  - { model: ${base}, parameters: { weight: 1 } }\n`,
    )
    expect(linear.values).toEqual({ 'model.layers.0.q_proj.weight': [2, 3, 1, 1] })
    expect(linear.config).toMatchObject({ model_type: 'llama' })
  })

  it.each([
    ['{ model: { path: X }, lora: { path: Y, foo: 1 } }', /^merge.yaml:3: unknown key "foo" in model.lora/],
    ['{ model: { path: X, revision: main } }', /^merge.yaml:3: revision: models are folders on this machine/],
    ['{ model: { path: X }, override_architecture: A }', /^merge.yaml:3: override_architecture: /],
    ['{ model: { path: X }, adapter: Y }', /^merge.yaml:3: unknown key "adapter" in model/],
    ['{ lora: { path: Y } }', /^merge.yaml:3: model: expected the path of a model/],
  ])('unknown keys of the nested form are refused: %s', (text, message) => {
    expect(() => read(`merge_method: passthrough\nmodels:\n  - model: ${text}\n`)).toThrow(message)
  })
})

describe('paths in a configuration', () => {
  it('names on a hub and missing folders are named with their line', () => {
    const base = model({ w: [1] })
    const found = (path: string) =>
      problems(
        `merge_method: linear\nmodels:\n  - { model: ${base}, parameters: { weight: 1 } }\n  - { model: ${path}, parameters: { weight: 1 } }\n`,
      )
    expect(found('mistralai/Mistral-7B-v0.1')).toEqual([
      expect.stringMatching(/^merge.yaml:4: mistralai\/Mistral-7B-v0.1: looks like a name on a model hub/),
    ])
    expect(found(`${root}/none`)).toEqual([
      expect.stringMatching(/^merge.yaml:4: cannot read .*none: no such file or folder/),
    ])
    expect(
      problems(
        `merge_method: passthrough\nmodels: [{ model: ${base} }]\nlines: { alpha: 1, beta: 0, base: x/y }\n`,
      ),
    ).toEqual([expect.stringMatching(/^merge.yaml:3: x\/y: looks like a name on a model hub/)])
  })
})

describe('names with and without the model’s prefix', () => {
  it('are matched; the output has those of the first, tables that programs compute are left out', async () => {
    const hub = model({
      'wte.weight': [1],
      'h.0.attn.c_attn.weight': [2],
      'h.0.attn.bias': [9],
      'ln_f.weight': [3],
    })
    const tuned = model({
      'transformer.wte.weight': [3],
      'transformer.h.0.attn.c_attn.weight': [4],
      'transformer.ln_f.weight': [5],
    })
    const yaml = (a: string, b: string): string =>
      `merge_method: task_arithmetic\nbase_model: ${a}\nmodels:\n  - { model: ${b}, parameters: { weight: 0.5 } }\n`
    expect((await merged(yaml(hub, tuned))).values).toEqual({
      'wte.weight': [2],
      'h.0.attn.c_attn.weight': [3],
      'ln_f.weight': [4],
    })
    expect((await merged(yaml(tuned, hub))).values).toEqual({
      'transformer.wte.weight': [2],
      'transformer.h.0.attn.c_attn.weight': [3],
      'transformer.ln_f.weight': [4],
    })
    const lines = `merge_method: passthrough\nmodels: [{ model: ${tuned} }]\nlines: { alpha: 0.5, beta: 0, base: ${hub} }\n`
    expect((await merged(lines)).values).toEqual({
      'transformer.wte.weight': [2],
      'transformer.h.0.attn.c_attn.weight': [3],
      'transformer.ln_f.weight': [4],
    })
  })
})

describe('other architectures', () => {
  const llama = {
    model_type: 'llama',
    hidden_size: 8,
    num_attention_heads: 2,
    rms_norm_eps: 1e-5,
    rope_theta: 10000,
  }
  const yaml = (...models: string[]): string =>
    `merge_method: linear\nmodels:\n${models.map((path) => `  - { model: ${path}, parameters: { weight: 1 } }\n`).join('')}`

  it('another model_type is a problem, and a warning with --lenient', () => {
    const [a, b] = [model({ w: [1] }, llama), model({ w: [2] }, { ...llama, model_type: 'mistral' })]
    expect(problems(yaml(a, b))).toEqual([
      `the architectures differ: ${a} is "llama", ${b} is "mistral"; the output would be a "llama" with weights of both (--lenient lets it pass)`,
    ])
    const lenient = planFromFiles(read(yaml(a, b), true), { lenient: true })
    expect(lenient.problems).toEqual([])
    expect(lenient.warnings[0]).toMatch(/^the architectures differ/)
    expect(problems(yaml(a, model({ w: [3] })))).toEqual([])
  })

  it.each([
    [
      { num_attention_heads: 4 },
      'num_attention_heads 2 and 4, num_key_value_heads 2 and 4, head_dim 4 and 2',
    ],
    [{ head_dim: 8 }, 'head_dim 4 and 8'],
    [{ rope_theta: 1e6 }, 'rope_theta 10000 and 1000000'],
    [{ rms_norm_eps: 1e-6 }, 'rms_norm_eps 0.00001 and 0.000001'],
    [
      { rope_scaling: { rope_type: 'linear', factor: 4 } },
      'rope_scaling none and {"kind":"linear","factor":4}',
    ],
    [{ hidden_act: 'gelu' }, 'hidden_act none and "gelu"'],
    [{ sliding_window: 64 }, 'sliding_window none and 64'],
  ])('other meanings of equal matrices are warnings: %j', (change, expected) => {
    const [a, b] = [model({ w: [1] }, llama), model({ w: [2] }, { ...llama, ...change })]
    const { problems: none, warnings } = planFromFiles(read(yaml(a, b)))
    expect(none).toEqual([])
    expect(warnings).toEqual([
      `${a} and ${b} compute different things from equal matrices: ${expected}; the output has those of ${a}`,
    ])
  })

  it('the same settings in the spelling of newer files are the same', () => {
    const { rope_theta, ...rest } = llama
    const newer = {
      ...rest,
      rope_parameters: { rope_type: 'default', rope_theta },
      num_key_value_heads: 2,
      head_dim: 4,
    }
    expect(planFromFiles(read(yaml(model({ w: [1] }, llama), model({ w: [2] }, newer)))).warnings).toEqual([])
  })
})

describe('what config.json says of single layers', () => {
  const layers = (count: number, config: Record<string, unknown>): string =>
    model(Object.fromEntries(Array.from({ length: count }, (_, i) => [`model.layers.${i}.w`, [i]])), {
      model_type: 'x',
      num_hidden_layers: count,
      ...config,
    })
  const slices = (...parts: [string, number, number][]): string =>
    `merge_method: passthrough\nslices:\n${parts.map(([path, from, to]) => `  - sources: [{ model: ${path}, layer_range: [${from}, ${to}] }]\n`).join('')}`

  it('lists with an entry for each layer have those of the layers taken', async () => {
    const kinds = ['full_attention', 'sliding_attention', 'linear_attention']
    const a = layers(3, {
      layer_types: kinds,
      no_rope_layers: [1, 1, 0],
      other: [1, 2],
      mlp_only_layers: [2],
      max_window_layers: 28,
    })
    const { config, warnings } = await merged(slices([a, 0, 2], [a, 1, 3]))
    expect(config).toMatchObject({
      num_hidden_layers: 4,
      layer_types: [kinds[0], kinds[1], kinds[1], kinds[2]],
      no_rope_layers: [1, 1, 1, 0],
      other: [1, 2],
      mlp_only_layers: [3],
      max_window_layers: 28,
    })
    expect(warnings).toEqual([])
    const b = layers(3, { layer_types: [...kinds].reverse() })
    expect((await merged(slices([a, 0, 1], [b, 0, 1]))).config['layer_types']).toEqual([kinds[0], kinds[2]])
  })

  it('numbers of first layers are counted, and what a number cannot say is said', async () => {
    const a = layers(4, { max_window_layers: 2, first_k_dense_replace: 1 })
    const kept = await merged(slices([a, 0, 2], [a, 1, 4]))
    expect(kept.config).toMatchObject({
      num_hidden_layers: 5,
      max_window_layers: 3,
      first_k_dense_replace: 1,
    })
    expect(kept.warnings).toEqual([])
    const odd = await merged(slices([a, 2, 4], [a, 0, 2]))
    expect(odd.warnings[0]).toMatch(/config.json: max_window_layers: layers of one kind no longer come first/)
    const b = layers(4, { full_attention_interval: 2 })
    expect((await merged(slices([b, 0, 2], [b, 0, 2]))).warnings).toEqual([])
    expect((await merged(slices([b, 1, 3]))).warnings[0]).toMatch(/full_attention_interval: every 2th layer/)
  })

  it('the text part of a configuration, too', async () => {
    const a = layers(2, { text_config: { num_hidden_layers: 2, layer_types: ['a', 'b'] } })
    expect((await merged(slices([a, 1, 2], [a, 0, 2]))).config['text_config']).toEqual({
      num_hidden_layers: 3,
      layer_types: ['b', 'a', 'b'],
    })
  })
})

describe('YAML as people write it', () => {
  const head = 'merge_method: linear\n'
  it('merge keys, at every level; places for anchors', () => {
    const config = read(
      `${head}env: &env { weight: 0.3 }\nx-note: [1]\n_mine: 2\nmodels:\n  - model: a\n    parameters: &p { weight: 0.9 }\n  - model: b\n    parameters:\n      <<: *p\n  - { model: c, parameters: { <<: [*env, *p] } }\nparameters: { <<: *env, weight: 0.1 }\n`,
    )
    const weights = config.modules[0]!.slices[0]!.sources.map(({ parameters }) => parameters.get('weight'))
    expect(weights.map((setting) => setting?.kind === 'value' && setting.value)).toEqual([0.9, 0.9, 0.3])
    const wide = config.parameters.get('weight')
    expect(wide?.kind === 'value' && wide.value).toBe(0.1)
    // an anchor that nothing refers to is no reason
    expect(() =>
      read(`${head}env: &env { weight: 0.3 }\nmodels: [{ model: a, parameters: { weight: 1 } }]\n`),
    ).toThrow(/^merge.yaml:2: unknown key "env"/)
  })

  it('types in every spelling', () => {
    for (const [word, dtype] of Object.entries({
      bf16: 'BF16',
      bfloat16: 'BF16',
      'torch.bfloat16': 'BF16',
      half: 'F16',
      fp16: 'F16',
      f16: 'F16',
      float: 'F32',
      F32: 'F32',
      float64: 'F64',
    }))
      expect(read(`${head}models: [{ model: a, parameters: { weight: 1 } }]\ndtype: ${word}\n`).dtype).toBe(
        dtype,
      )
  })

  it('files of other programs, numbers that are none, no YAML: one code', () => {
    for (const [text, message] of [
      [
        'base_model: a\ngate_mode: hidden\nexperts: []\n',
        /^merge.yaml:2: gate_mode: a configuration of mergekit-moe/,
      ],
      [
        `${head}models: [{ model: a, parameters: { weight: .nan } }]\n`,
        /^merge.yaml:2: weight: expected a number, got NaN/,
      ],
      [`${head}models: [{ model: a, parameters: { weight: -.inf } }]\n`, /got -Infinity/],
      ['a: [1\n', /^merge.yaml:\d: .*expected YAML or JSON/],
    ] as const) {
      expect(() => read(text)).toThrow(message)
      expect(() => read(text)).toThrow(expect.objectContaining({ code: 'TL_BAD_CONFIG' }))
    }
  })

  it('many tensors of other shapes are one problem with a count', () => {
    const names = Array.from({ length: 7 }, (_, i) => `model.layers.${i}.w`)
    const [a, b] = [[1, 2], [1]].map((list) => model(Object.fromEntries(names.map((name) => [name, list]))))
    const [only, ...others] = problems(
      `${head}models:\n  - { model: ${a}, parameters: { weight: 1 } }\n  - { model: ${b}, parameters: { weight: 1 } }\n`,
    )
    expect(only).toBe(
      `7 tensors differ in shape between ${a} and ${b}: model.layers.0.w [2] and [1], model.layers.1.w [2] and [1], model.layers.2.w [2] and [1] and 4 more; only equal shapes can be merged`,
    )
    expect(others).toEqual([])
  })
})
