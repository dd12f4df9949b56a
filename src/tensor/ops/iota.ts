/** @file Counting along an axis, and what is made by it: ranges, one-hot vectors, triangular masks. */
import { type Dtype, fromFloat64, sizeOf } from '../dtype.ts'
import { apply, type Tensor } from '../tensor.ts'
import { add } from './arithmetic.ts'
import { broadcastTo, flatIndices } from './broadcast.ts'
import { axisOf, requireIndices } from './indices.ts'
import { cast, equal, greaterEqual } from './logic.ts'
import { normalizeAxis, reshape } from './shape.ts'
import { defineOp, noDerivative } from './table.ts'

defineOp('iota', {
  shape: (_, { shape, dtype }) => [{ shape: shape as number[], dtype: dtype as Dtype }],
  reference: (_, attributes) => {
    const shape = attributes['shape'] as number[]
    return [
      Float64Array.from(
        flatIndices(
          shape,
          shape.map((_, i) => (i === axisOf(attributes) ? 1 : 0)),
        ),
      ),
    ]
  },
  jvp: noDerivative,
  vjp: () => [],
  vmap: (node, _, __, size) => [broadcastTo(node.outputs[0]!, [size, ...node.outputs[0]!.shape])],
  onnx: (e, _, node) => {
    const { shape, dtype } = node.outputs[0]!
    const axis = axisOf(node.attributes)
    const n = shape[axis]!
    const line = e.constant(
      fromFloat64(
        Array.from({ length: n }, (_, i) => i),
        dtype,
      ),
      shape.map((_, i) => (i === axis ? n : 1)),
    )
    if (sizeOf(shape) === n) return [line]
    return dtype === 'u32'
      ? [e.cast(e.node('Expand', [e.cast(line, 'i64'), e.ints(shape)]), 'u32')]
      : [e.node('Expand', [line, e.ints(shape)])]
  },
})

/** 0, 1, 2, … along one axis of a shape. */
export const iota = (shape: readonly number[], axis = 0, dtype: Dtype = 'i32'): Tensor =>
  apply('iota', [], { shape: [...shape], axis: normalizeAxis('iota', axis, shape.length), dtype })

/** 0, 1, …, n − 1. */
export const arange = (n: number, dtype: Dtype = 'i32'): Tensor => iota([n], 0, dtype)

/** One-hot vectors along a new last axis: [...] ↦ [..., classes]. */
export function oneHot(labels: Tensor, classes: number, dtype: Dtype = 'f32'): Tensor {
  requireIndices('oneHot', labels)
  const positions = iota([classes], 0, labels.dtype)
  return cast(equal(reshape(labels, [...labels.shape, 1]), positions), dtype)
}

/** The lower triangle of a matrix of booleans: row ≥ column − offset. Causal masks are `triangularMask(T)`. */
export const triangularMask = (rows: number, columns = rows, offset = 0): Tensor =>
  greaterEqual(add(iota([rows, columns], 0), offset), iota([rows, columns], 1))
