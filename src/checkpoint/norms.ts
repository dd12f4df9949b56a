/** @file Size of a tensor's values, a piece at a time. */
import { type CheckpointTensor, elements } from './checkpoint.ts'

/** Of the finite values: L1 and L2 norm, largest magnitude, mean (null when there are none); and how many are not finite. */
export interface TensorNorms {
  readonly l1: number
  readonly l2: number
  readonly max: number
  readonly mean: number | null
  readonly notFinite: number
}

/** Elements in memory at a time. */
const PIECE = 1 << 20

/** Norms in double precision. Throws `TL_UNSUPPORTED` for a dtype without number values. */
export function tensorNorms(tensor: CheckpointTensor): TensorNorms {
  const total = elements(tensor.shape)
  let [l1, squares, sum, max, notFinite] = [0, 0, 0, 0, 0]
  for (let start = 0; start < total; start += PIECE) {
    const values = tensor.f32(start, Math.min(PIECE, total - start))
    for (let i = 0; i < values.length; i++) {
      const value = values[i]!
      const magnitude = Math.abs(value)
      if (!(magnitude < Number.POSITIVE_INFINITY)) {
        notFinite++
        continue
      }
      l1 += magnitude
      squares += value * value
      sum += value
      if (magnitude > max) max = magnitude
    }
  }
  const counted = total - notFinite
  return { l1, l2: Math.sqrt(squares), max, mean: counted === 0 ? null : sum / counted, notFinite }
}
