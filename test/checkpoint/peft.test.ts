/** @file Adapters as peft 0.21 saves them, against its own merges (fixtures/make_adapters.py); what cannot be applied is refused by name. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import {
  adapterChanges,
  type Checkpoint,
  type CheckpointTensor,
  encodeF32,
  openAdapter,
  openCheckpoint,
  writeSafetensors,
} from '../../src/checkpoint/index.ts'

const fixture = openCheckpoint(fileURLToPath(new URL('../fixtures/adapters.safetensors', import.meta.url)))
const { cases, refused, types } = Object.fromEntries(
  Object.entries(fixture.metadata).map(([key, text]) => [key, JSON.parse(String(text))]),
) as {
  cases: Record<string, { base: string; config: Record<string, unknown> }>
  refused: Record<string, Record<string, unknown>>
  types: string[]
}
const root = mkdtempSync(join(tmpdir(), 'treeline-peft-'))
afterAll(() => {
  fixture.close()
  rmSync(root, { recursive: true, force: true })
})

/** Tensors of the fixture below a prefix. */
const below = (prefix: string): Map<string, CheckpointTensor> =>
  new Map(
    [...fixture.tensors]
      .filter(([name]) => name.startsWith(prefix))
      .map(([name, tensor]) => [name.slice(prefix.length), tensor]),
  )
const write = (path: string, tensors: ReadonlyMap<string, CheckpointTensor>, dtype?: 'BF16'): void =>
  writeSafetensors(
    path,
    [...tensors].map(([name, tensor]) => [
      name,
      dtype
        ? { dtype, shape: tensor.shape, data: encodeF32(tensor.f32(), dtype) }
        : { dtype: tensor.dtype as 'F32', shape: tensor.shape, data: tensor.bytes() },
    ]),
  )

const architectures: Record<string, string> = { llama: 'LlamaForCausalLM', gpt2: 'GPT2LMHeadModel' }
/** A base model's folder; `rename` writes other names. */
function baseFolder(base: string, rename = (name: string): string => name): string {
  const folder = join(root, `base-${base}-${rename('model.x').length}${rename('transformer.x').length}`)
  mkdirSync(folder, { recursive: true })
  const stored = below(`base/${base === 'half' ? 'llama' : base}/`)
  write(
    join(folder, 'model.safetensors'),
    new Map([...stored].map(([name, tensor]) => [rename(name), tensor])),
    base === 'half' ? 'BF16' : undefined,
  )
  const config = { architectures: [architectures[base]], tie_word_embeddings: base === 'tied' }
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config))
  return folder
}
function adapterFolder(
  name: string,
  config: unknown,
  tensors: ReadonlyMap<string, CheckpointTensor>,
): string {
  const folder = join(root, `adapter-${name}`)
  mkdirSync(folder, { recursive: true })
  write(join(folder, 'adapter_model.safetensors'), tensors)
  writeFileSync(join(folder, 'adapter_config.json'), JSON.stringify(config))
  return folder
}
const caseFolder = (name: string): string =>
  adapterFolder(name, cases[name]!.config, below(`${name}/adapter/`))

/** Largest difference of two tensors, relative to the largest value. */
function distance(a: CheckpointTensor, b: CheckpointTensor): number {
  const [x, y] = [a.f32(), b.f32()]
  return Math.max(...x.map((value, i) => Math.abs(value - y[i]!))) / Math.max(...y.map(Math.abs))
}

/** Merged tensors as peft has them, everything else bit for bit the base's. */
function expectMerged(
  model: Checkpoint,
  base: Checkpoint,
  name: string,
  rename = (own: string): string => own,
) {
  const merged = new Map([...below(`${name}/merged/`)].map(([own, tensor]) => [rename(own), tensor]))
  expect([...model.tensors.keys()].sort()).toEqual(
    [...new Set([...base.tensors.keys(), ...merged.keys()])].sort(),
  )
  for (const [own, tensor] of model.tensors) {
    const wanted = merged.get(own)
    if (!wanted)
      expect(Buffer.from(tensor.bytes()).equals(Buffer.from(base.tensors.get(own)!.bytes())), own).toBe(true)
    else expect(distance(tensor, wanted), own).toBeLessThan(cases[name]!.base === 'half' ? 2 ** -8 : 1e-6)
  }
}

describe('base+adapter is what peft makes of it', () => {
  it.each(Object.keys(cases))('%s', (name) => {
    const folder = baseFolder(cases[name]!.base)
    const [base, model] = [openCheckpoint(folder), openCheckpoint(`${folder}+${caseFolder(name)}`)]
    expectMerged(model, base, name)
    // a piece of a tensor is that piece of the whole
    for (const tensor of model.tensors.values()) {
      const whole = tensor.f32()
      const [start, count] = [Math.floor(whole.length / 3), Math.ceil(whole.length / 4)]
      expect(tensor.f32(start, count)).toEqual(whole.slice(start, start + count))
    }
    for (const { close } of [base, model]) close()
  })

  it.each([
    ['plain', (name: string) => name.replace(/^model\./, '')],
    ['conv1d', (name: string) => name.replace(/^transformer\./, '')],
    ['conv1d_dora', (name: string) => `module.${name}`],
  ])('%s, onto a base whose names have another prefix', (name, rename) => {
    const folder = baseFolder(cases[name]!.base, rename)
    const [base, model] = [openCheckpoint(folder), openCheckpoint(`${folder}+${caseFolder(name)}`)]
    expectMerged(model, base, name, rename)
    for (const { close } of [base, model]) close()
  })

  it('a reported change is never zero where the factors are not', () => {
    for (const name of Object.keys(cases)) {
      const [base, adapter] = [openCheckpoint(baseFolder(cases[name]!.base)), openAdapter(caseFolder(name))]
      const changes = new Map(adapterChanges(adapter, base).map((change) => [change.name, change]))
      for (const { shape, change, name: own } of changes.values()) {
        const isCopy =
          own === 'lm_head.weight' &&
          !base.tensors.has(own) &&
          !below(`${name}/adapter/`).has('base_model.model.lm_head.weight')
        const norm = change(
          0,
          shape.reduce((a, b) => a * b, 1),
        ).reduce((sum, value) => sum + value * value, 0)
        if (!isCopy || adapter.factors.has('lm_head')) expect(norm, `${name}: ${own}`).toBeGreaterThan(0)
      }
      for (const { close } of [base, adapter]) close()
    }
  })
})

