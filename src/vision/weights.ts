/** @file Weights of a network by their names in a checkpoint: each is there, with finite numbers, in the shape that is expected. */
import { fail, nearest } from '../base/index.ts'
import type { Checkpoint } from '../checkpoint/index.ts'
import { sameShape, type Tensor, tensor } from '../tensor/index.ts'

/** A weight as it is stored, in f32; `whose` ends the message where it is missing. Throws `TL_BAD_FILE`. */
export function storedWeight(
  weights: Checkpoint,
  name: string,
  whose: string,
): { shape: readonly number[]; data: Float32Array } {
  const found = weights.tensors.get(name)
  if (!found) {
    const hint = nearest(name, [...weights.tensors.keys()])
    return fail(
      'TL_BAD_FILE',
      `${weights.path}: no tensor "${name}"${hint === undefined ? '' : ` (did you mean "${hint}"?)`}: expected the weights of ${whose}`,
    )
  }
  const data = found.f32()
  const bad = data.findIndex((value) => !Number.isFinite(value))
  if (bad >= 0) fail('TL_BAD_FILE', `${weights.path}: tensor "${name}" has ${data[bad]} at element ${bad}`)
  return { shape: found.shape, data }
}

/** A weight by its name and shape, as f32. Throws `TL_BAD_FILE`. */
export type WeightReader = (name: string, ...shape: number[]) => Tensor

/** Weights of a checkpoint whose names begin with `prefix`. */
export const weightReader =
  (weights: Checkpoint, whose: string, prefix = ''): WeightReader =>
  (ownName, ...shape) => {
    const name = `${prefix}${ownName}`
    const stored = storedWeight(weights, name, whose)
    if (!sameShape(stored.shape, shape))
      fail(
        'TL_BAD_FILE',
        `${weights.path}: tensor "${name}" is [${stored.shape}], expected [${shape}] by the configuration`,
      )
    return tensor(stored.data, { shape })
  }
