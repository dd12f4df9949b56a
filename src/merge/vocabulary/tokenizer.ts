/** @file A model's tokenizer as far as a merge needs it: which token has which number, and what was added to the rest. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fail, isObject, type JsonObject } from '../../base/index.ts'
import { readObject, readText } from '../../base/read.ts'
import { companionsOf } from '../../checkpoint/index.ts'

/** A token that is matched in the text as a whole, before the rest is split; in the words of tokenizer.json. */
export interface AddedToken {
  readonly id: number
  readonly content: string
  readonly single_word: boolean
  readonly lstrip: boolean
  readonly rstrip: boolean
  readonly normalized: boolean
  readonly special: boolean
}

/** The tokens of one model. */
export interface Tokenizer {
  /** The folder that it was read from. */
  readonly model: string
  /** 'BPE', 'Unigram', 'WordPiece', 'WordLevel'. */
  readonly kind: string
  /** Every token, added ones too, in the order of their numbers. */
  readonly ids: ReadonlyMap<string, number>
  readonly added: readonly AddedToken[]
  /** tokenizer.json; absent when the folder has only the older vocab.json or vocab.txt. */
  readonly json?: JsonObject
}

const mostTokens = 1 << 24

function checkId(id: unknown, token: string, path: string): number {
  if (Number.isInteger(id) && (id as number) >= 0 && (id as number) < mostTokens) return id as number
  return fail(
    'TL_BAD_FILE',
    `${path}: token ${JSON.stringify(token).slice(0, 60)} has id ${String(JSON.stringify(id)).slice(0, 40)}, expected an integer from 0 to ${mostTokens - 1}`,
  )
}

/** No two tokens may have one number. */
function checkUnique(ids: ReadonlyMap<string, number>, path: string): void {
  const owners = new Map<number, string>()
  for (const [token, id] of ids) {
    const other = owners.get(id)
    if (other !== undefined)
      fail(
        'TL_BAD_FILE',
        `${path}: ${JSON.stringify(other).slice(0, 60)} and ${JSON.stringify(token).slice(0, 60)} both have id ${id}; every token needs its own`,
      )
    owners.set(id, token)
  }
}

function fromMapping(vocabulary: JsonObject, path: string): Map<string, number> {
  return new Map(Object.entries(vocabulary).map(([token, id]) => [token, checkId(id, token, path)]))
}

/** `model.vocab` of tokenizer.json: a mapping, or for Unigram a list of [token, score]. */
function innerVocabulary(inner: JsonObject, path: string): Map<string, number> {
  const { vocab } = inner
  if (isObject(vocab)) return fromMapping(vocab, path)
  if (!Array.isArray(vocab))
    return fail('TL_BAD_FILE', `${path}: model.vocab: expected a mapping of tokens to ids, or a Unigram list`)
  const ids = new Map<string, number>()
  for (const [id, entry] of vocab.entries()) {
    const token: unknown = Array.isArray(entry) ? entry[0] : undefined
    if (typeof token !== 'string')
      return fail('TL_BAD_FILE', `${path}: model.vocab[${id}]: expected [token, score]`)
    if (!ids.has(token)) ids.set(token, id)
  }
  return ids
}

/** The flags of a token as they are written, or as a token without any has them. */
export function addedToken(content: string, id: number, flags: JsonObject = {}): AddedToken {
  const special = flags['special'] === true
  const is = (name: string): boolean => flags[name] === true
  return {
    id,
    content,
    single_word: is('single_word'),
    lstrip: is('lstrip'),
    rstrip: is('rstrip'),
    normalized: typeof flags['normalized'] === 'boolean' ? flags['normalized'] : !special,
    special,
  }
}

/** The number of the next token that is added to these. */
export const nextId = (ids: ReadonlyMap<string, number>): number =>
  [...ids.values()].reduce((most, id) => Math.max(most, id), -1) + 1

const specialNames = [
  'bos_token',
  'eos_token',
  'unk_token',
  'sep_token',
  'pad_token',
  'cls_token',
  'mask_token',
]

