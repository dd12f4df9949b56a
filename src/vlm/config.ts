/** @file What the folder of a vision-language model says it is: its layout, its language model, its image token. */
import { fail, isObject, type JsonObject, settingsOf } from '../base/index.ts'
import { configOfFields, type ModelConfig } from '../lm/index.ts'
import { idefics3 } from './layouts/idefics3.ts'
import type { Layout } from './layouts/layout.ts'
import { llava } from './layouts/llava.ts'

const layouts: readonly Layout[] = [llava, idefics3]

/** What Transformers takes where a `text_config` is silent, as those of LLaVA are. */
const textDefaults: JsonObject = {
  ...{ model_type: 'llama', vocab_size: 32000, hidden_size: 4096, intermediate_size: 11008 },
  ...{ num_hidden_layers: 32, num_attention_heads: 32, max_position_embeddings: 2048, rms_norm_eps: 1e-6 },
}

interface VisionLanguageConfig {
  /** `model_type` of the folder. */
  readonly type: string
  readonly layout: Layout
  readonly language: ModelConfig
  /** The token in whose place features of a picture stand. */
  readonly imageToken: number
}

/** Throws `TL_BAD_FILE`, and `TL_UNSUPPORTED` with what is supported. */
export function visionLanguageConfig(value: JsonObject, label: string): VisionLanguageConfig {
  const type = value['model_type']
  const layout = layouts.find(({ types }) => typeof type === 'string' && types.includes(type))
  if (!layout) {
    const what = isObject(value['vision_config'])
      ? 'a layout that is not supported'
      : 'no model that sees pictures'
    const known = layouts.flatMap(({ types }) => types).join(', ')
    return fail(
      'TL_UNSUPPORTED',
      `${label}: "model_type" is ${JSON.stringify(type ?? null)}, ${what}: expected ${known}`,
    )
  }
  const given = value['text_config']
  if (given !== undefined && !isObject(given))
    return fail('TL_BAD_FILE', `${label}: "text_config" should be an object, got ${JSON.stringify(given)}`)
  const fields: Record<string, unknown> = { ...textDefaults, ...given }
  // whether the head is the embedding is what the weights say: the two configurations may differ
  delete fields['tie_word_embeddings']
  const language = configOfFields(`${label}, text_config`, fields)
  if (!language.rotary)
    fail(
      'TL_UNSUPPORTED',
      `${label}, text_config: a ${language.architecture.name} model is not supported here: expected one with rotary positions`,
    )
  const s = settingsOf(value, label)
  const { keys, fallback } = layout.imageToken
  const imageToken = s.whole(keys.find((key) => s.has(key)) ?? keys[0]!, fallback, 0)
  if (imageToken >= language.vocabulary)
    fail(
      'TL_BAD_FILE',
      `${label}: the image token is ${imageToken}: expected one below "vocab_size", ${language.vocabulary}`,
    )
  return { type: String(type), layout, language, imageToken }
}
