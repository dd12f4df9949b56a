/** @file θ₀ + s·τ: a model from a base and a task vector. */
import { resolve } from 'node:path'
import { fail, finish, type Steps } from '../../base/index.ts'
import { checkFile, formatOf, statusOf, writingOutput } from '../../base/outputs.ts'
import {
  alignedNames,
  type Checkpoint,
  type CheckpointTensor,
  companionsOf,
  copyCompanions,
  elements,
  encodeF32,
  inputFiles,
  isConvertible,
  type StoredDtype,
  safetensorsChunks,
  tiedTo,
  writingModel,
} from '../../checkpoint/index.ts'
import {
  checkFinite,
  type OnTensor,
  piece,
  type TaskVector,
  tensorMark,
  type VectorTensor,
} from './source.ts'

/** A tensor of the result: what it was, and its change. */
interface Row {
  readonly name: string
  readonly from: CheckpointTensor
  readonly delta: VectorTensor | undefined
}

/** The vector's name for each of the base's tensors, and the head that it gives to a base whose head is tied. */
function rowsOf(base: Checkpoint, vector: TaskVector): Row[] {
  const names = alignedNames(vector.tensors.keys(), base.tensors)
  const deltas = new Map([...vector.tensors].map(([name, delta]) => [names.get(name)!, delta]))
  const rows = [...base.tensors].map(([name, from]): Row => ({ name, from, delta: deltas.get(name) }))
  for (const [name, delta] of deltas) {
    if (base.tensors.has(name)) continue
    const table = tiedTo(name, base.tensors)
    if (table === undefined)
      fail(
        'TL_SHAPE_MISMATCH',
        `${vector.path}: it changes ${name}, which ${base.path} does not have; it belongs to another architecture`,
      )
    rows.push({ name, from: base.tensors.get(table!)!, delta })
  }
  return rows
}

/** Does the vector belong to this model? Unless `anyBase`, the values that it was taken from must be the model's. */
function checkBase(base: Checkpoint, vector: TaskVector, rows: readonly Row[], anyBase: boolean): void {
  for (const { name, from, delta } of rows) {
    if (!delta) continue
    if (from.shape.join() !== delta.shape.join())
      fail(
        'TL_SHAPE_MISMATCH',
        `${name}: ${base.path} has shape [${from.shape.join(', ')}], ${vector.path} has [${delta.shape.join(', ')}]`,
      )
    const mark = vector.marks[delta.name] ?? vector.marks[name]
    if (mark !== undefined && !anyBase && mark !== tensorMark(from))
      fail(
        'TL_BAD_ARGUMENT',
        `${vector.path} starts from another model (${vector.base ?? 'unknown'}) than ${base.path}: ${name} differs; --any-base applies it all the same`,
      )
  }
}

/** The first magnitude that rounds to infinity. */
const limits: Readonly<Record<string, number>> = { F16: 65_520, BF16: (2 - 2 ** -8) * 2 ** 127 }

/** One tensor of the result, in pieces: an element without change stays bit for bit what it is. */
function* changed(
  { name, from: tensor }: Row,
  delta: VectorTensor,
  scale: number,
  dtype: string,
  path: string,
) {
  const total = elements(tensor.shape)
  for (let start = 0; start < total; start += piece) {
    const count = Math.min(piece, total - start)
    const values = tensor.f32(start, count)
    const changes = delta.f32(start, count)
    for (let i = 0; i < count; i++) if (changes[i] !== 0) values[i] = values[i]! + scale * changes[i]!
    checkFinite(values, start, name, path)
    const bytes = encodeF32(values, dtype)
    const limit = limits[dtype]
    const at = limit === undefined ? -1 : values.findIndex((value) => Math.abs(value) >= limit)
    if (at >= 0) fail('TL_NOT_FINITE', `${name}: element ${start + at} is ${values[at]}, beyond ${dtype}`)
    yield bytes
  }
}

/** How to apply a vector. */
export interface ApplyOptions {
  readonly scale?: number
  /** Also to another model of the same shapes than the vector was taken from. */
  readonly anyBase?: boolean
  /** Replace the file or the model that is there. Never an input. */
  readonly force?: boolean
  /** Called before each tensor. */
  readonly onTensor?: OnTensor
  /** Called when so many tensors of a folder are finished: they are kept, and the same call goes on after them. */
  readonly onKept?: (tensors: number) => void
}

/**
 * Write θ₀ + scale · τ: to a `.safetensors` file, or to a folder with the configuration and tokenizer of the base. Computed
 * in double precision, rounded once to f32 and then to the base's type; with scale 0, and where the vector has no tensor,
 * the base's bytes. Throws TL_SHAPE_MISMATCH, TL_BAD_ARGUMENT for another base (unless `anyBase`), TL_NOT_FINITE, TL_EXISTS
 * for an output that is taken (unless `force`), TL_USAGE for one that is an input, TL_IO.
 */
export const applyVector = (
  base: Checkpoint,
  vector: TaskVector,
  out: string,
  options: ApplyOptions = {},
): Applied => finish(applying(base, vector, out, options))

/** What was written. */
export interface Applied {
  readonly tensors: number
  readonly changed: number
  readonly isUnchanged: boolean
}

/** The same in steps. */
export function* applying(
  base: Checkpoint,
  vector: TaskVector,
  out: string,
  { scale = 1, anyBase = false, force = false, onTensor, onKept }: ApplyOptions = {},
): Steps<Applied> {
  if (!Number.isFinite(scale)) fail('TL_BAD_ARGUMENT', `scale: expected a finite number, got ${scale}`)
  const format = formatOf(out, ['.safetensors'], { folder: true })
  const rule = { inputs: [base.path, vector.path].flatMap(inputFiles), force }
  if (format !== 'folder') checkFile(out, rule)
  const rows = rowsOf(base, vector)
  checkBase(base, vector, rows, anyBase)
  const plan = rows.map((row) => {
    const { name, from } = row
    const delta = scale === 0 ? undefined : row.delta
    // quantized types cannot be written again
    const dtype = delta && !isConvertible(from.dtype) ? 'F32' : from.dtype
    const data = function* (index: number) {
      onTensor?.(name, index, rows.length)
      if (delta) yield* changed(row, delta, scale, dtype, out)
      else yield from.bytes()
    }
    return { name, dtype, shape: from.shape, data, isChanged: delta !== undefined }
  })
  const outcome = { tensors: plan.length, changed: plan.filter(({ isChanged }) => isChanged).length }
  if (format !== 'folder') {
    let done = 0
    const entries = plan.map(
      ({ name, dtype, shape, data }) =>
        [name, { dtype: dtype as StoredDtype, shape, data: () => data(done++) }] as const,
    )
    const chunks = safetensorsChunks(entries, { format: 'pt' })
    return { ...outcome, isUnchanged: (yield* writingOutput(out, chunks, rule)) === 'unchanged' }
  }
  const request = [2, resolve(base.path), resolve(vector.path), scale]
  const companions = companionsOf(base.path)
  const { isUnchanged } = yield* writingModel(
    out,
    { task: 'apply', request, ...rule },
    {
      ...{ tensors: plan, onKept },
      // a head of its own, which the embedding no longer is
      companions: (folder) =>
        statusOf(companions)?.isDirectory()
          ? copyCompanions(companions, folder, undefined, rows.length > base.tensors.size)
          : [],
    },
  )
  return { ...outcome, isUnchanged }
}