/** Tokens that tokenizer_config.json names: programs add those that the vocabulary lacks. */
function namedTokens(settings: JsonObject, path: string): [content: string, flags: JsonObject][] {
  const named: [string, JsonObject][] = []
  const decoder = settings['added_tokens_decoder']
  if (isObject(decoder))
    for (const [id, flags] of Object.entries(decoder).sort(([a], [b]) => Number(a) - Number(b))) {
      if (!isObject(flags) || typeof flags['content'] !== 'string')
        return fail('TL_BAD_FILE', `${path}: added_tokens_decoder.${id}: expected { content: TEXT, … }`)
      named.push([flags['content'], flags])
    }
  const lists = ['additional_special_tokens', 'extra_special_tokens'].map((name) => settings[name])
  const values = [
    ...specialNames.map((name) => settings[name]),
    ...lists.flatMap((list): unknown[] => (Array.isArray(list) ? list : [])),
  ]
  for (const value of values) {
    const content: unknown = isObject(value) ? value['content'] : value
    if (typeof content === 'string' && content !== '')
      named.push([content, { ...(isObject(value) ? value : {}), special: true }])
  }
  return named
}

function fromTokenizerJson(model: string, path: string, file: JsonObject): Tokenizer {
  const inner = file['model']
  if (!isObject(inner)) return fail('TL_BAD_FILE', `${path}: model: expected { type, vocab, … }`)
  const ids = innerVocabulary(inner, path)
  const list = file['added_tokens'] ?? []
  if (!Array.isArray(list)) return fail('TL_BAD_FILE', `${path}: added_tokens: expected a list`)
  const added = list.map((entry: unknown, i): AddedToken => {
    const content = isObject(entry) ? entry['content'] : undefined
    if (!isObject(entry) || typeof content !== 'string')
      return fail('TL_BAD_FILE', `${path}: added_tokens[${i}]: expected { id, content, … }`)
    return addedToken(content, checkId(entry['id'], content, path), entry)
  })
  for (const { content, id } of added) ids.set(content, id)
  const kind = typeof inner['type'] === 'string' ? inner['type'] : 'merges' in inner ? 'BPE' : 'unknown'
  return { model, kind, ids, added, json: file }
}

/** The formats before tokenizer.json: vocab.json (with merges.txt) or vocab.txt, and added_tokens.json. */
function fromOlderFiles(model: string): Tokenizer | undefined {
  const [mapping, list] = [join(model, 'vocab.json'), join(model, 'vocab.txt')]
  const vocabulary = readObject(mapping)
  let ids: Map<string, number>
  if (vocabulary) ids = fromMapping(vocabulary, mapping)
  else if (existsSync(list)) {
    const words = readText(list)
      .replace(/\r?\n$/, '')
      .split(/\r?\n/)
    ids = new Map(words.map((word, id) => [word, id]))
  } else return undefined
  const path = join(model, 'added_tokens.json')
  const added = Object.entries(readObject(path) ?? {}).map(([content, id]) =>
    addedToken(content, checkId(id, content, path)),
  )
  for (const { content, id } of added) ids.set(content, id)
  return { model, kind: vocabulary ? 'BPE' : 'WordPiece', ids, added }
}

/**
 * The tokenizer of a model's folder; undefined when there is none. Throws TL_BAD_FILE for files that are none, and
 * TL_UNSUPPORTED for SentencePiece's binary format alone.
 */
export function readTokenizer(named: string): Tokenizer | undefined {
  const model = companionsOf(named)
  const path = join(model, 'tokenizer.json')
  const file = readObject(path)
  const tokenizer = file ? fromTokenizerJson(model, path, file) : fromOlderFiles(model)
  if (!tokenizer) {
    if (existsSync(join(model, 'tokenizer.model')))
      fail(
        'TL_UNSUPPORTED',
        `${model}: the tokenizer is only there as tokenizer.model (SentencePiece), which cannot be read; load and save it once with transformers, which writes tokenizer.json`,
      )
    return undefined
  }
  const ids = new Map([...tokenizer.ids].sort(([, a], [, b]) => a - b))
  const added = tokenizer.added.toSorted((a, b) => a.id - b.id)
  checkUnique(ids, tokenizer.json ? path : model)
  const settingsPath = join(model, 'tokenizer_config.json')
  const known = new Set(added.map(({ content }) => content))
  for (const [content, flags] of namedTokens(readObject(settingsPath) ?? {}, settingsPath)) {
    if (known.has(content)) continue
    const isNew = !ids.has(content)
    // words of the vocabulary that are named become added tokens where they are
    const id = ids.get(content) ?? nextId(ids)
    if (isNew) ids.set(content, id)
    known.add(content)
    added.push(addedToken(content, id, flags))
  }
  return { ...tokenizer, ids, added }
}
