/** @file A text as windows of symbols: nine tenths to learn from, the last tenth held out. */
import { createHash } from 'node:crypto'
import { fail } from '../../base/index.ts'
import { loadText, normalizeText, sequenceOf } from '../../data/index.ts'
import type { Preparing } from '../../lab/index.ts'
import { random } from '../../tensor/index.ts'
import type { Config } from './config.ts'

/** How a text is read. */
type TextChoice = Pick<Config, 'text' | 'alphabet' | 'symbols'>

/** A text as symbols. */
export interface Corpus {
  readonly title: string
  /** What each symbol stands for. */
  readonly symbols: readonly string[]
  readonly train: Uint16Array
  readonly heldOut: Uint16Array
}

/** What a run knows of its text before it begins. */
export interface PreparedText {
  readonly title: string
  readonly length: number
  /** SHA-256 of the text as it is read. */
  readonly sha256: string
}

const trainShare = 0.9

/** The text of a config. Throws what `loadText` throws, and TL_BAD_ARGUMENT for one of a single kind of symbol. */
export async function readCorpus(
  { text, alphabet, symbols: most }: TextChoice,
  signal?: AbortSignal,
): Promise<Corpus & { readonly sha256: string }> {
  const { title, text: raw } = await loadText(text, signal ? { signal } : {})
  const normal = normalizeText(raw, alphabet)
  const kept = alphabet === 'letters' ? `the letters of ${title} (alphabet=all keeps more)` : title
  const { ids, symbols } = sequenceOf(normal, most, kept)
  const end = Math.floor(trainShare * ids.length)
  return {
    ...{ title, symbols, train: ids.subarray(0, end), heldOut: ids.subarray(end) },
    sha256: createHash('sha256').update(normal).digest('hex'),
  }
}

/** Read the text once a run, and refuse one that is too short for the windows that are asked for. */
export async function prepareText(
  given: Config,
  { signal }: Pick<Preparing, 'signal'>,
): Promise<PreparedText> {
  const { title, train, heldOut, sha256 } = await readCorpus(given, signal)
  const { window, validation, data, reach } = given
  const widest = Math.max(window, ...(data.P.length > 0 ? [data.window] : []))
  const wanted = Math.max(
    widest * 2,
    window * validation,
    ...(data.P.length > 0 ? [data.window * data.validation] : []),
  )
  if (heldOut.length < wanted)
    fail(
      'TL_BAD_CONFIG',
      `config.text: expected at least ${10 * wanted} symbols, so that the last tenth has the held-out windows, got ${train.length + heldOut.length}; lower validation or window, or take a longer text`,
    )
  const most = Math.max(0, ...data.P) * data.window
  if (train.length < most)
    fail(
      'TL_BAD_CONFIG',
      `config.data.P: expected at most ${Math.floor(train.length / data.window)} windows of ${data.window}, got ${Math.max(...data.P)}; lower P, or take a longer text`,
    )
  if (reach >= window)
    fail('TL_BAD_CONFIG', `config.reach: expected less than the window, ${window}, got ${reach}`)
  return { title, length: train.length + heldOut.length, sha256 }
}

/** `count` windows of d symbols, spread evenly over a text; they overlap where it is short. [count, d] */
export function spreadWindows(ids: Uint16Array, count: number, d: number): Int32Array {
  const out = new Int32Array(count * d)
  const last = ids.length - d
  for (let i = 0; i < count; i++) {
    const from = count === 1 ? 0 : Math.floor((i * last) / (count - 1))
    out.set(ids.subarray(from, from + d), i * d)
  }
  return out
}

/** P windows of d symbols at random places of a text that do not overlap; more windows include fewer. [P, d] */
export function someWindows(ids: Uint16Array, P: number, d: number, key: random.Key): Int32Array {
  const out = new Int32Array(P * d)
  const places = random.samplePermutation(key, Math.floor(ids.length / d))
  for (let i = 0; i < P; i++) out.set(ids.subarray(places[i]! * d, (places[i]! + 1) * d), i * d)
  return out
}

/** Symbols as a text. */
export const textFrom = (ids: ArrayLike<number>, symbols: readonly string[]): string =>
  Array.from(ids, (id) => symbols[id] ?? '?').join('')

/** A text with the symbols of another; characters that the other does not have are its last symbol. */
export async function encodeText(
  { text, alphabet }: Pick<TextChoice, 'text' | 'alphabet'>,
  symbols: readonly string[],
): Promise<Corpus> {
  const { title, text: raw } = await loadText(text)
  const numbers = new Map(symbols.map((symbol, id) => [symbol, id]))
  const ids = Uint16Array.from(
    Array.from(normalizeText(raw, alphabet)),
    (character) => numbers.get(character) ?? symbols.length - 1,
  )
  const end = Math.floor(trainShare * ids.length)
  return { title, symbols, train: ids.subarray(0, end), heldOut: ids.subarray(end) }
}
