/** @file Texts as sequences of a few symbols: characters, or anything that already has numbers. */
import { fail } from '../../base/index.ts'

/** A running sequence of symbols 0 … v − 1. */
export interface Sequence {
  readonly ids: Uint16Array
  /** What each symbol stands for; the last may stand for all that are rare. */
  readonly symbols: readonly string[]
}

/** How characters become symbols. */
export type Alphabet = 'letters' | 'all'

/** Characters of typographers, as a keyboard has them. */
const plain: readonly (readonly [RegExp, string])[] = [
  [/[‘’ʼ`]/g, "'"],
  [/[“”]/g, '"'],
  [/[‐‑–]/g, '-'],
  [/—/g, '--'],
]

/**
 * A text as it is counted: typographic quotes and dashes as those of a keyboard, and every run of white space as one space, for
 * lines are broken by the width of a page. `letters`: the 26 letters without case and without accents, and the space in place of
 * all else.
 */
export function normalizeText(text: string, alphabet: Alphabet = 'all'): string {
  const keyed = plain.reduce((all, [pattern, word]) => all.replace(pattern, word), text)
  if (alphabet === 'all') return keyed.replace(/\s+/g, ' ').trim()
  return keyed
    .normalize('NFD')
    .replace(/\p{M}/gu, '')
    .toLowerCase()
    .replace(/[^a-z]+/g, ' ')
    .trim()
}

/** What stands for symbols beyond the most frequent ones. */
export const rare = '…'

/**
 * Items as symbols by how frequent they are, the most frequent first; where there are more than `most` kinds, the rarest together
 * are one symbol. Throws TL_BAD_ARGUMENT for fewer than two kinds; `name` is what the message calls the text.
 */
export function sequenceOf(items: Iterable<string>, most: number, name = 'text'): Sequence {
  const counts = new Map<string, number>()
  let length = 0
  for (const item of items) {
    counts.set(item, (counts.get(item) ?? 0) + 1)
    length++
  }
  // equally frequent ones in the order of their codes, so that nothing depends on the order of the text
  const byCount = [...counts].sort(([a, n], [b, k]) => k - n || (a < b ? -1 : 1)).map(([item]) => item)
  const symbols = byCount.length > most ? [...byCount.slice(0, most - 1), rare] : byCount
  if (symbols.length < 2)
    fail(
      'TL_BAD_ARGUMENT',
      `${name}: expected at least two kinds of symbols, got ${symbols.length} in ${length} symbols`,
    )
  const numbers = new Map(symbols.map((symbol, id) => [symbol, id]))
  const ids = new Uint16Array(length)
  let at = 0
  for (const item of items) ids[at++] = numbers.get(item) ?? symbols.length - 1
  return { ids, symbols }
}
