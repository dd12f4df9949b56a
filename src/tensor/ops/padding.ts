/** @file Surround a tensor; the primitive itself is in pad.ts. */
import { apply, scalar, Tensor, type TensorLike } from '../tensor.ts'

export interface PadOptions {
  readonly low: readonly number[]
  readonly high: readonly number[]
  readonly interior?: readonly number[]
  readonly value?: TensorLike
}

/** Add `low`, `high` and `interior` (between neighbours) elements of `value` (default 0) to each axis. */
export function pad(x: Tensor, { low, high, interior = low.map(() => 0), value = 0 }: PadOptions): Tensor {
  if ([...low, ...high].every((n) => n === 0) && interior.every((n, i) => n === 0 || x.shape[i]! <= 1))
    return x
  const fill = value instanceof Tensor ? value : scalar(value, x.dtype)
  return apply('pad', [x, fill], { low: [...low], high: [...high], interior: [...interior] })
}
