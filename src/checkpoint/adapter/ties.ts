/** @file Is a model's head its embedding? */
import { statSync } from 'node:fs'
import { join } from 'node:path'
import type { Checkpoint } from '../checkpoint.ts'
import { isHead, tiedTo } from '../names.ts'
import { isFileIn, readJson } from '../safetensorsCheckpoint.ts'

const MAX_CONFIG = 10_000_000

/**
 * Does this language model use its embedding as its head, and store no head? Told from config.json: its flag, or, where that
 * is absent, an architecture with a head; a file without one says nothing.
 */
export function isTiedHead({ tensors, path, metadata, format }: Checkpoint): boolean {
  if ([...tensors.keys()].some(isHead) || tiedTo('lm_head.weight', tensors) === undefined) return false
  if (format.startsWith('gguf')) return metadata['general.architecture'] !== undefined
  if (!statSync(path, { throwIfNoEntry: false })?.isDirectory() || !isFileIn(path, 'config.json'))
    return false
  const config = readJson(join(path, 'config.json'), MAX_CONFIG)
  if (typeof config !== 'object' || config === null) return false
  const { tie_word_embeddings: flag, architectures } = config as Record<string, unknown>
  if (typeof flag === 'boolean') return flag
  return (
    Array.isArray(architectures) &&
    /LMHead|ForCausalLM|ForConditionalGeneration/.test(String(architectures[0]))
  )
}
