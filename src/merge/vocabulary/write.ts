/** @file Writes the output's tokenizer: the files of the model it comes from, with what the merge changed. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { writeAtomically } from '../../base/files.ts'
import { isObject, type JsonObject, prettyJson } from '../../base/index.ts'
import { checkReadable, readBytes, readObject } from '../../base/read.ts'
import type { Vocabulary } from './build.ts'
import type { AddedToken } from './tokenizer.ts'

/** The files that make a tokenizer. */
export const tokenizerFiles = [
  'tokenizer_config.json',
  'special_tokens_map.json',
  'tokenizer.json',
  'tokenizer.model',
  'added_tokens.json',
  'vocab.json',
  'vocab.txt',
  'merges.txt',
  'chat_template.jinja',
  'chat_template.json',
]

/** `added_tokens_decoder` of tokenizer_config.json: the tokens by their numbers, with their flags. */
const decoderOf = (added: readonly AddedToken[]): JsonObject =>
  Object.fromEntries(added.map(({ id, ...flags }) => [String(id), flags]))

/** What a changed tokenizer has in each file; undefined: the file is as it was, null: it is left out. */
function changedFile(name: string, { tokenizer, change }: Vocabulary): JsonObject | undefined | null {
  const { model, added } = tokenizer
  switch (name) {
    case 'tokenizer.json':
      return tokenizer.json && { ...tokenizer.json, added_tokens: added }
    case 'tokenizer_config.json': {
      const settings = readObject(join(model, name)) ?? {}
      const needsDecoder = !tokenizer.json || isObject(settings['added_tokens_decoder'])
      return needsDecoder ? { ...settings, added_tokens_decoder: decoderOf(added) } : undefined
    }
    case 'added_tokens.json': {
      const isUsed = !tokenizer.json || existsSync(join(model, name))
      return isUsed ? Object.fromEntries(added.map(({ content, id }) => [content, id])) : null
    }
    // the older forms still have the tokens that were left out
    case 'tokenizer.model':
    case 'vocab.json':
    case 'merges.txt':
      return change === 'stripped' && tokenizer.json ? null : undefined
    default:
      return undefined
  }
}

/** The files of a merge's tokenizer: their new content, or the file that is copied. */
function filesOf(vocabulary: Vocabulary): { name: string; from: string; content?: JsonObject }[] {
  const { tokenizer, change } = vocabulary
  return tokenizerFiles.flatMap((name) => {
    const content = change === 'none' ? undefined : changedFile(name, vocabulary)
    if (content === null) return []
    const from = join(tokenizer.model, name)
    if (content) return [{ name, from, content }]
    return existsSync(from) ? [{ name, from }] : []
  })
}

/** Throws where `writeTokenizer` would stop at a file that it reads. */
export function checkTokenizer(vocabulary: Vocabulary): void {
  for (const { from, content } of filesOf(vocabulary)) if (!content) checkReadable(from)
}

/** Write the tokenizer of a merge into `out`. */
export function writeTokenizer(out: string, vocabulary: Vocabulary): void {
  for (const { name, from, content } of filesOf(vocabulary))
    writeAtomically(join(out, name), content ? prettyJson(content) : readBytes(from))
}
