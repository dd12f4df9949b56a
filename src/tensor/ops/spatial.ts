/** @file Options of convolutions and pooling over one axis or two, and signals as images of one row. */
import type { Tensor } from '../tensor.ts'
import type { Pair } from './convGeometry.ts'
import { reshape } from './shape.ts'

/** One number for each of two axes; signals have a height of 1. */
export const spatial = (
  value: number | readonly number[] | undefined,
  otherwise: number,
  axes: number,
): Pair => {
  const list =
    typeof value === 'number' || value === undefined
      ? new Array<number>(axes).fill(value ?? otherwise)
      : value
  return (axes === 1 ? [otherwise, list[0]!] : [list[0]!, list[1]!]) as Pair
}

/** Append a height of 1, so that one-dimensional signals are images of one row. */
export const lift = (x: Tensor): Tensor => reshape(x, [x.shape[0]!, x.shape[1]!, 1, x.shape[2]!])
/** Inverse of `lift`. */
export const lower = (x: Tensor): Tensor => reshape(x, [x.shape[0]!, x.shape[1]!, x.shape[3]!])
