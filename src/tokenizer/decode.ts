/** @file Ids to text: every token is some bytes; the bytes together are UTF-8, also where a character spans tokens. */
import { fail, isObject, type JsonObject } from '../base/index.ts'
import { bytesOfCharacters } from './alphabet.ts'
import { objectOf, objectsOf, textOf } from './settings.ts'

const none = new Uint8Array()

/** How tokens are written in a vocabulary. */
interface Writing {
  /** GPT-2's alphabet of bytes. */
  alphabet: boolean
  /** `<0x0A>` is a byte. */
  byteTokens: boolean
  /** Replacements in order, such as ▁ by a space. */
  replacements: [from: string, to: string][]
  /** Spaces at the beginning of a text that were not there before it was encoded. */
  strip: number
}

const supported = 'ByteLevel, or a Sequence of Replace, ByteFallback, Fuse and Strip, or Metaspace'

/** What a decoder's JSON says about how tokens are written. Throws `TL_UNSUPPORTED`. */
function writingOf(json: unknown, label: string): Writing {
  const writing: Writing = { alphabet: false, byteTokens: false, replacements: [], strip: 0 }
  const refuse = (what: string): never =>
    fail('TL_UNSUPPORTED', `${label}: decoder ${what} is not supported (supported: ${supported})`)
  const read = (step: JsonObject): void => {
    const type = String(step['type'])
    if (type === 'ByteLevel') writing.alphabet = true
    else if (type === 'ByteFallback') writing.byteTokens = true
    else if (type === 'Sequence')
      for (const inner of objectsOf(step['decoders'], 'decoders', label)) read(inner)
    else if (type === 'Replace') {
      const from = isObject(step['pattern']) ? step['pattern']['String'] : undefined
      if (typeof from !== 'string' || from === '') refuse('Replace with an expression')
      writing.replacements.push([from as string, textOf(step['content'], 'decoder Replace: content', label)])
    } else if (type === 'Strip') {
      if (step['content'] !== ' ' || step['stop'] !== 0) refuse('Strip of other than leading spaces')
      writing.strip = Number(step['start'])
    } else if (type === 'Metaspace') {
      writing.replacements.push([
        textOf(step['replacement'] ?? '▁', 'decoder Metaspace: replacement', label),
        ' ',
      ])
      const scheme = step['prepend_scheme'] ?? (step['add_prefix_space'] === false ? 'never' : 'always')
      writing.strip = scheme === 'never' ? 0 : 1
    } else if (type !== 'Fuse') refuse(type)
  }
  if (json === null || json === undefined) refuse('null')
  read(objectOf(json, 'decoder', label))
  return writing
}

/** Puts text together token by token. What it has given never changes; half a character waits for its other half. */
export interface StreamDecoder {
  /** The text that this token completes, which may be empty. */
  push(id: number): string
  /** What is left: replacement characters where bytes are missing; nothing of a text that is `cut`. */
  end(): string
}

export interface Decoding {
  /** Leave special tokens out (default true). */
  skipSpecial?: boolean
  /** Text stands before these ids, so a leading space is one (default false). */
  continues?: boolean
  /** The ids may end within a character, as generated ones do at a limit: what there is of it is left out (default false). */
  cut?: boolean
}

/** Decoders over a vocabulary. `literals` are tokens that are written as themselves: added ones. */
export function decoderOf(
  json: unknown,
  tokens: readonly (string | undefined)[],
  literals: ReadonlyMap<number, boolean>,
  label: string,
) {
  const writing = writingOf(json, label)
  const utf8 = new TextEncoder()
  const known: (Uint8Array | undefined)[] = []

  function written(token: string): Uint8Array {
    if (writing.alphabet) return bytesOfCharacters(token) ?? utf8.encode(token)
    const byte = writing.byteTokens ? /^<0x([0-9A-Fa-f]{2})>$/.exec(token) : null
    if (byte) return Uint8Array.of(Number.parseInt(byte[1]!, 16))
    return utf8.encode(
      writing.replacements.reduce((text, [from, to]) => text.replaceAll(from, () => to), token),
    )
  }
  /** The bytes of a token; none of an id beyond the vocabulary, which models with more rows than tokens may give. */
  function bytes(id: number): Uint8Array {
    const found = known[id]
    if (found) return found
    const token = tokens[id]
    if (token === undefined) {
      if (Number.isInteger(id) && id >= 0) return none
      return fail('TL_BAD_ARGUMENT', `token ${id}: expected an id of ${label}, a whole number from 0`)
    }
    const made = literals.has(id) ? utf8.encode(token) : written(token)
    known[id] = made
    return made
  }
  function stream({ skipSpecial = true, continues = false, cut = false }: Decoding = {}): StreamDecoder {
    const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
    let strip = continues ? 0 : writing.strip
    const trimmed = (text: string): string => {
      let from = 0
      while (strip > 0 && text[from] === ' ') {
        from++
        strip--
      }
      if (from < text.length) strip = 0
      return text.slice(from)
    }
    return {
      push: (id) => {
        const own = bytes(id)
        return skipSpecial && literals.get(id) === true ? '' : trimmed(decoder.decode(own, { stream: true }))
      },
      end: () => (cut ? '' : trimmed(decoder.decode())),
    }
  }
  function decode(ids: Iterable<number>, options?: Decoding): string {
    const { skipSpecial = true, continues = false, cut = false } = options ?? {}
    const parts: Uint8Array[] = []
    for (const id of ids) {
      const own = bytes(id)
      if (!(skipSpecial && literals.get(id) === true)) parts.push(own)
    }
    const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(Buffer.concat(parts), { stream: cut })
    let from = 0
    if (!continues) while (from < writing.strip && text[from] === ' ') from++
    return text.slice(from)
  }
  return { bytes, stream, decode }
}