describe('refused by name', () => {
  const empty = below('plain/adapter/')
  const message = (name: string, config: unknown): string => {
    const folder = adapterFolder(`refused-${name}`, config, empty)
    try {
      openAdapter(folder).close()
    } catch (error) {
      return (error as Error).message
    }
    return 'nothing was thrown'
  }

  it.each([
    [
      'pissa',
      /init_lora_weights: "pissa": PiSSA takes a part out of the base.*path_initial_model_for_weight_conversion/,
    ],
    ['pissa_niter_4', /"pissa_niter_4": PiSSA/],
    ['olora', /"olora": OLoRA/],
    ['loha', /peft_type "LOHA".*merge_and_unload/],
    ['lokr', /peft_type "LOKR"/],
    ['adalora', /peft_type "ADALORA"/],
    ['ia3', /peft_type "IA3"/],
    ['vera', /peft_type "VERA"/],
    ['oft', /peft_type "OFT"/],
    ['prompt', /peft_type "PROMPT_TUNING" changes no weights/],
    ['prefix', /peft_type "PREFIX_TUNING" changes no weights/],
    ['alora', /alora_invocation_tokens: Activated LoRA/],
    ['replication', /layer_replication: .*repeated layers/],
    ['parameters', /target_parameters: /],
  ])('%s', (name, expected) => {
    expect(message(name, refused[name])).toMatch(expected)
  })

  it('every kind of adapter that peft has is applied or named', () => {
    for (const type of types) {
      if (type === 'LORA' || type === 'TRAINABLE_TOKENS') continue
      expect(message(type, { peft_type: type })).toMatch(`peft_type "${type}"`)
    }
    expect(types.length).toBeGreaterThan(40)
  })

  it.each(['corda', 'loftq', 'lora_ga', 'pissa_niter_16', 'unheard_of'])('init_lora_weights %s', (start) => {
    expect(message(start, { ...cases['plain']!.config, init_lora_weights: start })).toMatch(
      `init_lora_weights: "${start}"`,
    )
  })

  it.each(['use_qalora', 'kasa_config', 'use_bdlora', 'arrow_config', 'megatron_config'])('%s', (key) => {
    expect(message(key, { ...cases['plain']!.config, [key]: { some: 1 } })).toMatch(new RegExp(`${key}: `))
  })

  it('vocabularies of other sizes, other architectures, a bias that is not there, rows beyond the table', () => {
    const folder = baseFolder('llama')
    const at = (name: string, change: (config: Record<string, unknown>) => unknown, drop = /^$/): string => {
      const tensors = new Map([...below(`${name}/adapter/`)].filter(([own]) => !drop.test(own)))
      const adapter = adapterFolder(`odd-${name}`, change(structuredClone(cases[name]!.config)), tensors)
      try {
        openCheckpoint(`${folder}+${adapter}`).close()
      } catch (error) {
        return (error as Error).message
      }
      return 'nothing was thrown'
    }
    const small = join(root, 'small')
    mkdirSync(small)
    const table = below('base/llama/')
    table.set('model.embed_tokens.weight', { ...below('base/gpt2/').get('transformer.wpe.weight')! })
    write(join(small, 'model.safetensors'), table)
    expect(() => openCheckpoint(`${small}+${caseFolder('embeddings')}`)).toThrow(
      /embed_tokens.weight: .* has shape \[8, 8\], .* is for \[11, 8\]; give the base as many rows first/,
    )
    expect(() => openCheckpoint(`${folder}+${caseFolder('conv1d')}`)).toThrow(
      /it changes transformer.* does not have/,
    )
    expect(at('tokens', (config) => ({ ...config, trainable_token_indices: [7, 11] }))).toMatch(
      /up to token 11/,
    )
    expect(at('tokens', (config) => ({ ...config, trainable_token_indices: [7] }))).toMatch(/names 1 tokens/)
    expect(at('dora', (config) => config, /magnitude/)).toMatch(
      /no lora_magnitude_vector, and use_dora is true/,
    )
    const plainBase = join(root, 'plain-base')
    mkdirSync(plainBase)
    write(
      join(plainBase, 'model.safetensors'),
      new Map([...below('base/llama/')].filter(([own]) => !own.endsWith('.bias'))),
    )
    expect(() => openCheckpoint(`${plainBase}+${caseFolder('lora_bias')}`)).toThrow(
      /lora_bias: it trains a bias of .* has none/,
    )
  })
})
