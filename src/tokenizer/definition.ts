/** @file What a tokenizer is made of, wherever it was read from: the vocabulary, the merges, and tokenizer.json's own JSON for the steps around them. */
import { createHash } from 'node:crypto'
import type { AddedToken } from './added.ts'
import type { MergeTable } from './merges.ts'

export interface Definition {
  /** The file, for messages. */
  readonly label: string
  /** Ids of the tokens that merging can give. */
  readonly vocabulary: ReadonlyMap<string, number>
  readonly merges: MergeTable
  readonly added: readonly AddedToken[]
  /** The token of characters that have none; without it they are dropped. */
  readonly unknown?: string
  /** One unknown token for a run of unknown characters. */
  readonly fuseUnknown: boolean
  /** Characters without a token become `<0x..>` tokens of their bytes. */
  readonly byteFallback: boolean
  /** What the last symbol of a piece carries in the vocabulary, `</w>` in CLIP's. */
  readonly endOfWord?: string
  /** A piece that is a token as a whole is not merged. */
  readonly ignoreMerges: boolean
  readonly normalizer: unknown
  readonly preTokenizer: unknown
  readonly decoder: unknown
  readonly bosId?: number
  /** All tokens that end a turn or a text. */
  readonly eosIds: readonly number[]
  /** Does the model expect BOS in front of a text? */
  readonly addsBos: boolean
  /** `bos_token`, `eos_token`, … as chat templates name them. */
  readonly names: Readonly<Record<string, string>>
  readonly chatTemplate?: string
}

/** Settings that do not decide ids. */
const OFFSETS = new Set(['trim_offsets'])

/** JSON with sorted keys. */
function canonical(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(canonical)
  if (typeof value !== 'object' || value === null) return value ?? null
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key]) => !OFFSETS.has(key))
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, entry]) => [key, canonical(entry)]),
  )
}

/** SHA-256, hexadecimal, of everything that decides which ids a text gets. */
export function fingerprintOf(definition: Definition): string {
  const { merges } = definition
  const hash = createHash('sha256')
  const part = (value: unknown): void => void hash.update(`${JSON.stringify(canonical(value))}\n`)
  part([definition.unknown, definition.fuseUnknown, definition.byteFallback, definition.ignoreMerges])
  if (definition.endOfWord !== undefined) part(definition.endOfWord)
  part([definition.normalizer, definition.preTokenizer, definition.addsBos, definition.bosId])
  part(definition.added.toSorted((a, b) => a.id - b.id))
  part([...definition.vocabulary].sort(([, a], [, b]) => a - b))
  for (const list of [merges.left, merges.right, merges.result, merges.rank])
    hash.update(new Uint8Array(list.buffer, list.byteOffset, list.byteLength))
  return hash.digest('hex')
}

/** Special tokens that end a turn or a document in the models we know, besides the one a file declares. */
const ENDS = [
  '<|endoftext|>',
  '<|im_end|>',
  '<|eot_id|>',
  '<|eom_id|>',
  '<|end|>',
  '<|end_of_text|>',
  '<end_of_turn>',
]

/** Ids that end a turn: the declared ones first, then special tokens of that meaning. */
export function turnEnds(declared: readonly number[], specials: readonly AddedToken[]): number[] {
  const others = specials.filter(({ content }) => ENDS.includes(content)).map(({ id }) => id)
  return [...new Set([...declared, ...others])]
}
