/** @file Whole files to begin from: a tiny model with its tokenizer, made here. */
import { encodeSafetensors } from '../../dist/checkpoint/index.js'

/** The 256 letters that stand for bytes in byte-level tokenizers. */
function alphabet() {
  const codes = []
  let extra = 256
  for (let byte = 0; byte < 256; byte++) {
    const isPlain = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174
    codes.push(String.fromCodePoint(isPlain ? byte : extra++))
  }
  return codes
}

const end = {
  id: 256,
  content: '<|end|>',
  special: true,
  normalized: false,
  single_word: false,
  lstrip: false,
  rstrip: false,
}

/** tokenizer.json of a byte-level BPE. */
export const byteLevel = {
  version: '1.0',
  added_tokens: [end],
  normalizer: {
    type: 'Sequence',
    normalizers: [{ type: 'NFC' }, { type: 'Replace', pattern: { String: 'ab' }, content: 'ba' }],
  },
  pre_tokenizer: {
    type: 'Sequence',
    pretokenizers: [
      { type: 'Digits', individual_digits: true },
      {
        type: 'Split',
        pattern: { Regex: '\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}]+|\\s+(?!\\S)|\\s+' },
        behavior: 'Isolated',
        invert: false,
      },
      { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false },
    ],
  },
  post_processor: null,
  decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
  model: {
    type: 'BPE',
    unk_token: null,
    byte_fallback: false,
    ignore_merges: false,
    vocab: Object.fromEntries([...alphabet().map((letter, id) => [letter, id]), ['th', 257], ['the', 258]]),
    merges: [
      ['t', 'h'],
      ['th', 'e'],
    ],
  },
}

/** tokenizer.json in the manner of Llama 2: a space before all, bytes where a letter has no token. */
export const prepended = {
  version: '1.0',
  added_tokens: ['<unk>', '<s>', '</s>'].map((content, id) => ({ ...end, id, content })),
  normalizer: {
    type: 'Sequence',
    normalizers: [
      { type: 'Prepend', prepend: '▁' },
      { type: 'Replace', pattern: { String: ' ' }, content: '▁' },
    ],
  },
  pre_tokenizer: null,
  post_processor: {
    type: 'TemplateProcessing',
    single: [{ SpecialToken: { id: '<s>', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
    pair: [],
    special_tokens: { '<s>': { id: '<s>', ids: [1], tokens: ['<s>'] } },
  },
  decoder: {
    type: 'Sequence',
    decoders: [
      { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
      { type: 'ByteFallback' },
      { type: 'Fuse' },
      { type: 'Strip', content: ' ', start: 1, stop: 0 },
    ],
  },
  model: {
    type: 'BPE',
    unk_token: '<unk>',
    fuse_unk: true,
    byte_fallback: true,
    vocab: Object.fromEntries([
      ...['<unk>', '<s>', '</s>'].map((token, id) => [token, id]),
      ...Array.from({ length: 256 }, (_, byte) => [
        `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`,
        3 + byte,
      ]),
      ...['▁', 'a', 'b', 'ab', '▁ab'].map((token, i) => [token, 259 + i]),
    ]),
    merges: ['a b', '▁ ab'],
  },
}

export const config = {
  model_type: 'llama',
  architectures: ['LlamaForCausalLM'],
  vocab_size: 259,
  hidden_size: 16,
  intermediate_size: 32,
  num_hidden_layers: 1,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  max_position_embeddings: 64,
  rms_norm_eps: 1e-5,
  rope_theta: 10000,
  rope_scaling: {
    rope_type: 'llama3',
    factor: 8,
    low_freq_factor: 1,
    high_freq_factor: 4,
    original_max_position_embeddings: 32,
  },
  hidden_act: 'silu',
  tie_word_embeddings: true,
  eos_token_id: 256,
}

/** model.safetensors of that configuration. */
export function weights() {
  const tensor = (...shape) => {
    const data = new Float32Array(shape.reduce((a, b) => a * b, 1)).map((_, i) => Math.sin(i) / 4)
    return { dtype: 'F32', shape, data }
  }
  const layer = 'model.layers.0.'
  return Buffer.from(
    encodeSafetensors({
      'model.embed_tokens.weight': tensor(259, 16),
      'model.norm.weight': tensor(16),
      [`${layer}input_layernorm.weight`]: tensor(16),
      [`${layer}post_attention_layernorm.weight`]: tensor(16),
      [`${layer}self_attn.q_proj.weight`]: tensor(16, 16),
      [`${layer}self_attn.k_proj.weight`]: tensor(8, 16),
      [`${layer}self_attn.v_proj.weight`]: tensor(8, 16),
      [`${layer}self_attn.o_proj.weight`]: tensor(16, 16),
      [`${layer}mlp.gate_proj.weight`]: tensor(32, 16),
      [`${layer}mlp.up_proj.weight`]: tensor(32, 16),
      [`${layer}mlp.down_proj.weight`]: tensor(16, 32),
    }),
  )
}
