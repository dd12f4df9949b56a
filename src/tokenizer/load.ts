/** @file A tokenizer by path: a Hugging Face folder or a GGUF file, told by its bytes and not by its name. */
import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fail, TreelineError } from '../base/index.ts'
import { type Checkpoint, companionsOf, isGguf, openCheckpoint } from '../checkpoint/index.ts'
import { readGgufTokenizer } from './gguf.ts'
import { readHuggingFace } from './huggingFace.ts'
import { makeTokenizer, type Tokenizer } from './tokenizer.ts'

/** The tokenizer in the metadata of a GGUF file that is open already; `label` names the file in messages. */
export const tokenizerOfGguf = (metadata: Readonly<Record<string, unknown>>, label: string): Tokenizer =>
  makeTokenizer(readGgufTokenizer(metadata, label))

/** The tokenizer of weights, if they are GGUF; what they are otherwise. */
function ofWeights(path: string): Tokenizer | string {
  const weights: Checkpoint = openCheckpoint(path)
  try {
    return isGguf(weights) ? tokenizerOfGguf(weights.metadata, path) : weights.format
  } finally {
    weights.close()
  }
}

/**
 * The tokenizer of a model: a folder with tokenizer.json (beside it tokenizer_config.json, special_tokens_map.json,
 * chat_template.jinja, generation_config.json), a GGUF file whatever its name, any part of a split one, or a folder with
 * nothing else. Throws `TL_IO`, `TL_BAD_FILE`, and `TL_UNSUPPORTED` with what is supported.
 */
export function loadTokenizer(model: string): Tokenizer {
  const path = companionsOf(model)
  if (!statSync(path).isDirectory()) {
    const found = ofWeights(path)
    if (typeof found !== 'string') return found
    return fail(
      'TL_UNSUPPORTED',
      `${path}: a ${found} file, which has no tokenizer: name the Hugging Face folder with tokenizer.json, or a GGUF file`,
    )
  }
  if (existsSync(join(path, 'tokenizer.json'))) return makeTokenizer(readHuggingFace(path))
  if (existsSync(join(path, 'tokenizer.model')))
    return fail(
      'TL_UNSUPPORTED',
      `${path}: no tokenizer.json, only the older tokenizer.model: save the model again with transformers, or take a GGUF file of it`,
    )
  let found: Tokenizer | string
  try {
    found = ofWeights(path)
  } catch (error) {
    if (!(error instanceof TreelineError)) throw error
    return fail(error.code, `${path}: no tokenizer.json, and no GGUF file in its place: ${error.message}`)
  }
  if (typeof found !== 'string') return found
  return fail('TL_UNSUPPORTED', `${path}: no tokenizer.json: expected a Hugging Face folder or a GGUF file`)
}
