/** @file A model folder as an output: written whole in a hidden folder within, then given its names (`base/outputFolder.ts`). */
import { createHash } from 'node:crypto'
import { readdirSync, rmSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { explainSystemError, makeFolder } from '../base/files.ts'
import type { Steps } from '../base/index.ts'
import { whenLeaving } from '../base/leave.ts'
import { openOutputFolder } from '../base/outputFolder.ts'
import { type OutputRule, statusOf } from '../base/outputs.ts'
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

/** What a model folder is made of, and what it may replace. */
export interface ModelFolderWork extends OutputRule {
  /** One word for it, such as `convert`. */
  readonly task: string
  /** What was asked for. */
  readonly request: unknown
  /** Besides the request, everything that decides the output: the state of the inputs. */
  readonly marks: unknown
}

/**
 * Let `write` fill a folder, and put its files into `out` when all of them are there. When an earlier run of the same work
 * has done so, nothing is written and its result comes back, `isUnchanged`. Throws as `openOutputFolder` does.
 */
export function* writingModelFolder<Result extends object>(
  out: string,
  { task, request, marks, inputs, force }: ModelFolderWork,
  write: (folder: string) => Steps<Result>,
): Steps<Result & { isUnchanged: boolean }> {
  const work = { request: fingerprint([task, request]), mark: fingerprint([task, request, marks]) }
  const folder = openOutputFolder(out, { task, ...work, owns: isModelFile, inputs, force })
  const forget = whenLeaving(folder.abandon)
  try {
    if (folder.result) return { ...(folder.result as Result), isUnchanged: true }
    const fresh = join(folder.staging, 'new')
    folder.begin()
    // of a run that was killed
    rmSync(fresh, { recursive: true, force: true })
    makeFolder(fresh)
    const result = yield* write(fresh)
    folder.publish(
      readdirSync(fresh)
        .sort()
        .map((name) => join(fresh, name)),
      result,
    )
    return { ...result, isUnchanged: false }
  } catch (error) {
    folder.abandon()
    return explainSystemError(error, `cannot write ${out}`)
  } finally {
    forget()
    folder.close()
  }
}
