/** @file What a model is: sizes and variants, from `config.json` or from GGUF metadata, as one record. */
import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fail, isObject, type JsonObject, parseJsonBytes } from '../base/index.ts'
import { type Checkpoint, isGguf } from '../checkpoint/index.ts'
import { type Architecture, architectureOf } from './architectures.ts'

/** How rotary angles are stretched for longer contexts. */
export type RotaryScaling =
  | { readonly kind: 'linear'; readonly factor: number }
  | {
      readonly kind: 'llama3'
      readonly factor: number
      readonly lowFrequencyFactor: number
      readonly highFrequencyFactor: number
      /** Context of the training before. */
      readonly context: number
    }

export interface ModelConfig {
  readonly architecture: Architecture
  readonly layers: number
  /** Features of the residual stream. */
  readonly width: number
  /** Features inside the feed-forward block. */
  readonly hidden: number
  readonly heads: number
  readonly keyValueHeads: number
  readonly headWidth: number
  /**
   * Features that a head takes in programs: with rotary positions the width rounded up to a multiple of 16, as the runtime's
   * kernel wants it; each half of a head is then followed by zeros.
   */
  readonly headSlots: number
  readonly vocabulary: number
  /** Most tokens the model was made for. */
  readonly context: number
  readonly epsilon: number
  /** Base of the rotary angles; absent with learned positions. */
  readonly rotary?: { readonly base: number; readonly scaling?: RotaryScaling }
  /** Tokens a query sees, itself included; 0 for all. */
  readonly window: number
  /** Whether the head is the embedding; undefined when the file decides by what it holds. */
  readonly tied?: boolean
}

type Fields = Readonly<Record<string, unknown>>

/** Typed access to a record of settings; the message names file and key. */
function reader(path: string, fields: Fields) {
  const number = (key: string, fallback?: number): number => {
    const value = fields[key] ?? fallback
    if (typeof value !== 'number' || !Number.isFinite(value) || value <= 0)
      return fail(
        'TL_BAD_FILE',
        `${path}: "${key}" should be a positive number, got ${JSON.stringify(value)}`,
      )
    return value
  }
  return {
    number,
    size: (key: string, fallback?: number): number => {
      const value = number(key, fallback)
      if (!Number.isInteger(value) || value > 2 ** 24)
        fail('TL_BAD_FILE', `${path}: "${key}" should be a whole number up to 2^24, got ${value}`)
      return value
    },
  }
}

/** The configuration of a model folder or GGUF file. Throws `TL_BAD_FILE`, `TL_UNSUPPORTED` with the list of what is supported. */
export const readConfig = (path: string, checkpoint: Checkpoint): ModelConfig =>
  checked(path, isGguf(checkpoint) ? fromGguf(path, checkpoint) : fromFolder(path))

/** The configuration that a record of settings says, `label` naming it: a part of the `config.json` of a larger model. Throws as above. */
export const configOfFields = (label: string, fields: JsonObject): ModelConfig =>
  checked(label, fromFields(label, fields))

function checked(path: string, found: Found): ModelConfig {
  const config = {
    ...found,
    headSlots: found.rotary ? 16 * Math.ceil(found.headWidth / 16) : found.headWidth,
  }
  const { heads, keyValueHeads, headWidth } = config
  if (heads % keyValueHeads !== 0)
    fail('TL_BAD_FILE', `${path}: ${keyValueHeads} key–value heads do not divide ${heads} heads`)
  if (config.rotary && headWidth % 2 !== 0)
    fail('TL_UNSUPPORTED', `${path}: rotary positions need an even head width, got ${headWidth}`)
  return config
}

type Found = Omit<ModelConfig, 'headSlots'>

function fromFolder(path: string): Found {
  const file = existsSync(path) && statSync(path).isDirectory() ? join(path, 'config.json') : ''
  if (!file || !existsSync(file))
    return fail(
      'TL_BAD_FILE',
      `${path}: no config.json: expected a Hugging Face model folder or one GGUF file`,
    )
  const fields = parseJsonBytes(readFileSync(file), file) as Fields
  if (typeof fields !== 'object' || fields === null) fail('TL_BAD_FILE', `${file}: expected an object`)
  return fromFields(file, fields)
}

