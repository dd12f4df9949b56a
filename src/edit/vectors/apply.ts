/** @file θ₀ + s·τ: a model from a base and a task vector. */
import { existsSync, statSync } from 'node:fs'
import { fail } from '../../base/index.ts'
import {
  type Checkpoint,
  type CheckpointTensor,
  copyCompanions,
  elements,
  encodeF32,
  isConvertible,
  type StoredDtype,
  shardedWriter,
  writeSafetensors,
} from '../../checkpoint/index.ts'
import { refuseOccupied } from '../merge/execute/state.ts'
import { checkFinite, piece, type TaskVector, tensorMark, type VectorTensor } from './source.ts'

/** Does the vector belong to this model? Unless `isForced`, the values that it was taken from must be the model's. */
function checkBase(base: Checkpoint, vector: TaskVector, isForced: boolean): void {
  for (const [name, { shape }] of vector.tensors) {
    const own = base.tensors.get(name)
    if (!own)
      fail(
        'TL_SHAPE_MISMATCH',
        `${vector.path}: it changes ${name}, which ${base.path} does not have; it belongs to another architecture`,
      )
    if (own!.shape.join() !== shape.join())
      fail(
        'TL_SHAPE_MISMATCH',
        `${name}: ${base.path} has shape [${own!.shape.join(', ')}], ${vector.path} has [${shape.join(', ')}]`,
      )
    const mark = vector.marks[name]
    if (mark !== undefined && !isForced && mark !== tensorMark(own!))
      fail(
        'TL_BAD_ARGUMENT',
        `${vector.path} starts from another model (${vector.base ?? 'unknown'}) than ${base.path}: ${name} differs; --force applies it all the same`,
      )
  }
}

/** The first magnitude that rounds to infinity. */
const limits: Readonly<Record<string, number>> = { F16: 65_520, BF16: (2 - 2 ** -8) * 2 ** 127 }

/** One tensor of the result, in pieces: an element without change stays bit for bit what it is. */
function* changed(tensor: CheckpointTensor, delta: VectorTensor, scale: number, dtype: string, path: string) {
  const total = elements(tensor.shape)
  for (let start = 0; start < total; start += piece) {
    const count = Math.min(piece, total - start)
    const values = tensor.f32(start, count)
    const changes = delta.f32(start, count)
    for (let i = 0; i < count; i++) if (changes[i] !== 0) values[i] = values[i]! + scale * changes[i]!
    checkFinite(values, start, tensor.name, path)
    const bytes = encodeF32(values, dtype)
    const limit = limits[dtype]
    const at = limit === undefined ? -1 : values.findIndex((value) => Math.abs(value) >= limit)
    if (at >= 0)
      fail('TL_NOT_FINITE', `${tensor.name}: element ${start + at} is ${values[at]}, beyond ${dtype}`)
    yield bytes
  }
}

/**
 * Write θ₀ + scale · τ: to a `.safetensors` file, or to a folder with the configuration and tokenizer of the base. Computed
 * in double precision, rounded once to f32 and then to the base's type; with scale 0, and where the vector has no tensor,
 * the base's bytes. Throws TL_SHAPE_MISMATCH, TL_BAD_ARGUMENT for another base (unless `force`), TL_NOT_FINITE, TL_IO.
 */
export function applyVector(
  base: Checkpoint,
  vector: TaskVector,
  out: string,
  { scale = 1, force = false }: { scale?: number; force?: boolean } = {},
): { tensors: number; changed: number } {
  if (!Number.isFinite(scale)) fail('TL_BAD_ARGUMENT', `scale: expected a finite number, got ${scale}`)
  checkBase(base, vector, force)
  const plan = [...base.tensors.values()].map((tensor) => {
    const delta = scale === 0 ? undefined : vector.tensors.get(tensor.name)
    // quantized types cannot be written again
    const dtype = delta && !isConvertible(tensor.dtype) ? 'F32' : tensor.dtype
    const data = () => (delta ? changed(tensor, delta, scale, dtype, out) : [tensor.bytes()])
    return { name: tensor.name, dtype, shape: tensor.shape, data, isChanged: delta !== undefined }
  })
  const outcome = { tensors: plan.length, changed: plan.filter(({ isChanged }) => isChanged).length }
  if (out.endsWith('.safetensors')) {
    const entries = plan.map(
      ({ name, dtype, shape, data }) => [name, { dtype: dtype as StoredDtype, shape, data }] as const,
    )
    writeSafetensors(out, entries, { format: 'pt' })
    return outcome
  }
  refuseOccupied(out)
  const writer = shardedWriter(out, { metadata: { format: 'pt' } })
  for (const { name, dtype, shape, data } of plan) writer.write(name, dtype, shape, data())
  writer.finish()
  if (existsSync(base.path) && statSync(base.path).isDirectory()) copyCompanions(base.path, out, undefined)
  return outcome
}
