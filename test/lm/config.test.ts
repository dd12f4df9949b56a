/** @file What is no supported model is refused, with the reason. */
import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  type GgufTensor,
  openSafetensorsCheckpoint,
  writeGguf,
  writeSafetensors,
} from '../../src/checkpoint/index.ts'
import { loadModel } from '../../src/lm/index.ts'
import { furthest, type Tiny, tinyModels } from './fixtures.ts'

let all: { models: Tiny[]; clean: () => void }
beforeAll(async () => {
  all = await tinyModels()
})
afterAll(() => all.clean())
const tiny = (name: string): Tiny => all.models.find((m) => m.name === name)!

/** A copy of a tiny model with another configuration. */
function changed(name: string, change: object): string {
  const { path } = tiny(name)
  const copy = `${path}-${Object.keys(change).join('-')}-${Object.values(change).length}${Math.abs(JSON.stringify(change).length)}`
  cpSync(path, copy, { recursive: true })
  const config = JSON.parse(readFileSync(join(path, 'config.json'), 'utf8')) as object
  writeFileSync(join(copy, 'config.json'), JSON.stringify({ ...config, ...change }))
  return copy
}

describe('configurations', () => {
  const cases: [string, string, object, RegExp][] = [
    [
      'another family',
      'llama',
      { model_type: 'mamba' },
      /"mamba" are not supported \(supported: llama, mistral, qwen2, qwen3, gpt2; SmolLM is of type llama\)/,
    ],
    [
      'another activation',
      'llama',
      { hidden_act: 'gelu' },
      /"hidden_act" is "gelu"; llama models are supported with "silu"/,
    ],
    [
      'another scaling',
      'llama',
      { rope_scaling: { rope_type: 'yarn', factor: 4 } },
      /rope_scaling "yarn" is not supported \(default, linear and llama3 are\)/,
    ],
    ...['dynamic', 'longrope', 'su', 'mrope'].map((type): [string, string, object, RegExp] => [
      `the older spelling of ${type}`,
      'llama',
      { rope_scaling: { type, factor: 4 } },
      new RegExp(`rope_scaling "${type}" is not supported`),
    ]),
    [
      'positions on part of a head',
      'llama',
      { partial_rotary_factor: 0.5 },
      /"partial_rotary_factor" is 0.5: rotary positions on part of a head are not supported/,
    ],
    [
      'positions that differ between layers',
      'llama',
      {
        rope_parameters: {
          full_attention: { rope_type: 'default' },
          sliding_attention: { rope_type: 'default' },
        },
      },
      /differ between kinds of layers \(full_attention, sliding_attention\)/,
    ],
    ['windows in some layers', 'qwen2', { use_sliding_window: true }, /windows in some layers/],
    [
      'a size that is none',
      'llama',
      { hidden_size: -3 },
      /"hidden_size" should be a positive number, got -3/,
    ],
    [
      'sizes that the weights have not',
      'llama',
      { vocab_size: 95 },
      /tensor "model.embed_tokens.weight" is \[96,32\], the configuration says \[95,32\]/,
    ],
    [
      'heads that do not divide',
      'llama',
      { num_key_value_heads: 3 },
      /3 key–value heads do not divide 4 heads/,
    ],
    [
      'more layers than there are',
      'llama',
      { num_hidden_layers: 3 },
      /no tensor "model.layers.2.input_layernorm.weight", which a llama model has/,
    ],
  ]
  it.each(cases)('%s', (_, name, change, message) => {
    expect(() => loadModel(changed(name, change))).toThrow(message)
  })
  it('a folder without config.json', () => {
    expect(() => loadModel(join(tiny('llama').path, 'model.safetensors'))).toThrow(
      /no config.json: expected a Hugging Face model folder or one GGUF file/,
    )
  })
})

