/** @file The model families there are graphs for, one row each: what differs between them, and how their tensors are named. */
import { fail } from '../base/index.ts'

/** Names of a model's tensors; `{}` stands for the number of the block. Absent: the family has no such tensor. */
export interface TensorNames {
  readonly embedding: string
  readonly positions?: string
  readonly norm1: string
  /** Separate projections, or all three in one. */
  readonly attention: readonly [query: string, key: string, value: string] | readonly [qkv: string]
  readonly headNorms?: readonly [query: string, key: string]
  readonly out: string
  readonly norm2: string
  /** Gate and value of a gated feed-forward, or its one first map. */
  readonly up: readonly string[]
  readonly down: string
  readonly finalNorm: string
  readonly head: string
}

export interface Architecture {
  readonly name: 'llama' | 'mistral' | 'qwen2' | 'qwen3' | 'gpt2'
  readonly norm: 'rms' | 'layer'
  readonly feedForward: 'swiglu' | 'gelu'
  /** Biases of the projections. */
  readonly biases: { readonly attention: 'none' | 'optional' | 'required'; readonly rest: boolean }
  /** Matrices are stored [inputs, outputs] in Hugging Face's files, as GPT-2's `Conv1D` does. */
  readonly transposed: boolean
  /** GGUF keeps query and key rows for rotary pairs 2i, 2i + 1; everybody else for i and i + D/2. */
  readonly ggufInterleaved: boolean
  /** Values that keys of config.json may have. */
  readonly expects: Readonly<Record<string, readonly unknown[]>>
  readonly names: { readonly huggingFace: TensorNames; readonly gguf: TensorNames }
}

const llamaNames: TensorNames = {
  embedding: 'model.embed_tokens',
  norm1: 'model.layers.{}.input_layernorm',
  attention: ['q', 'k', 'v'].map((p) => `model.layers.{}.self_attn.${p}_proj`) as [string, string, string],
  out: 'model.layers.{}.self_attn.o_proj',
  norm2: 'model.layers.{}.post_attention_layernorm',
  up: ['model.layers.{}.mlp.gate_proj', 'model.layers.{}.mlp.up_proj'],
  down: 'model.layers.{}.mlp.down_proj',
  finalNorm: 'model.norm',
  head: 'lm_head',
}
const ggufNames: TensorNames = {
  embedding: 'token_embd',
  norm1: 'blk.{}.attn_norm',
  attention: ['blk.{}.attn_q', 'blk.{}.attn_k', 'blk.{}.attn_v'],
  out: 'blk.{}.attn_output',
  norm2: 'blk.{}.ffn_norm',
  up: ['blk.{}.ffn_gate', 'blk.{}.ffn_up'],
  down: 'blk.{}.ffn_down',
  finalNorm: 'output_norm',
  head: 'output',
}

const llama: Architecture = {
  name: 'llama',
  norm: 'rms',
  feedForward: 'swiglu',
  biases: { attention: 'optional', rest: false },
  transposed: false,
  ggufInterleaved: true,
  expects: { hidden_act: ['silu'], mlp_bias: [false] },
  names: { huggingFace: llamaNames, gguf: ggufNames },
}

const rows: readonly Architecture[] = [
  llama,
  { ...llama, name: 'mistral' },
  { ...llama, name: 'qwen2', biases: { attention: 'required', rest: false }, ggufInterleaved: false },
  {
    ...llama,
    name: 'qwen3',
    ggufInterleaved: false,
    names: {
      huggingFace: {
        ...llamaNames,
        headNorms: ['model.layers.{}.self_attn.q_norm', 'model.layers.{}.self_attn.k_norm'],
      },
      gguf: { ...ggufNames, headNorms: ['blk.{}.attn_q_norm', 'blk.{}.attn_k_norm'] },
    },
  },
  {
    name: 'gpt2',
    norm: 'layer',
    feedForward: 'gelu',
    biases: { attention: 'required', rest: true },
    transposed: true,
    ggufInterleaved: false,
    expects: {
      activation_function: ['gelu_new', 'gelu_pytorch_tanh'],
      scale_attn_weights: [true],
      scale_attn_by_inverse_layer_idx: [false],
      add_cross_attention: [false],
    },
    names: {
      huggingFace: {
        embedding: 'wte',
        positions: 'wpe',
        norm1: 'h.{}.ln_1',
        attention: ['h.{}.attn.c_attn'],
        out: 'h.{}.attn.c_proj',
        norm2: 'h.{}.ln_2',
        up: ['h.{}.mlp.c_fc'],
        down: 'h.{}.mlp.c_proj',
        finalNorm: 'ln_f',
        head: 'lm_head',
      },
      gguf: {
        ...ggufNames,
        positions: 'position_embd',
        attention: ['blk.{}.attn_qkv'],
        up: ['blk.{}.ffn_up'],
      },
    },
  },
]

/** Supported model types, by the names in config.json and GGUF metadata. */
export const supportedModels: readonly string[] = rows.map(({ name }) => name)

/** The row of a model type. Throws `TL_UNSUPPORTED` with the list of those there are. */
export const architectureOf = (path: string, name: string): Architecture =>
  rows.find((row) => row.name === name) ??
  fail(
    'TL_UNSUPPORTED',
    `${path}: models of type "${name}" are not supported (supported: ${supportedModels.join(', ')}; SmolLM is of type llama)`,
  )
