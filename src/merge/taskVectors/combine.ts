/** @file Sums of task vectors, Σ wᵢτᵢ, written as a file: extraction, negation and scaling are sums of one term. */
import { fail, finish, type Steps } from '../../base/index.ts'
import { checkFile, writingOutput } from '../../base/outputs.ts'
import {
  elements,
  encodeF32,
  inputFiles,
  safetensorsChunks,
  type TensorToWrite,
} from '../../checkpoint/index.ts'
import { alignedVector, checkFinite, type OnTensor, piece, type TaskVector, vectorFormat } from './source.ts'

/** Number types of vector files. */
export const vectorDtypes = { f32: 'F32', bf16: 'BF16', f16: 'F16' } as const
export type VectorDtype = keyof typeof vectorDtypes

/** One term of a sum. */
export interface Term {
  readonly vector: TaskVector
  readonly weight: number
}

/** How to write a sum. */
export interface VectorOptions {
  readonly dtype?: VectorDtype
  /** Also vectors of different base models. */
  readonly anyBase?: boolean
  /** Replace the file that is there. Never an input. */
  readonly force?: boolean
  /** Called before each tensor. */
  readonly onTensor?: OnTensor
}

const shapeText = (shape: readonly number[]): string => `[${shape.join(', ')}]`

/** Vectors of one model only: shapes and, unless `anyBase`, marks of the base agree wherever two have a tensor. */
function checkTogether(terms: readonly Term[], anyBase: boolean): void {
  const first = new Map<string, TaskVector>()
  for (const { vector } of terms)
    for (const [name, { shape }] of vector.tensors) {
      const other = first.get(name)
      if (!other) {
        first.set(name, vector)
        continue
      }
      const own = other.tensors.get(name)!.shape
      if (own.join() !== shape.join())
        fail(
          'TL_SHAPE_MISMATCH',
          `${name}: ${other.path} has shape ${shapeText(own)}, ${vector.path} has ${shapeText(shape)}`,
        )
      const [mark, wanted] = [vector.marks[name], other.marks[name]]
      if (mark !== undefined && wanted !== undefined && mark !== wanted && !anyBase)
        fail(
          'TL_BAD_ARGUMENT',
          `${other.path} and ${vector.path} start from different models (${other.base} and ${vector.base}; ${name} differs); --any-base adds them all the same`,
        )
    }
}

/** Elements of the sum; terms without the tensor count as zero. Sums in double precision, rounded once to f32. */
function sumOf(terms: readonly Term[], name: string, start: number, count: number): Float32Array {
  const sum = new Float64Array(count)
  for (const { vector, weight } of terms) {
    const tensor = vector.tensors.get(name)
    if (!tensor) continue
    const values = tensor.f32(start, count)
    for (let i = 0; i < count; i++) sum[i]! += weight * values[i]!
  }
  return Float32Array.from(sum)
}

/** The sum in words. */
function recipeOf(terms: readonly Term[]): string {
  const [only] = terms
  if (terms.length === 1 && only!.weight === 1) return only!.vector.recipe
  return terms
    .map(({ vector, weight }) => `${weight === 1 ? '' : `${weight} · `}(${vector.recipe})`)
    .join(' + ')
}

/**
 * Write Σ wᵢτᵢ to a safetensors file, in pieces, atomically. Rounded once to f32 and then to `dtype`. Throws
 * TL_SHAPE_MISMATCH, TL_BAD_ARGUMENT for vectors of different bases (unless `anyBase`), TL_NOT_FINITE, TL_EXISTS for a file
 * that is there with other bytes (unless `force`), TL_USAGE for an input, TL_IO.
 */
export const writeVector = (
  out: string,
  terms: readonly Term[],
  options: VectorOptions = {},
): WrittenVector => finish(writingVector(out, terms, options))

/** What was written. */
export interface WrittenVector {
  readonly tensors: number
  readonly elements: number
  readonly isUnchanged: boolean
}

/** The same in steps. */
export function* writingVector(
  out: string,
  given: readonly Term[],
  { dtype = 'f32', anyBase = false, force = false, onTensor }: VectorOptions = {},
): Steps<WrittenVector> {
  const terms = given.map(({ vector, weight }) => ({
    vector: alignedVector(vector, given[0]!.vector),
    weight,
  }))
  const inputs = terms.flatMap(({ vector: { path, base } }) =>
    [path, base].flatMap((input) => (input === undefined ? [] : inputFiles(input))),
  )
  checkFile(out, { inputs })
  checkTogether(terms, anyBase)
  const names = [...new Set(terms.flatMap(({ vector }) => [...vector.tensors.keys()]))]
  const stored = vectorDtypes[dtype]
  let [count, done] = [0, 0]
  const entries = names.map((name): [string, TensorToWrite] => {
    const { shape } = terms.find(({ vector }) => vector.tensors.has(name))!.vector.tensors.get(name)!
    const total = elements(shape)
    count += total
    const data = function* () {
      onTensor?.(name, done++, names.length)
      for (let start = 0; start < total; start += piece) {
        const sum = checkFinite(
          sumOf(terms, name, start, Math.min(piece, total - start)),
          start,
          name,
          'the sum',
        )
        if (dtype === 'f16') {
          const at = sum.findIndex((value) => Math.abs(value) >= 65520)
          if (at >= 0)
            fail('TL_NOT_FINITE', `${name}: element ${start + at} is ${sum[at]}, beyond f16; use bf16 or f32`)
        }
        yield encodeF32(sum, stored)
      }
    }
    return [name, { dtype: stored, shape, data }]
  })
  const marks = Object.assign({}, ...terms.map(({ vector }) => vector.marks).reverse()) as Record<
    string,
    string
  >
  const base = terms.find(({ vector }) => vector.base !== undefined)?.vector.base
  const chunks = safetensorsChunks(entries, {
    format: vectorFormat,
    ...(base === undefined ? {} : { base }),
    base_marks: JSON.stringify(marks),
    recipe: recipeOf(terms),
  })
  const isUnchanged = (yield* writingOutput(out, chunks, { inputs, force })) === 'unchanged'
  return { tensors: names.length, elements: count, isUnchanged }
}