function fromFields(file: string, fields: Fields): Found {
  const architecture = architectureOf(file, String(fields['model_type'] ?? 'none'))
  const { number, size } = reader(file, fields)
  for (const [key, allowed] of Object.entries(architecture.expects))
    if (fields[key] !== undefined && fields[key] !== null && !allowed.includes(fields[key] as never))
      fail(
        'TL_UNSUPPORTED',
        `${file}: "${key}" is ${JSON.stringify(fields[key])}; ${architecture.name} models are supported with ${allowed.map((v) => JSON.stringify(v)).join(' or ')}`,
      )
  if (architecture.name === 'gpt2') {
    const width = size('n_embd', 768)
    const heads = size('n_head', 12)
    return {
      architecture,
      layers: size('n_layer', 12),
      width,
      hidden: size('n_inner', 4 * width),
      heads,
      keyValueHeads: heads,
      headWidth: width / heads,
      vocabulary: size('vocab_size', 50257),
      context: size('n_positions', 1024),
      epsilon: number('layer_norm_epsilon', 1e-5),
      window: 0,
      tied: fields['tie_word_embeddings'] !== false,
    }
  }
  const heads = size('num_attention_heads')
  const width = size('hidden_size')
  const rope = ropeOf(file, fields)
  const base = reader(file, {
    ...rope,
    ...fields,
    ...(rope['rope_theta'] ? { rope_theta: rope['rope_theta'] } : {}),
  })
  const context = size('max_position_embeddings', 2048)
  const scaling = scalingOf(file, rope, context)
  return {
    architecture,
    layers: size('num_hidden_layers'),
    width,
    hidden: size('intermediate_size'),
    heads,
    keyValueHeads: size('num_key_value_heads', heads),
    headWidth: size('head_dim', width / heads),
    vocabulary: size('vocab_size'),
    context,
    epsilon: number('rms_norm_eps', 1e-6),
    rotary: { base: base.number('rope_theta', 10_000), ...(scaling && { scaling }) },
    window: windowOf(file, fields, architecture),
    ...(typeof fields['tie_word_embeddings'] === 'boolean' && { tied: fields['tie_word_embeddings'] }),
  }
}

function windowOf(file: string, fields: Fields, { name }: Architecture): number {
  const window = fields['sliding_window']
  const isUsed = name === 'mistral' ? window != null : fields['use_sliding_window'] === true
  if (!isUsed) return 0
  if (name !== 'mistral')
    return fail(
      'TL_UNSUPPORTED',
      `${file}: "use_sliding_window" of ${name} (windows in some layers only) is not supported`,
    )
  return reader(file, fields).size('sliding_window')
}

/**
 * What a config.json says of rotary positions: `rope_scaling`, or in newer files `rope_parameters`, which has the base of
 * the angles, too, and may have an entry for each kind of layer.
 */
function ropeOf(file: string, fields: Fields): Fields {
  const [older, newer] = ['rope_scaling', 'rope_parameters'].map((key) => {
    const value = fields[key] ?? {}
    if (!isObject(value))
      return fail('TL_BAD_FILE', `${file}: "${key}" is ${JSON.stringify(value)}, expected an object or null`)
    return value
  }) as [Fields, Fields]
  const rope = Object.keys(older).length > 0 ? older : newer
  const kinds = Object.entries(rope).filter(([, value]) => isObject(value))
  if (kinds.length > 1 || (kinds.length === 1 && kinds[0]![0] !== 'full_attention'))
    fail(
      'TL_UNSUPPORTED',
      `${file}: rotary positions that differ between kinds of layers (${kinds.map(([kind]) => kind).join(', ')}) are not supported`,
    )
  const own = kinds.length === 1 ? (kinds[0]![1] as Fields) : rope
  const share = own['partial_rotary_factor'] ?? fields['partial_rotary_factor'] ?? 1
  if (share !== 1)
    fail(
      'TL_UNSUPPORTED',
      `${file}: "partial_rotary_factor" is ${JSON.stringify(share)}: rotary positions on part of a head are not supported`,
    )
  return own
}

