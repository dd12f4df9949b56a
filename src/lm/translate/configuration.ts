/** @file Sizes and variants of a model in the words of config.json, and in those of GGUF. */
import { fail, prettyJson } from '../../base/index.ts'
import type { GgufField } from '../../checkpoint/index.ts'
import type { ModelConfig, RotaryScaling } from '../config.ts'
import { scaled } from '../rotary.ts'

/** What a configuration says beside the record that programs are made of. */
interface Particulars {
  /** Is the head the embedding? */
  readonly isTied: boolean
  /** Do query, key, value and output projections have biases? */
  readonly hasBiases: boolean
  /** `bos_token_id`, `eos_token_id`, `pad_token_id`. */
  readonly tokens: Readonly<Record<string, number | readonly number[] | null>>
  /** Type of the matrices, in Hugging Face's words. */
  readonly dtype: string
  readonly name: string
}

/** The shortest decimal that is the same f32: GGUF keeps 1e-5 as 0.000009999999747378752. */
function shortest(value: number): number {
  for (let digits = 1; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits))
    if (Math.fround(short) === Math.fround(value)) return short
  }
  return value
}

function ropeScaling(scaling: RotaryScaling | undefined): object | null {
  if (!scaling) return null
  if (scaling.kind === 'linear') return { rope_type: 'linear', factor: shortest(scaling.factor) }
  return {
    rope_type: 'llama3',
    factor: scaling.factor,
    low_freq_factor: scaling.lowFrequencyFactor,
    high_freq_factor: scaling.highFrequencyFactor,
    original_max_position_embeddings: scaling.context,
  }
}

/** The text of config.json as Transformers 4 and 5 read it. */
export function configJson(config: ModelConfig, about: Particulars): string {
  const { architecture, rotary, window } = config
  // llama.cpp has no architecture of that name: windows make the difference
  const isMistral = architecture.name === 'llama' && window > 0
  const name = isMistral ? 'mistral' : architecture.name
  const className = isMistral ? 'MistralForCausalLM' : architecture.huggingFace.className
  const shared = {
    _name_or_path: about.name,
    architectures: [className],
    model_type: name,
    torch_dtype: about.dtype,
    tie_word_embeddings: about.isTied,
    ...about.tokens,
    use_cache: true,
    vocab_size: config.vocabulary,
  }
  if (architecture.name === 'gpt2')
    return prettyJson({
      ...shared,
      activation_function: 'gelu_new',
      layer_norm_epsilon: shortest(config.epsilon),
      n_ctx: config.context,
      n_embd: config.width,
      n_head: config.heads,
      n_inner: config.hidden,
      n_layer: config.layers,
      n_positions: config.context,
      scale_attn_by_inverse_layer_idx: false,
      scale_attn_weights: true,
    })
  return prettyJson({
    ...shared,
    head_dim: config.headWidth,
    hidden_act: 'silu',
    hidden_size: config.width,
    intermediate_size: config.hidden,
    max_position_embeddings: config.context,
    num_attention_heads: config.heads,
    num_hidden_layers: config.layers,
    num_key_value_heads: config.keyValueHeads,
    rms_norm_eps: shortest(config.epsilon),
    rope_scaling: ropeScaling(rotary?.scaling),
    rope_theta: shortest(rotary?.base ?? 10_000),
    ...(name === 'llama' && { attention_bias: about.hasBiases, mlp_bias: false }),
    ...(name === 'qwen3' && { attention_bias: about.hasBiases }),
    ...(name === 'mistral' && { sliding_window: window > 0 ? window : null }),
    ...(name.startsWith('qwen') && { use_sliding_window: false, sliding_window: null }),
  })
}

/** The factors by frequency that stand for llama3's scaling in GGUF, [headWidth / 2], as llama.cpp's converter computes them. */
export function frequencyFactors({ rotary, headWidth }: ModelConfig): Float32Array | undefined {
  const { scaling, base } = rotary ?? {}
  if (scaling?.kind !== 'llama3' || base === undefined) return undefined
  return Float32Array.from({ length: headWidth / 2 }, (_, i) => {
    const frequency = base ** ((-2 * i) / headWidth)
    return frequency / scaled(frequency, scaling)
  })
}

/** Contexts of the trainings before that are tried, and the two bands that Llama 3 and its relatives use. */
const CONTEXTS = Array.from({ length: 18 }, (_, i) => 2 ** (i + 4))

/** llama3's scaling that gives these factors. Throws `TL_UNSUPPORTED` when none does. */
export function scalingOfFactors(path: string, config: ModelConfig, factors: Float32Array): RotaryScaling {
  const factor = shortest(factors.reduce((most, f) => Math.max(most, f), 1))
  for (const context of CONTEXTS) {
    const scaling: RotaryScaling = {
      ...{ kind: 'llama3', factor, context },
      ...{ lowFrequencyFactor: 1, highFrequencyFactor: 4 },
    }
    const own = frequencyFactors({ ...config, rotary: { base: config.rotary!.base, scaling } })!
    if (own.length === factors.length && own.every((f, i) => Math.abs(f / factors[i]! - 1) < 1e-5))
      return scaling
  }
  return fail(
    'TL_UNSUPPORTED',
    `${path}: the factors in rope_freqs.weight follow no llama3 scaling (bands 1 and 4, a context of a power of two), so config.json has no words for them`,
  )
}

const uint32 = (value: number): GgufField => ({ type: 'uint32', value })
const float32 = (value: number): GgufField => ({ type: 'float32', value })

/** Hyper-parameters under the keys of llama.cpp. */
export function ggufSettings(config: ModelConfig): [string, GgufField][] {
  const { architecture, rotary, window, headWidth } = config
  const { ggufName } = architecture
  const own = (key: string, field: GgufField): [string, GgufField] => [`${ggufName}.${key}`, field]
  const shared = [
    own('block_count', uint32(config.layers)),
    own('context_length', uint32(config.context)),
    own('embedding_length', uint32(config.width)),
    own('feed_forward_length', uint32(config.hidden)),
    own('attention.head_count', uint32(config.heads)),
  ]
  if (!rotary) return [...shared, own('attention.layer_norm_epsilon', float32(config.epsilon))]
  const { scaling } = rotary
  return [
    ...shared,
    own('attention.head_count_kv', uint32(config.keyValueHeads)),
    own('rope.freq_base', float32(rotary.base)),
    own('attention.layer_norm_rms_epsilon', float32(config.epsilon)),
    own('attention.key_length', uint32(headWidth)),
    own('attention.value_length', uint32(headWidth)),
    own('vocab_size', uint32(config.vocabulary)),
    own('rope.dimension_count', uint32(headWidth)),
    ...(scaling?.kind === 'linear'
      ? [
          own('rope.scaling.type', { type: 'string', value: 'linear' }),
          own('rope.scaling.factor', float32(scaling.factor)),
        ]
      : []),
    ...(window > 0 ? [own('attention.sliding_window', uint32(window))] : []),
  ]
}
