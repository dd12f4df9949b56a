/** @file A tokenizer by path: a Hugging Face folder or one GGUF file. */
import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { explainSystemError } from '../../base/files.ts'
import { fail } from '../../base/index.ts'
import { openGguf } from '../../checkpoint/index.ts'
import { readGgufTokenizer } from './gguf.ts'
import { readHuggingFace } from './huggingFace.ts'
import { makeTokenizer, type Tokenizer } from './tokenizer.ts'

function fromGguf(path: string): Tokenizer {
  const file = openGguf(path)
  try {
    return tokenizerOfGguf(file.metadata, path)
  } finally {
    file.close()
  }
}

/** The tokenizer in the metadata of a GGUF file that is open already; `label` names the file in messages. */
export const tokenizerOfGguf = (metadata: Readonly<Record<string, unknown>>, label: string): Tokenizer =>
  makeTokenizer(readGgufTokenizer(metadata, label))

/**
 * The tokenizer of a model: a folder with tokenizer.json (beside it tokenizer_config.json, special_tokens_map.json,
 * chat_template.jinja, generation_config.json), a folder with a single GGUF file, or a GGUF file.
 * Throws `TL_IO`, `TL_BAD_FILE`, and `TL_UNSUPPORTED` with what is supported.
 */
export function loadTokenizer(path: string): Tokenizer {
  let folder: boolean
  try {
    folder = statSync(path).isDirectory()
  } catch (error) {
    return explainSystemError(error, `cannot read ${path}`)
  }
  if (!folder) {
    if (path.endsWith('.gguf')) return fromGguf(path)
    return fail(
      'TL_BAD_ARGUMENT',
      `${path}: expected a Hugging Face folder with tokenizer.json, or a GGUF file`,
    )
  }
  if (existsSync(join(path, 'tokenizer.json'))) return makeTokenizer(readHuggingFace(path))
  const models = readdirSync(path).filter((name) => name.endsWith('.gguf'))
  if (models.length === 1) return fromGguf(join(path, models[0]!))
  const old = existsSync(join(path, 'tokenizer.model'))
  return fail(
    'TL_UNSUPPORTED',
    `${path}: no tokenizer.json${old ? ', only the older tokenizer.model: save the model again with transformers, or take a GGUF file of it' : ' and not one GGUF file: expected a Hugging Face folder or a GGUF file'}`,
  )
}
