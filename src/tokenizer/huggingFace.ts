/** @file Tokenizers of Hugging Face folders: tokenizer.json, and around it the special tokens and the chat template. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fail, isObject, type JsonObject } from '../base/index.ts'
import { readObject, readText } from '../base/read.ts'
import type { AddedToken } from './added.ts'
import { type Definition, turnEnds } from './definition.ts'
import type { MergeTable } from './merges.ts'
import { objectsOf, textOf } from './settings.ts'

function vocabularyOf(model: JsonObject, label: string): Map<string, number> {
  const { vocab } = model
  if (!isObject(vocab))
    return fail('TL_BAD_FILE', `${label}: model.vocab: expected an object of tokens and ids`)
  const vocabulary = new Map<string, number>()
  for (const [token, id] of Object.entries(vocab)) {
    if (!Number.isInteger(id) || (id as number) < 0 || (id as number) >= 1 << 24)
      fail(
        'TL_BAD_FILE',
        `${label}: model.vocab: token ${JSON.stringify(token)} has the id ${JSON.stringify(id)}`,
      )
    vocabulary.set(token, id as number)
  }
  return vocabulary
}

/** Pairs of tokens in their order. Throws `TL_BAD_FILE` naming a merge of tokens that do not exist. */
export function mergeTable(
  pairs: readonly unknown[],
  vocabulary: ReadonlyMap<string, number>,
  label: string,
): MergeTable {
  const n = pairs.length
  const table = {
    left: new Int32Array(n),
    right: new Int32Array(n),
    result: new Int32Array(n),
    rank: new Int32Array(n),
  }
  for (const [i, pair] of pairs.entries()) {
    const [left, right, ...more] =
      typeof pair === 'string' ? pair.split(' ') : Array.isArray(pair) ? pair : []
    if (typeof left !== 'string' || typeof right !== 'string' || more.length > 0)
      return fail('TL_BAD_FILE', `${label}: merge ${i} is ${JSON.stringify(pair)}, expected two tokens`)
    const id = (token: string): number =>
      vocabulary.get(token) ??
      fail(
        'TL_BAD_FILE',
        `${label}: merge ${i}, ${JSON.stringify(pair)}: ${JSON.stringify(token)} is no token`,
      )
    table.left[i] = id(left)
    table.right[i] = id(right)
    table.result[i] = id(left + right)
    table.rank[i] = i
  }
  return table
}

function addedToken(json: unknown, id: unknown, label: string): AddedToken {
  if (!isObject(json) || typeof json['content'] !== 'string' || !Number.isInteger(id) || (id as number) < 0)
    return fail(
      'TL_BAD_FILE',
      `${label}: an added token is ${JSON.stringify(json)}, expected an id and its content`,
    )
  const special = json['special'] === true
  return {
    id: id as number,
    content: json['content'],
    special,
    normalized: (json['normalized'] ?? !special) === true,
    singleWord: json['single_word'] === true,
    leftStrip: json['lstrip'] === true,
    rightStrip: json['rstrip'] === true,
  }
}

/** Does the post-processor put the token with this text in front of a single text? */
function addsInFront(json: unknown, token: string, label: string): boolean {
  if (!isObject(json)) return false
  if (json['type'] === 'Sequence')
    return objectsOf(json['processors'], 'processors', label).some((one) => addsInFront(one, token, label))
  if (json['type'] !== 'TemplateProcessing') return false
  const [first] = objectsOf(json['single'], 'post_processor.single', label)
  return isObject(first?.['SpecialToken']) && first['SpecialToken']['id'] === token
}

/** `bos_token` and its like, as text or as an object with the text in it. */
function namesOf(...files: JsonObject[]): Record<string, string> {
  const names: Record<string, string> = {}
  for (const file of files)
    for (const [key, value] of Object.entries(file)) {
      const text = isObject(value) ? value['content'] : value
      if (/^[a-z_]+_token$/.test(key) && typeof text === 'string') names[key] = text
    }
  return names
}

/** The template named default, where there are several. */
function templateOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value
  if (!Array.isArray(value)) return undefined
  const list = value.filter(isObject)
  const chosen = list.find(({ name }) => name === 'default') ?? list[0]
  return typeof chosen?.['template'] === 'string' ? chosen['template'] : undefined
}