describe('a GGUF file', () => {
  it('with query and key rows for interleaved pairs gives the logits of its folder', async () => {
    // heads of 16, so that both files can be quantized too
    const { path, ids } = tiny('qwen3')
    const from = openSafetensorsCheckpoint(join(path, 'model.safetensors'))
    const config = JSON.parse(readFileSync(join(path, 'config.json'), 'utf8')) as Record<string, number>
    const llama = changed('qwen3', { model_type: 'llama', head_dim: 16 })
    const own = loadModel(llama)
    const logits = await own.logits(ids)
    own.dispose()
    const names: Record<string, string> = {
      input_layernorm: 'attn_norm',
      post_attention_layernorm: 'ffn_norm',
      'self_attn.q_proj': 'attn_q',
      'self_attn.k_proj': 'attn_k',
      'self_attn.v_proj': 'attn_v',
      'self_attn.o_proj': 'attn_output',
      'mlp.gate_proj': 'ffn_gate',
      'mlp.up_proj': 'ffn_up',
      'mlp.down_proj': 'ffn_down',
    }
    const tensors: GgufTensor[] = []
    for (const [name, t] of from.tensors) {
      const layer = name.match(/^model\.layers\.(\d+)\.(.*)\.weight$/)
      const role = layer && names[layer[2]!]
      if (layer && !role) continue
      let data = t.f32()
      if (role === 'attn_q' || role === 'attn_k') {
        const rows = data
        const [n, k] = t.shape as [number, number]
        data = new Float32Array(rows.length)
        for (let r = 0; r < n; r++) {
          // row 2i of a head was row i, row 2i + 1 row i + 8
          const [head, at] = [Math.floor(r / 16), r % 16]
          const source = head * 16 + (at % 2) * 8 + Math.floor(at / 2)
          data.set(rows.subarray(source * k, (source + 1) * k), r * k)
        }
      }
      const key = role
        ? `blk.${layer![1]}.${role}.weight`
        : name === 'model.norm.weight'
          ? 'output_norm.weight'
          : 'token_embd.weight'
      tensors.push({ name: key, dtype: 'F32', shape: t.shape, values: data })
    }
    from.close()
    const file = `${path}.gguf`
    const metadata = {
      'general.architecture': 'llama',
      'llama.block_count': config['num_hidden_layers']!,
      'llama.embedding_length': config['hidden_size']!,
      'llama.feed_forward_length': config['intermediate_size']!,
      'llama.attention.head_count': config['num_attention_heads']!,
      'llama.attention.head_count_kv': config['num_key_value_heads']!,
      'llama.attention.key_length': 16,
      'llama.context_length': 64,
      'llama.attention.layer_norm_rms_epsilon': config['rms_norm_eps']!,
      'llama.rope.freq_base': 10_000,
    }
    writeGguf(file, tensors, metadata)
    const model = loadModel(file)
    expect(furthest(await model.logits(ids), logits)).toBeLessThan(1e-5)
    model.dispose()
    writeFileSync(file, readFileSync(file).subarray(0, 9000))
    expect(() => loadModel(file)).toThrow(/truncated/)
  })
})

describe('a head beside the embedding', () => {
  /** The folder again, with another configuration and perhaps another head. */
  function withHead(name: string, config: object, head?: (embedding: Float32Array) => Float32Array): string {
    const copy = changed(name, config)
    if (!head) return copy
    const from = openSafetensorsCheckpoint(join(copy, 'model.safetensors'))
    const tensors: Record<string, { dtype: 'F32'; shape: readonly number[]; data: Float32Array }> = {}
    for (const [key, t] of from.tensors) tensors[key] = { dtype: 'F32', shape: t.shape, data: t.f32() }
    const embedding = Object.keys(tensors).find((key) => /(wte|embed_tokens)\.weight$/.test(key))!
    tensors['lm_head.weight'] = { ...tensors[embedding]!, data: head(tensors[embedding]!.data) }
    from.close()
    writeSafetensors(join(copy, 'model.safetensors'), tensors as never)
    return copy
  }

  it('is used where its values differ, whatever the configuration says, as Transformers 5 does', async () => {
    // the oracle's model has a head of its own; only the flag lies
    const { ids, logits } = tiny('llama')
    const model = loadModel(withHead('llama', { tie_word_embeddings: true }))
    expect(furthest(await model.logits(ids), logits.subarray(-96))).toBeLessThan(1e-4)
    expect(model.weights.notes).toEqual([
      expect.stringMatching(
        /says that the head is the embedding .* "lm_head.weight" with other values, which is used/,
      ),
    ])
    model.dispose()
  })

  it('of GPT-2, which is tied unless told otherwise', async () => {
    const { ids, logits } = tiny('gpt2')
    const twice = loadModel(withHead('gpt2', {}, (e) => e.map((x) => 2 * x)))
    expect(
      furthest(
        await twice.logits(ids),
        logits.subarray(-96).map((x) => 2 * x),
      ),
    ).toBeLessThan(2e-4)
    expect(twice.weights.notes).toHaveLength(1)
    twice.dispose()
    const same = loadModel(withHead('gpt2', { tie_word_embeddings: true }, (e) => e))
    expect(furthest(await same.logits(ids), logits.subarray(-96))).toBeLessThan(1e-4)
    expect(same.weights.notes).toEqual([])
    same.dispose()
  })
})
