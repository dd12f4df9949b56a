/** @file Pieces to ids: byte-pair encoding over bytes or over characters with bytes to fall back on. */
import { fail } from '../base/index.ts'
import { byteCharacters, charactersOfBytes } from './alphabet.ts'
import type { Definition } from './definition.ts'
import { merger } from './merges.ts'
import { isByteLevel } from './split.ts'

/** Words of a language repeat: pieces up to this length are remembered, this many of them. */
const LONGEST_REMEMBERED = 48
const MOST_REMEMBERED = 1 << 15

/** The token of a byte in vocabularies that fall back on bytes. */
const byteToken = (byte: number): string => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`

/**
 * SentencePiece's mark of a word's beginning, where no token that merging makes has one after anything else: then no merge
 * reaches from a word into the next, and the words of a text can be merged, and remembered, one by one.
 */
function wordMark({ vocabulary, merges }: Definition): string | undefined {
  const mark = '▁'
  if (!vocabulary.has(mark)) return undefined
  const made = new Set(merges.result)
  for (const [token, id] of vocabulary) if (made.has(id) && /[^▁]▁/.test(token)) return undefined
  return mark
}

/** A function that appends the ids of a piece to a list. */
export function pieceEncoder(definition: Definition): (piece: string, ids: number[]) => void {
  const { vocabulary, label, ignoreMerges, fuseUnknown } = definition
  const merge = merger(definition.merges)
  const bytes = isByteLevel(definition.preTokenizer)
  const unknown = definition.unknown === undefined ? -1 : (vocabulary.get(definition.unknown) ?? -1)
  if (definition.unknown !== undefined && unknown === -1)
    fail(
      'TL_BAD_FILE',
      `${label}: the unknown token ${JSON.stringify(definition.unknown)} is not in the vocabulary`,
    )
  const idsOf = (symbol: (byte: number) => string): Int32Array =>
    Int32Array.from({ length: 256 }, (_, byte) => vocabulary.get(symbol(byte)) ?? -1)
  const idsOfBytes = idsOf(bytes ? (byte) => byteCharacters[byte]! : byteToken)
  const { endOfWord } = definition
  if (endOfWord !== undefined && !bytes)
    fail(
      'TL_UNSUPPORTED',
      `${label}: model.end_of_word_suffix is supported with the pre-tokenizer ByteLevel only`,
    )
  const idsOfLastBytes =
    endOfWord === undefined ? idsOfBytes : idsOf((byte) => byteCharacters[byte]! + endOfWord)
  const utf8 = new TextEncoder()

  /** Unknown symbols wait until a known one follows, so that a run of them can become one. */
  function symbolsOf(known: Iterable<number>): number[] {
    const symbols: number[] = []
    let waiting = false
    for (const id of known) {
      if (id !== -1) {
        if (waiting) symbols.push(unknown)
        waiting = false
        symbols.push(id)
      } else if (unknown !== -1) {
        if (waiting && !fuseUnknown) symbols.push(unknown)
        waiting = true
      }
    }
    if (waiting) symbols.push(unknown)
    return symbols
  }
  function* idsOfCharacters(piece: string): Generator<number> {
    for (const character of piece) {
      const id = vocabulary.get(character)
      if (id !== undefined || !definition.byteFallback) yield id ?? -1
      else {
        const tokens = Array.from(utf8.encode(character), (byte) => idsOfBytes[byte]!)
        // all bytes or none
        if (tokens.includes(-1)) yield -1
        else yield* tokens
      }
    }
  }
  function encode(piece: string): number[] {
    if (!bytes) {
      const whole = ignoreMerges ? vocabulary.get(piece) : undefined
      return whole === undefined ? merge(symbolsOf(idsOfCharacters(piece))) : [whole]
    }
    const encoded = utf8.encode(piece)
    const whole = ignoreMerges ? vocabulary.get(charactersOfBytes(encoded)) : undefined
    if (whole !== undefined) return [whole]
    const known: number[] = new Array(encoded.length)
    const last = encoded.length - 1
    for (let i = 0; i <= last; i++) known[i] = (i === last ? idsOfLastBytes : idsOfBytes)[encoded[i]!]!
    return merge(known.includes(-1) ? symbolsOf(known) : known)
  }

  /** Words of a piece, between which no merge can reach: see `wordMark`. */
  const mark = bytes ? undefined : wordMark(definition)
  function words(piece: string): string[] {
    if (mark === undefined || ignoreMerges) return [piece]
    const found: string[] = []
    let start = 0
    for (let at = piece.indexOf(mark, 1); at !== -1; at = piece.indexOf(mark, at + 1))
      if (piece[at - 1] !== mark) {
        found.push(piece.slice(start, at))
        start = at
      }
    found.push(piece.slice(start))
    return found
  }

  const remembered = new Map<string, number[]>()
  function append(piece: string, ids: number[]): void {
    let found = remembered.get(piece)
    if (!found) {
      found = encode(piece)
      if (piece.length <= LONGEST_REMEMBERED) {
        if (remembered.size >= MOST_REMEMBERED) remembered.clear()
        remembered.set(piece, found)
      }
    }
    for (const id of found) ids.push(id)
  }
  return (piece, ids) => {
    for (const word of words(piece)) append(word, ids)
  }
}
