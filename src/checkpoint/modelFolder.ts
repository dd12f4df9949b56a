/** @file What a model folder is made of, and how its state is known again. */
import { createHash } from 'node:crypto'
import { readdirSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { explainSystemError } from '../base/files.ts'
import { statusOf } from '../base/outputs.ts'
import { modelPaths } from './model.ts'

const weightFile = /^(pytorch_)?model(-\d{5}-of-\d{5})?\.(safetensors|bin)(\.index\.json)?$/

const besideWeights = [
  'config.json',
  'generation_config.json',
  'tokenizer.json',
  'tokenizer.model',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'added_tokens.json',
  'vocab.json',
  'vocab.txt',
  'merges.txt',
  'chat_template.jinja',
  'chat_template.json',
  'mergekit_config.yml',
  'treeline-merge.json',
]

/** Files that a model folder is made of. They go together: the weights of one model and the tokenizer of another are no model. */
export const isModelFile = (name: string): boolean => weightFile.test(name) || besideWeights.includes(name)

/** A name for everything that decides an output. */
export const fingerprint = (parts: unknown): string =>
  createHash('sha256').update(JSON.stringify(parts)).digest('hex')

/** Size and time of a model's files: an input that has changed makes another output. */
export function fileMarks(model: string): string[] {
  const mark = (path: string, name: string): string => {
    const { size, mtimeMs } = statSync(path)
    return `${name} ${size} ${mtimeMs}`
  }
  try {
    return modelPaths(model).flatMap((path) => {
      if (!statSync(path).isDirectory()) return [mark(path, '')]
      const names = readdirSync(path).filter((name) =>
        /\.(safetensors|json|gguf|bin|pt|pth|npz|jinja|txt|model|md)$/.test(name),
      )
      return names.sort().map((name) => mark(join(path, name), name))
    })
  } catch (error) {
    return explainSystemError(error, `cannot read ${model}`)
  }
}

/**
 * The files that opening `path` may read: an index and a part stand for all the parts beside them, BASE+ADAPTER for both.
 */
export function inputFiles(path: string): string[] {
  try {
    return modelPaths(path).flatMap(withParts)
  } catch {
    // a base that a vector remembers may be gone
    return [path]
  }
}

function withParts(path: string): string[] {
  const name = basename(path)
  if (!/\.index\.json$|-\d{5}-of-\d{5}\./.test(name) || !statusOf(dirname(path))) return [path]
  const parts = readdirSync(dirname(path)).filter((other) => /\.index\.json$|-\d{5}-of-\d{5}\./.test(other))
  return [path, ...parts.map((other) => join(dirname(path), other))]
}
