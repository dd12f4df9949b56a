/** @file The tokenizer: text to ids and back, by a definition read from any file. */
import { fail } from '../base/index.ts'
import { cutterOf } from './added.ts'
import { type ChatOptions, chatTemplate, type TemplateMessage } from './chat.ts'
import { type Decoding, decoderOf, type StreamDecoder } from './decode.ts'
import { type Definition, fingerprintOf } from './definition.ts'
import { pieceEncoder } from './model.ts'
import { normalizerOf } from './normalize.ts'
import { splitterOf } from './split.ts'
import { withoutPrefix } from './withoutPrefix.ts'

export interface Encoding {
  /** Recognise special tokens that stand in the text (default false: they are text like any other). */
  special?: boolean
  /** Put BOS in front (default false; `addsBos` says whether the model expects it). */
  bos?: boolean
  /** Text stands before it: the space that some tokenizers put before a text is left out (default false). See `encodeAfter`. */
  continues?: boolean
}

export interface Tokenizer {
  /** One more than the highest id. */
  readonly vocabularySize: number
  readonly bosId: number | undefined
  /** Tokens that end a turn or a text. */
  readonly eosIds: readonly number[]
  /** Does the model expect BOS in front of a text? */
  readonly addsBos: boolean
  readonly hasChatTemplate: boolean
  /** Ids of a text. Half surrogate pairs count as U+FFFD. */
  encode(text: string, options?: Encoding): number[]
  /** Text of ids; bytes that are no UTF-8 become U+FFFD, ids beyond the vocabulary nothing. */
  decode(ids: Iterable<number>, options?: Decoding): string
  /** The same token by token, never half a character. */
  decoder(options?: Decoding): StreamDecoder
  /** The token as its vocabulary writes it, or undefined when the id is none. */
  token(id: number): string | undefined
  /** The id of a token as its vocabulary writes it. */
  idOf(token: string): number | undefined
  /** Bytes of a token, none of an id beyond the vocabulary. */
  bytes(id: number): Uint8Array
  /** Messages as one text. Throws `TL_UNSUPPORTED` when the model has no template. */
  applyChatTemplate(messages: readonly TemplateMessage[], options?: ChatOptions): string
  /** Ids of messages: the template's text with its special tokens recognised. */
  encodeChat(messages: readonly TemplateMessage[], options?: ChatOptions): number[]
  /** SHA-256 of what decides ids. */
  fingerprint(): string
}

/** A tokenizer of a definition. Throws `TL_UNSUPPORTED` naming the step that is not known. */
export function makeTokenizer(definition: Definition): Tokenizer {
  const { label, added, bosId, vocabulary } = definition
  const normalize = normalizerOf(definition.normalizer, label)
  const split = splitterOf(definition.preTokenizer, label)
  // for what stands in the middle of a text
  const normalizeRest = normalizerOf(withoutPrefix(definition.normalizer), label)
  const splitRest = splitterOf(withoutPrefix(definition.preTokenizer), label)
  const encodePiece = pieceEncoder(definition)
  const cutRaw = cutterOf(
    added.filter(({ normalized }) => !normalized).map((token) => ({ written: token.content, token })),
  )
  const cutNormalized = cutterOf(
    added
      .filter(({ normalized }) => normalized)
      .map((token) => ({ written: normalize(token.content), token })),
  )
  const tokens: (string | undefined)[] = []
  for (const [token, id] of vocabulary) tokens[id] = token
  for (const { id, content } of added) tokens[id] = content
  const ids = new Map([...vocabulary, ...added.map(({ id, content }) => [content, id] as const)])
  const decoding = decoderOf(
    definition.decoder,
    tokens,
    new Map(added.map(({ id, special }) => [id, special])),
    label,
  )
  let render: ReturnType<typeof chatTemplate> | undefined
  let fingerprint: string | undefined

  function encode(
    text: string,
    { special = false, bos = false, continues = false }: Encoding = {},
  ): number[] {
    const result: number[] = []
    if (bos) result.push(bosId ?? fail('TL_BAD_ARGUMENT', `${label} names no BOS token to put in front`))
    let first = true
    for (const part of cutRaw(text.replace(/\p{Surrogate}/gu, '\ufffd'), special)) {
      if (typeof part === 'number') result.push(part)
      else {
        const [normal, cut] = continues && first ? [normalizeRest, splitRest] : [normalize, split]
        for (const inner of cutNormalized(normal(part), special)) {
          if (typeof inner === 'number') result.push(inner)
          else for (const piece of cut(inner, first)) encodePiece(piece, result)
          first = false
        }
      }
      first = false
    }
    return result
  }
  function applyChatTemplate(messages: readonly TemplateMessage[], options?: ChatOptions): string {
    if (definition.chatTemplate === undefined)
      return fail(
        'TL_UNSUPPORTED',
        `${label} has no chat template: it is no chat model; continue a plain text instead`,
      )
    render ??= chatTemplate(definition.chatTemplate, definition.names, label)
    return render(messages, options)
  }
  return {
    vocabularySize: tokens.length,
    bosId,
    eosIds: definition.eosIds,
    addsBos: definition.addsBos,
    hasChatTemplate: definition.chatTemplate !== undefined,
    encode,
    decode: decoding.decode,
    decoder: decoding.stream,
    token: (id) => tokens[id],
    idOf: (token) => ids.get(token),
    bytes: decoding.bytes,
    applyChatTemplate,
    encodeChat: (messages, options) => encode(applyChatTemplate(messages, options), { special: true }),
    fingerprint: () => {
      fingerprint ??= fingerprintOf(definition)
      return fingerprint
    },
  }
}
