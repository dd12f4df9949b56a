/** @file What was learned about the questions of a model, kept in the process and in a folder for the next store of the model. */
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { readSafetensors, writeSafetensors } from '../../checkpoint/index.ts'
import type { LearnedScope } from './learn.ts'
import { generalQuestions, type Kind, kinds } from './questions.ts'

/** Raised when a scope is learned otherwise than before. */
const version = 1

const known = new Map<string, LearnedScope>()

function read(path: string, width: number): LearnedScope | undefined {
  try {
    const { tensors, metadata } = readSafetensors(path)
    const { thresholds, prompts, dimensions } = JSON.parse(metadata['scope']!) as LearnedScope
    const map = tensors.get('map')?.data
    const questions = tensors.get('questions')?.data
    if (!(map instanceof Float32Array) || !(questions instanceof Float32Array)) return undefined
    if (map.length !== width * dimensions || !map.every(Number.isFinite)) return undefined
    if (questions.length % dimensions !== 0 || !questions.every(Number.isFinite)) return undefined
    if (!Object.values(thresholds).every(Number.isFinite)) return undefined
    return { width, dimensions, map, questions, thresholds, prompts }
  } catch {
    // absent or damaged: learned again
    return undefined
  }
}

/**
 * The scope of a model, from this process or the folder where an earlier one left it, else learned and left there; one that was
 * learned on `more` kinds is another. A folder that cannot be written costs nothing but the time.
 */
export async function rememberedScope(
  folder: string | undefined,
  {
    model,
    tokenizer,
    layer,
    width,
  }: { readonly model: string; readonly tokenizer: string; readonly layer: number; readonly width: number },
  learn: () => Promise<LearnedScope>,
  more: readonly Kind[] = [],
): Promise<LearnedScope> {
  const text = JSON.stringify([
    version,
    model,
    tokenizer,
    layer,
    width,
    generalQuestions,
    [...kinds, ...more],
  ])
  const hash = createHash('sha256').update(text).digest('hex').slice(0, 32)
  const path = folder === undefined ? undefined : join(folder, `scope-${hash}.safetensors`)
  const before = known.get(hash) ?? (path === undefined ? undefined : read(path, width))
  const scope = before ?? (await learn())
  known.set(hash, scope)
  if (path === undefined || before) return scope
  const { map, questions, thresholds, prompts, dimensions } = scope
  try {
    writeSafetensors(
      path,
      {
        map: { dtype: 'F32', shape: [width, dimensions], data: map },
        questions: { dtype: 'F32', shape: [questions.length / dimensions, dimensions], data: questions },
      },
      { scope: JSON.stringify({ thresholds, prompts, dimensions }) },
    )
  } catch {}
  return scope
}
