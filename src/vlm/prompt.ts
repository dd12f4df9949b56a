/** @file Prompts with pictures: text in which features of pictures stand in the place of image tokens. */
import { fail } from '../base/index.ts'
import type { Picture } from '../data/index.ts'
import type { LanguageModel } from '../lm/index.ts'
import type { PartsMessage, Tokenizer } from '../tokenizer/index.ts'
import type { Look } from './layouts/layout.ts'

/** What prompts are made with. */
export interface PromptSource {
  readonly path: string
  readonly language: LanguageModel
  readonly tokenizer: Tokenizer
  readonly imageToken: number
  readonly imageText: string
  readonly context: number
  look(image: Picture | string): Look
  features(tile: Float32Array): Promise<Float32Array>
}

export interface PromptOptions {
  /** Pictures, or their files, in the order in which they stand in the text. */
  readonly images?: readonly (Picture | string)[]
  /** A question about the pictures, which stand before it, through the model's chat template; or */
  readonly question?: string
  /** messages, for the same template; or */
  readonly messages?: readonly PartsMessage[]
  /** the text as it is, one image token for each picture. */
  readonly raw?: string
  /** Called as each tile has been seen. */
  readonly onTile?: (done: number, total: number) => void
  /** Changes the pixels of a tile before they are seen. */
  readonly disturb?: (tile: Float32Array, index: number) => Float32Array
}

/** A prompt as the language model takes it in. */
export interface Prompt {
  /** The text, an image token for each feature. */
  readonly text: string
  readonly ids: readonly number[]
  /** What enters the first block, [tokens, width]. */
  readonly x: Float32Array
}

/** The text of a prompt before pictures are put in: one image token for each. */
function textOf(
  { tokenizer, path, imageText }: PromptSource,
  { images = [], question, messages, raw }: PromptOptions,
): string {
  if ([question, messages, raw].filter((one) => one !== undefined).length !== 1)
    return fail('TL_BAD_ARGUMENT', 'prompt: expected one of question, messages and raw')
  if (raw !== undefined) return raw
  if (!tokenizer.hasChatTemplate)
    return fail(
      'TL_UNSUPPORTED',
      `${path} has no chat template: give the prompt as it is, with ${imageText} where a picture stands`,
    )
  const asked: PartsMessage[] = [
    {
      role: 'user',
      content: [
        ...images.map(() => ({ type: 'image' }) as const),
        { type: 'text', text: question ?? '' } as const,
      ],
    },
  ]
  return tokenizer.applyChatTemplate(messages ?? asked)
}

/** The same request without its pictures. A line break that follows a picture in a text goes with it. */
export function withoutImages(options: PromptOptions, imageText: string): PromptOptions {
  const { question, messages, raw } = options
  if (raw !== undefined) return { raw: raw.replaceAll(`${imageText}\n`, '').replaceAll(imageText, '') }
  if (question !== undefined) return { question }
  const text = messages?.map(({ role, content }) => ({
    role,
    content: content.filter(({ type }) => type === 'text'),
  }))
  return text ? { messages: text } : {}
}

/** Makes prompts. */
export const prompting =
  (source: PromptSource) =>
  async (options: PromptOptions): Promise<Prompt> => {
    const { path, language, tokenizer, imageToken, imageText, context } = source
    const { images = [], disturb } = options
    const parts = textOf(source, options).split(imageText)
    if (parts.length - 1 !== images.length)
      fail(
        'TL_BAD_ARGUMENT',
        `prompt: expected one ${imageText} for each of ${images.length} pictures, got ${parts.length - 1}`,
      )
    const looks = images.map((image) => source.look(image))
    const text = parts.map((part, i) => part + (looks[i]?.text ?? '')).join('')
    // a template may have written it already
    const bos = tokenizer.bosId === undefined ? undefined : tokenizer.token(tokenizer.bosId)
    const isOpen = bos !== undefined && text.startsWith(bos)
    const ids = tokenizer.encode(text, { special: true, bos: tokenizer.addsBos && !isOpen })
    const places = ids.flatMap((id, i) => (id === imageToken ? [i] : []))
    if (ids.length === 0) fail('TL_BAD_ARGUMENT', 'prompt: no tokens, expected a text or a picture')
    if (ids.length > context)
      fail(
        'TL_BAD_ARGUMENT',
        `prompt: ${ids.length} tokens, ${places.length} of them of ${images.length} pictures; the context holds ${context}: give fewer pictures${looks.some(({ tiles }) => tiles.length > 1) ? ', or do without tiles' : ''}`,
      )
    const { width, vocabulary } = language.config
    const wrong = ids.find((id) => id >= vocabulary)
    if (wrong !== undefined)
      fail('TL_BAD_FILE', `${path}: its tokenizer has a token ${wrong}, its language model ${vocabulary}`)
    const x = language.weights.embed(
      ids,
      ids.map((_, i) => i),
    )
    let next = 0
    const all = looks.flatMap(({ tiles }) => tiles)
    for (const [index, tile] of all.entries()) {
      const rows = await source.features(disturb ? disturb(tile, index) : tile)
      for (let from = 0; from < rows.length; from += width)
        x.set(rows.subarray(from, from + width), places[next++]! * width)
      options.onTile?.(index + 1, all.length)
    }
    return { text, ids, x }
  }
