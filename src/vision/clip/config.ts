/** @file Configurations of CLIP and SigLIP as Transformers writes them: what is absent has the library's own default. */
import { fail, isObject, type JsonObject, type Settings, settingsOf } from '../../base/index.ts'
import type { Activation } from '../../nn/index.ts'

/** A stack of pre-norm blocks. */
export interface EncoderShape {
  readonly width: number
  readonly hidden: number
  readonly layers: number
  readonly heads: number
  readonly activation: Activation
  readonly epsilon: number
}

export interface ImageTowerShape extends EncoderShape {
  readonly channels: number
  /** Side of the images, in pixels. */
  readonly side: number
  readonly patch: number
}

export interface TextTowerShape extends EncoderShape {
  readonly vocabulary: number
  /** Most tokens, the marks of beginning and end among them. */
  readonly context: number
  /** The token at whose place a text is read; without it that with the largest number, as in the first folders. */
  readonly end: number | undefined
}

export interface ClipShape {
  readonly image: ImageTowerShape
  readonly text: TextTowerShape
  /** Numbers of an embedding. */
  readonly dimension: number
}

/** Activations by the names of Transformers. */
export const activations: Readonly<Record<string, Activation>> = {
  quick_gelu: 'quickGelu',
  gelu: 'gelu',
  gelu_pytorch_tanh: 'geluTanh',
  gelu_new: 'geluTanh',
  relu: 'relu',
  silu: 'silu',
}

interface Defaults {
  readonly width: number
  readonly hidden: number
  readonly heads: number
  readonly activation: string
  readonly epsilon: number
}

function encoderShape(s: Settings, defaults: Defaults): EncoderShape {
  const words = Object.keys(activations)
  const shape = {
    width: s.whole('hidden_size', defaults.width),
    hidden: s.whole('intermediate_size', defaults.hidden),
    layers: s.whole('num_hidden_layers', 12),
    heads: s.whole('num_attention_heads', defaults.heads),
    activation: activations[s.word('hidden_act', defaults.activation, words)]!,
    epsilon: s.number('layer_norm_eps', defaults.epsilon),
  }
  if (shape.width % shape.heads !== 0)
    fail(
      'TL_BAD_FILE',
      `${s.label}: "num_attention_heads" should divide "hidden_size", got ${shape.heads} and ${shape.width}`,
    )
  return shape
}

function imageShape(s: Settings, defaults: Defaults & { side: number; patch: number }): ImageTowerShape {
  const shape = {
    ...encoderShape(s, defaults),
    channels: s.whole('num_channels', 3),
    side: s.whole('image_size', defaults.side),
    patch: s.whole('patch_size', defaults.patch),
  }
  if (shape.channels !== 3) s.refuse('num_channels', '3')
  if (shape.patch > shape.side)
    fail('TL_BAD_FILE', `${s.label}: "patch_size" ${shape.patch} is larger than "image_size" ${shape.side}`)
  return shape
}

const partOf = (value: JsonObject, key: string, label: string): Settings =>
  settingsOf(isObject(value[key]) ? value[key] : {}, `${label}, ${key}`)

function requireType(value: JsonObject, label: string, types: readonly string[]): void {
  const type = value['model_type']
  if (typeof type !== 'string' || !types.includes(type))
    fail(
      'TL_UNSUPPORTED',
      `${label}: "model_type" is ${JSON.stringify(type ?? null)}, which is not supported: expected ${types.map((one) => JSON.stringify(one)).join(' or ')}`,
    )
}

/** The end of text that first folders name; their texts have it as their largest token instead. */
const firstEnd = 2

const clipDefaults = {
  ...{ width: 768, hidden: 3072, heads: 12, activation: 'quick_gelu', epsilon: 1e-5 },
  ...{ side: 224, patch: 32 },
}

/** The shape of a CLIP image tower in the settings of a larger model. Throws `TL_BAD_FILE`, `TL_UNSUPPORTED`. */
export function clipImageShape(value: JsonObject, label: string): ImageTowerShape {
  requireType({ model_type: 'clip_vision_model', ...value }, label, ['clip_vision_model'])
  return imageShape(settingsOf(value, label), clipDefaults)
}

/** The shape of the image tower of Idefics3 and SmolVLM in the settings of the whole. Throws `TL_BAD_FILE`, `TL_UNSUPPORTED`. */
export function idefics3ImageShape(value: JsonObject, label: string): ImageTowerShape {
  const types = ['idefics3_vision', 'smolvlm_vision', 'idefics3', 'smolvlm']
  requireType({ model_type: types[0]!, ...value }, label, types)
  return imageShape(settingsOf(value, label), {
    ...{ width: 1152, hidden: 3072, heads: 16, activation: 'gelu_pytorch_tanh', epsilon: 1e-6 },
    ...{ side: 224, patch: 32 },
  })
}

/** The shape of a `CLIPModel`. Throws `TL_BAD_FILE`, `TL_UNSUPPORTED`. */
export function clipShape(value: JsonObject, label: string): ClipShape {
  requireType(value, label, ['clip'])
  const text = partOf(value, 'text_config', label)
  const end = text.whole('eos_token_id', 49407, 0)
  const narrow = { width: 512, hidden: 2048, heads: 8, activation: 'quick_gelu', epsilon: 1e-5 }
  return {
    image: imageShape(partOf(value, 'vision_config', label), clipDefaults),
    text: {
      ...encoderShape(text, narrow),
      vocabulary: text.whole('vocab_size', 49408),
      context: text.whole('max_position_embeddings', 77, 3),
      end: end === firstEnd ? undefined : end,
    },
    dimension: settingsOf(value, label).whole('projection_dim', 512),
  }
}

/** The shape of a SigLIP image tower, alone or in a whole model. Throws `TL_BAD_FILE`, `TL_UNSUPPORTED`. */
export function siglipShape(value: JsonObject, label: string): ImageTowerShape {
  requireType(value, label, ['siglip', 'siglip_vision_model'])
  const s =
    value['model_type'] === 'siglip' ? partOf(value, 'vision_config', label) : settingsOf(value, label)
  const defaults = { width: 768, hidden: 3072, heads: 12, activation: 'gelu_pytorch_tanh', epsilon: 1e-6 }
  return imageShape(s, { ...defaults, side: 224, patch: 16 })
}
