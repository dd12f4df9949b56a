/** @file The text as symbols, and its pieces for learning, for choosing and for testing. */
import { createHash } from 'node:crypto'
import { fail } from '../../base/index.ts'
import { loadText, normalizeText, type Sequence, sequenceOf, type TextSplit } from '../../data/index.ts'
import type { Preparing } from '../../lab/index.ts'
import { loadTokenizer } from '../../lm/index.ts'
import { random } from '../../tensor/index.ts'
import type { Config } from './config.ts'

/** What a run knows of its text before it begins. */
export interface Prepared {
  readonly title: string
  /** Symbols in all. */
  readonly length: number
  readonly symbols: readonly string[]
  /** SHA-256 of the text as it is counted. */
  readonly sha256: string
}

/** Distances of which there must be pairs in every block. */
const leastBlock = 4

/** Symbols of the text of a config. */
export async function readSequence(
  { text, model, alphabet, symbols }: Config,
  signal?: AbortSignal,
): Promise<Sequence & { readonly title: string; readonly normal: string }> {
  const { title, text: raw } = await loadText(text, signal ? { signal } : {})
  const normal = normalizeText(raw, model === '' ? alphabet : 'all')
  if (model === '') return { ...sequenceOf(normal, symbols), title, normal }
  const tokenizer = loadTokenizer(model)
  const tokens = tokenizer.encode(normal).map((id) => tokenizer.token(id) ?? String(id))
  return { ...sequenceOf(tokens, symbols), title, normal }
}

/** Read the text once a run and refuse what is too short for what is asked. */
export async function prepareText(config: Config, { signal }: Preparing): Promise<Prepared> {
  const { ids, symbols, title, normal } = await readSequence(config, signal)
  const { blocks, reach, train, P, window } = config
  const needed = blocks * (leastBlock * reach)
  if (ids.length < needed)
    fail(
      'TL_BAD_CONFIG',
      `config.text: expected at least blocks · ${leastBlock} · reach = ${needed} symbols, got ${ids.length}; lower blocks or reach, or take a longer text`,
    )
  const learned = splitText(ids, config).train.reduce((sum, piece) => sum + piece.length, 0)
  const largest = Math.max(...P)
  if (train && largest > learned)
    fail(
      'TL_BAD_CONFIG',
      `config.P: expected at most ${learned} symbols (eight tenths of those used), got ${largest}; lower P, raise most, or take a longer text`,
    )
  if (train && Math.min(...P) < 4 * window)
    fail('TL_BAD_CONFIG', `config.P: expected at least four windows of ${window}, got ${Math.min(...P)}`)
  return { title, length: ids.length, symbols, sha256: createHash('sha256').update(normal).digest('hex') }
}

/** Symbols of a piece, and how many pieces a short text has at least. */
const pieceLength = 4096
const leastPieces = 40

/**
 * Pieces spread over the text, at most `most` symbols of it: of every ten, eight to learn from, one to choose with, one to test on.
 * Neighbours in time are in all three, for a text may change from its beginning to its end.
 */
export function splitText(ids: Uint16Array, { most }: Pick<Config, 'most'>): TextSplit {
  const length = Math.max(16, Math.min(pieceLength, Math.floor(Math.min(most, ids.length) / leastPieces)))
  const all = Math.floor(ids.length / length)
  const used = Math.min(all, Math.floor(most / length))
  const split = { train: [] as Uint16Array[], validation: [] as Uint16Array[], test: [] as Uint16Array[] }
  for (let i = 0; i < used; i++) {
    const at = Math.floor((i * all) / used) * length
    const piece = ids.subarray(at, at + length)
    const part = i % 10 === 4 ? split.validation : i % 10 === 9 ? split.test : split.train
    part.push(piece)
  }
  return split
}

/** The first P symbols of pieces in a random order: more symbols include fewer. */
export function someOf(pieces: readonly Uint16Array[], key: random.Key, P: number): Uint16Array[] {
  const chosen: Uint16Array[] = []
  let left = P
  for (const i of random.samplePermutation(key, pieces.length)) {
    if (left <= 0) break
    const piece = pieces[i]!.subarray(0, left)
    chosen.push(piece)
    left -= piece.length
  }
  return chosen
}
