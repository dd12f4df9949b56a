/** @file What was learned about the questions of a model, kept in the process and in a folder for the next store of the model. */
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { readSafetensors, writeSafetensors } from '../../checkpoint/index.ts'
import type { LearnedScope } from './learn.ts'
import { generalQuestions, type Kind, kinds } from './questions.ts'
import { joined, type Look, parted } from './scope.ts'

/** Raised when a scope is learned otherwise than before. */
const version = 2

const known = new Map<string, LearnedScope>()

function read(path: string, width: number, looks: readonly Look[]): LearnedScope | undefined {
  try {
    const { tensors, metadata } = readSafetensors(path)
    const { thresholds, prompts, dimensions } = JSON.parse(metadata['scope']!) as LearnedScope
    const map = tensors.get('map')?.data
    const questions = tensors.get('questions')?.data
    if (!(map instanceof Float32Array) || !(questions instanceof Float32Array)) return undefined
    if (map.length !== looks.length * width * dimensions || !map.every(Number.isFinite)) return undefined
    if (questions.length % (looks.length * dimensions) !== 0 || !questions.every(Number.isFinite))
      return undefined
    if (!Object.values(thresholds).every(Number.isFinite)) return undefined
    return { ...parted({ width, dimensions, looks, map, questions }), thresholds, prompts }
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
    looks,
    width,
  }: {
    readonly model: string
    readonly tokenizer: string
    readonly looks: readonly Look[]
    readonly width: number
  },
  learn: () => Promise<LearnedScope>,
  more: readonly Kind[] = [],
): Promise<LearnedScope> {
  const text = JSON.stringify([
    version,
    model,
    tokenizer,
    looks,
    width,
    generalQuestions,
    [...kinds, ...more],
  ])
  const hash = createHash('sha256').update(text).digest('hex').slice(0, 32)
  const path = folder === undefined ? undefined : join(folder, `scope-${hash}.safetensors`)
  const before = known.get(hash) ?? (path === undefined ? undefined : read(path, width, looks))
  const scope = before ?? (await learn())
  known.set(hash, scope)
  if (path === undefined || before) return scope
  const { thresholds, prompts, dimensions } = scope
  const { map, questions } = joined(scope)
  const shape = (data: Float32Array): number[] => [
    looks.length,
    data.length / looks.length / dimensions,
    dimensions,
  ]
  try {
    writeSafetensors(
      path,
      {
        map: { dtype: 'F32', shape: shape(map), data: map },
        questions: { dtype: 'F32', shape: shape(questions), data: questions },
      },
      { scope: JSON.stringify({ thresholds, prompts, dimensions }) },
    )
  } catch {}
  return scope
}
