/** @file Weights of a network by their names in a checkpoint: each has the shape that the configuration says, and finite numbers. */
import { fail, nearest } from '../base/index.ts'
import type { Checkpoint } from '../checkpoint/index.ts'
import { sameShape, type Tensor, tensor } from '../tensor/index.ts'

/** A weight by its name and shape, as f32. Throws `TL_BAD_FILE`. */
export type WeightReader = (name: string, ...shape: number[]) => Tensor

/** Weights of a checkpoint whose names begin with `prefix`; `whose` ends the message where one is missing. */
export const weightReader =
  (weights: Checkpoint, whose: string, prefix = ''): WeightReader =>
  (ownName, ...shape) => {
    const name = `${prefix}${ownName}`
    const found = weights.tensors.get(name)
    if (!found) {
      const hint = nearest(name, [...weights.tensors.keys()])
      return fail(
        'TL_BAD_FILE',
        `${weights.path}: no tensor "${name}"${hint === undefined ? '' : ` (did you mean "${hint}"?)`}: expected the weights of ${whose}`,
      )
    }
    if (!sameShape(found.shape, shape))
      fail(
        'TL_BAD_FILE',
        `${weights.path}: tensor "${name}" is [${found.shape}], expected [${shape}] by the configuration`,
      )
    const data = found.f32()
    const bad = data.findIndex((value) => !Number.isFinite(value))
    if (bad >= 0) fail('TL_BAD_FILE', `${weights.path}: tensor "${name}" has ${data[bad]} at element ${bad}`)
    return tensor(data, { shape })
  }
