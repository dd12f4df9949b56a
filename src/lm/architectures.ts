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
  /** What Transformers calls the whole model, and the prefix that it gives all names but the head's. */
  readonly huggingFace: { readonly className: string; readonly prefix: string }
  /** `general.architecture` in GGUF. */
  readonly ggufName: string
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
  huggingFace: { className: 'LlamaForCausalLM', prefix: '' },
  ggufName: 'llama',
}

const rows: readonly Architecture[] = [
  llama,
  { ...llama, name: 'mistral', huggingFace: { className: 'MistralForCausalLM', prefix: '' } },
  {
    ...llama,
    name: 'qwen2',
    biases: { attention: 'required', rest: false },
    ggufInterleaved: false,
    huggingFace: { className: 'Qwen2ForCausalLM', prefix: '' },
    ggufName: 'qwen2',
  },
  {
    ...llama,
    name: 'qwen3',
    ggufInterleaved: false,
    huggingFace: { className: 'Qwen3ForCausalLM', prefix: '' },
    ggufName: 'qwen3',
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
    huggingFace: { className: 'GPT2LMHeadModel', prefix: 'transformer.' },
    ggufName: 'gpt2',
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

/** A tensor of a model under both its names, and what else differs between the files. */
interface TensorPair {
  readonly huggingFace: string
  readonly gguf: string
  /** Heads whose rows GGUF keeps for rotary pairs 2i, 2i + 1; 0 where the rows are in one order. */
  readonly interleavedHeads: number
  /** Stored [inputs, outputs] in Hugging Face's files. */
  readonly transposed: boolean
  /** A file may do without. */
  readonly optional: boolean
}

/** Every tensor that a model of this family may have, in the order in which files usually keep them. */
export function tensorPairs(
  { names, biases, norm, transposed, ggufInterleaved, huggingFace: { prefix } }: Architecture,
  { layers, heads, keyValueHeads }: { layers: number; heads: number; keyValueHeads: number },
): TensorPair[] {
  const { huggingFace: hf, gguf } = names
  const pairs: TensorPair[] = []
  const add = (
    [ours, theirs]: readonly [string | undefined, string | undefined],
    part: 'weight' | 'bias',
    more: Partial<TensorPair> = {},
    layer = 0,
  ): void => {
    if (ours === undefined || theirs === undefined) return
    const [own, other] = [ours, theirs].map((name) => `${name.replace('{}', String(layer))}.${part}`)
    pairs.push({
      ...{ huggingFace: `${ours === hf.head ? '' : prefix}${own}`, gguf: other! },
      ...{ interleavedHeads: 0, transposed: false, optional: false },
      ...more,
    })
  }
  const norms = (own: readonly [string, string], layer?: number): void => {
    add(own, 'weight', {}, layer)
    if (norm === 'layer') add(own, 'bias', {}, layer)
  }
  add([hf.embedding, gguf.embedding], 'weight')
  add([hf.positions, gguf.positions], 'weight')
  for (let layer = 0; layer < layers; layer++) {
    const linear = (
      own: readonly [string | undefined, string | undefined],
      kind: 'none' | 'optional' | 'required',
      interleavedHeads = 0,
    ): void => {
      add(own, 'weight', { transposed, interleavedHeads }, layer)
      if (kind !== 'none') add(own, 'bias', { interleavedHeads, optional: kind === 'optional' }, layer)
    }
    const rest = biases.rest ? 'required' : 'none'
    norms([hf.norm1, gguf.norm1], layer)
    for (const [i, name] of hf.attention.entries()) {
      const turned = ggufInterleaved && hf.attention.length > 1
      const own = i === 0 ? heads : keyValueHeads
      linear([name, gguf.attention[i]], biases.attention, turned && i < 2 ? own : 0)
    }
    for (const i of [0, 1] as const) add([hf.headNorms?.[i], gguf.headNorms?.[i]], 'weight', {}, layer)
    linear([hf.out, gguf.out], biases.attention === 'optional' ? 'optional' : rest)
    norms([hf.norm2, gguf.norm2], layer)
    for (const [i, name] of hf.up.entries()) linear([name, gguf.up[i]], rest)
    linear([hf.down, gguf.down], rest)
  }
  norms([hf.finalNorm, gguf.finalNorm])
  add([hf.head, gguf.head], 'weight', { optional: true })
  return pairs
}