function scalingOf(file: string, rope: Fields, context: number): RotaryScaling | undefined {
  const kind = (rope['rope_type'] ?? rope['type'] ?? 'default') as string
  const { number } = reader(`${file}: rope_scaling`, rope)
  if (kind === 'default') return undefined
  if (kind === 'linear') return { kind, factor: number('factor') }
  if (kind === 'llama3')
    return {
      kind,
      factor: number('factor'),
      lowFrequencyFactor: number('low_freq_factor'),
      highFrequencyFactor: number('high_freq_factor'),
      context: number('original_max_position_embeddings', context),
    }
  return fail(
    'TL_UNSUPPORTED',
    `${file}: rope_scaling "${kind}" is not supported (default, linear and llama3 are)`,
  )
}

/**
 * Rotary scaling of a GGUF file as llama.cpp reads it: a factor without a type is linear, `rope.scale_linear` is the older
 * key of the factor, a factor of 0 is none. Factors by frequency (`rope_freqs`) come with the weights.
 */
function ggufScaling(
  path: string,
  metadata: Fields,
  own: (key: string) => string,
): RotaryScaling | undefined {
  const kind = metadata[own('rope.scaling.type')] ?? 'linear'
  if (kind !== 'none' && kind !== 'linear')
    fail(
      'TL_UNSUPPORTED',
      `${path}: rope scaling ${JSON.stringify(kind)} is not supported (none and linear are)`,
    )
  const strength = metadata[own('rope.scaling.attn_factor')] ?? 1
  if (strength !== 1)
    fail(
      'TL_UNSUPPORTED',
      `${path}: ${own('rope.scaling.attn_factor')} is ${JSON.stringify(strength)}: rotary scaling that changes the strength of attention is not supported`,
    )
  if (kind === 'none') return undefined
  const key = ['rope.scaling.factor', 'rope.scale_linear']
    .map(own)
    .find((name) => metadata[name] !== undefined)
  if (key === undefined || metadata[key] === 0) return undefined
  const factor = reader(path, metadata).number(key)
  return factor === 1 ? undefined : { kind, factor }
}

function fromGguf(path: string, { metadata, tensors }: Checkpoint): Found {
  const name = String(metadata['general.architecture'] ?? 'none')
  const architecture = architectureOf(path, name)
  const own = (key: string): string => `${name}.${key}`
  const { number, size } = reader(path, metadata)
  const width = size(own('embedding_length'))
  const heads = size(own('attention.head_count'))
  const headWidth = size(own('attention.key_length'), width / heads)
  const valueWidth = size(own('attention.value_length'), headWidth)
  if (valueWidth !== headWidth)
    fail(
      'TL_UNSUPPORTED',
      `${path}: heads whose values are ${valueWidth} wide and whose keys are ${headWidth} are not supported`,
    )
  const vocabulary =
    tensors.get('token_embd.weight')?.shape[0] ??
    fail('TL_BAD_FILE', `${path}: no tensor "token_embd.weight"`)
  const shared = {
    architecture,
    layers: size(own('block_count')),
    width,
    hidden: size(own('feed_forward_length')),
    heads,
    keyValueHeads: size(own('attention.head_count_kv'), heads),
    headWidth,
    vocabulary,
    context: size(own('context_length')),
  }
  if (name === 'gpt2')
    return { ...shared, epsilon: number(own('attention.layer_norm_epsilon'), 1e-5), window: 0 }
  const turned = size(own('rope.dimension_count'), headWidth)
  if (turned !== headWidth)
    fail(
      'TL_UNSUPPORTED',
      `${path}: rotary positions on ${turned} of ${headWidth} features of a head are not supported`,
    )
  const scaling = ggufScaling(path, metadata, own)
  return {
    ...shared,
    epsilon: number(own('attention.layer_norm_rms_epsilon')),
    rotary: { base: number(own('rope.freq_base'), 10_000), ...(scaling && { scaling }) },
    window:
      metadata[own('attention.sliding_window')] === undefined ? 0 : size(own('attention.sliding_window')),
  }
}
