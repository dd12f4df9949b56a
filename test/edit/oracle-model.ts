/** @file The small random Llama of test/fixtures/make_edits.py, as a folder that Hugging Face would write. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { writeSafetensors } from '../../src/checkpoint/index.ts'

export interface Sizes {
  readonly width: number
  readonly hidden: number
  readonly layers: number
  readonly heads: number
  readonly keyValueHeads: number
  readonly vocabulary: number
  readonly epsilon: number
  readonly theta: number
}

/** The generator of the script. */
function drawsOf(seed: number): () => number {
  let x = seed
  return () => {
    x = (Math.imul(1103515245, x) + 12345) & 0x7fffffff
    return x
  }
}

/** Write the model; with a window it is a Mistral. */
export async function writeOracleModel(path: string, sizes: Sizes, window: number): Promise<void> {
  const { width, hidden, layers, heads, keyValueHeads, vocabulary, epsilon, theta } = sizes
  const narrow = (width / heads) * keyValueHeads
  const next = drawsOf(1)
  const tensors: Record<string, { dtype: 'F32'; shape: number[]; data: Float32Array }> = {}
  const draw = (name: string, shape: number[], scale: number, offset = 0): void => {
    const size = shape.reduce((a, b) => a * b, 1)
    const data = Float32Array.from(
      { length: size },
      () => offset + Math.fround((next() / 2 ** 31 - 0.5) * scale),
    )
    tensors[`${name}.weight`] = { dtype: 'F32', shape, data }
  }
  draw('model.embed_tokens', [vocabulary, width], 2)
  for (let layer = 0; layer < layers; layer++) {
    const p = `model.layers.${layer}.`
    draw(`${p}input_layernorm`, [width], 0.5, 1)
    draw(`${p}self_attn.q_proj`, [width, width], 0.7)
    draw(`${p}self_attn.k_proj`, [narrow, width], 0.7)
    draw(`${p}self_attn.v_proj`, [narrow, width], 0.7)
    draw(`${p}self_attn.o_proj`, [width, width], 0.7)
    draw(`${p}post_attention_layernorm`, [width], 0.5, 1)
    draw(`${p}mlp.gate_proj`, [hidden, width], 0.9)
    draw(`${p}mlp.up_proj`, [hidden, width], 0.9)
    draw(`${p}mlp.down_proj`, [width, hidden], 0.9)
  }
  draw('model.norm', [width], 0.5, 1)
  draw('lm_head', [vocabulary, width], 1.5)
  mkdirSync(path, { recursive: true })
  const config = {
    model_type: window > 0 ? 'mistral' : 'llama',
    vocab_size: vocabulary,
    hidden_size: width,
    intermediate_size: hidden,
    num_hidden_layers: layers,
    num_attention_heads: heads,
    num_key_value_heads: keyValueHeads,
    max_position_embeddings: 512,
    rms_norm_eps: epsilon,
    rope_theta: theta,
    hidden_act: 'silu',
    tie_word_embeddings: false,
    ...(window > 0 && { sliding_window: window }),
  }
  writeFileSync(join(path, 'config.json'), JSON.stringify(config))
  await writeSafetensors(join(path, 'model.safetensors'), tensors as never)
}