/** The definition in a folder. Throws `TL_BAD_FILE`, `TL_UNSUPPORTED` with the list of what is supported, `TL_IO`. */
export function readHuggingFace(folder: string): Definition {
  const label = join(folder, 'tokenizer.json')
  const json = readObject(label) ?? {}
  const config = readObject(join(folder, 'tokenizer_config.json')) ?? {}
  const { model } = json
  if (!isObject(model)) return fail('TL_BAD_FILE', `${label}: expected an entry "model"`)
  const suffix = model['end_of_word_suffix']
  const type = model['type'] ?? (Array.isArray(model['merges']) ? 'BPE' : 'none')
  if (type !== 'BPE')
    fail('TL_UNSUPPORTED', `${label}: a ${type} tokenizer is not supported (supported: BPE)`)
  for (const key of ['dropout', 'continuing_subword_prefix'])
    if (model[key])
      fail('TL_UNSUPPORTED', `${label}: model.${key} = ${JSON.stringify(model[key])} is not supported`)
  if (!Array.isArray(model['merges'])) fail('TL_BAD_FILE', `${label}: model.merges: expected a list`)

  const vocabulary = vocabularyOf(model, label)
  const list = Array.isArray(json['added_tokens']) ? json['added_tokens'] : []
  const added = new Map(
    list
      .map((one) => addedToken(one, isObject(one) ? one['id'] : undefined, label))
      .map((one) => [one.id, one]),
  )
  const decoderTokens = isObject(config['added_tokens_decoder']) ? config['added_tokens_decoder'] : {}
  for (const [id, one] of Object.entries(decoderTokens))
    if (!added.has(Number(id)))
      added.set(Number(id), addedToken(one, Number(id), join(folder, 'tokenizer_config.json')))
  const names = namesOf(readObject(join(folder, 'special_tokens_map.json')) ?? {}, config)
  const idOf = (token: string | undefined): number | undefined =>
    token === undefined
      ? undefined
      : ([...added.values()].find(({ content }) => content === token)?.id ?? vocabulary.get(token))
  const bosId = idOf(names['bos_token'])
  const declared = [
    readObject(join(folder, 'generation_config.json')) ?? {},
    readObject(join(folder, 'config.json')) ?? {},
  ]
    .flatMap(({ eos_token_id: ids }) => ids)
    .filter((id): id is number => Number.isInteger(id))
  const eos = idOf(names['eos_token'])
  const specials = [...added.values()].filter(({ special }) => special)
  const inFront =
    names['bos_token'] !== undefined && addsInFront(json['post_processor'], names['bos_token'], label)
  return {
    label,
    vocabulary,
    merges: mergeTable(model['merges'] as unknown[], vocabulary, label),
    added: [...added.values()],
    ...(typeof model['unk_token'] === 'string' ? { unknown: model['unk_token'] } : {}),
    fuseUnknown: model['fuse_unk'] === true,
    byteFallback: model['byte_fallback'] === true,
    ignoreMerges: model['ignore_merges'] === true,
    ...(suffix ? { endOfWord: textOf(suffix, 'model.end_of_word_suffix', label) } : {}),
    normalizer: json['normalizer'] ?? null,
    preTokenizer: json['pre_tokenizer'] ?? null,
    decoder: json['decoder'] ?? null,
    ...(bosId === undefined ? {} : { bosId }),
    eosIds: turnEnds(eos === undefined ? declared : [eos, ...declared], specials),
    addsBos: bosId !== undefined && (inFront || config['add_bos_token'] === true),
    names,
    ...chatTemplateEntry(
      templateFile(join(folder, 'chat_template.jinja')) ??
        templateOf(readObject(join(folder, 'chat_template.json'))?.['chat_template']) ??
        templateOf(config['chat_template']),
    ),
  }
}

const templateFile = (path: string): string | undefined => (existsSync(path) ? readText(path) : undefined)

const chatTemplateEntry = (template: string | undefined) =>
  template === undefined ? {} : { chatTemplate: template }
