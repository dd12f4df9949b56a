/** @file Primitives with one index for each element: takeAlong and scatterAlong. */
import { requireSameDtype, type Spec, sameShape, showSpec } from '../dtype.ts'
import { fail } from '../mistake.ts'
import { apply, type Tensor, zeros } from '../tensor.ts'
import { broadcastTo, flatIndices, stridesOf } from './broadcast.ts'
import { axisOf, emitIndices, inside, requireIndices, scatterJvp } from './indices.ts'
import { normalizeAxis } from './shape.ts'
import { type Dense, defineOp } from './table.ts'

/** Flat place in x addressed by each element of `indices` (shape of x but for the axis). */
function alongPlaces(op: string, x: Spec, indices: Dense, axis: number): Float64Array {
  const strides = stridesOf(x.shape)
  const bases = flatIndices(
    indices.shape,
    strides.map((s, i) => (i === axis ? 0 : s)),
  )
  return indices.values.map((index, k) => bases[k]! + inside(op, index, x.shape[axis]!) * strides[axis]!)
}

function requireAlong(op: string, x: Spec, indices: Spec, axis: number): void {
  requireIndices(op, indices)
  if (indices.shape.length !== x.shape.length || indices.shape.some((n, i) => i !== axis && n !== x.shape[i]))
    fail(
      'TL_SHAPE_MISMATCH',
      `${op}: indices for ${showSpec(x)} may differ from it only in axis ${axis}, got ${showSpec(indices)}`,
    )
}

defineOp('takeAlong', {
  linear: [0],
  shape: ([x, indices], attributes) => {
    requireAlong('takeAlong', x!, indices!, axisOf(attributes))
    return [{ shape: indices!.shape, dtype: x!.dtype }]
  },
  reference: ([x, indices], attributes) => [
    alongPlaces('takeAlong', x!, indices!, axisOf(attributes)).map((at) => x!.values[at]!),
  ],
  vjp: (node, [g]) => {
    const [x, indices] = node.inputs as [Tensor, Tensor]
    return [g && apply('scatterAlong', [zeros(x.shape, x.dtype), indices, g], node.attributes), null]
  },
  vmap: (node, inputs, batched, size) => [
    apply(
      'takeAlong',
      inputs.map((x, i) => (batched[i] ? x : broadcastTo(x, [size, ...x.shape]))),
      { axis: axisOf(node.attributes) + 1 },
    ),
  ],
  onnx: (e, [x, indices], node) => [
    e.node('GatherElements', [x!, emitIndices(e, indices!, node.inputs[1]!)], {
      axis: axisOf(node.attributes),
    }),
  ],
})

defineOp('scatterAlong', {
  shape: ([x, indices, updates], attributes) => {
    requireAlong('scatterAlong', x!, indices!, axisOf(attributes))
    requireSameDtype('scatterAlong', [x!, updates!])
    if (!sameShape(updates!.shape, indices!.shape))
      fail(
        'TL_SHAPE_MISMATCH',
        `scatterAlong: expected one update for each index, got ${showSpec(updates!)} for ${showSpec(indices!)}`,
      )
    return [{ shape: x!.shape, dtype: x!.dtype }]
  },
  reference: ([x, indices, updates], attributes) => {
    const out = x!.values.slice()
    for (const [k, at] of alongPlaces('scatterAlong', x!, indices!, axisOf(attributes)).entries())
      out[at]! += updates!.values[k]!
    return [out]
  },
  jvp: scatterJvp('scatterAlong'),
  vjp: (node, [g]) => [g, null, g && apply('takeAlong', [g, node.inputs[1]!], node.attributes)],
  vmap: (node, inputs, batched, size) => [
    apply(
      'scatterAlong',
      inputs.map((x, i) => (batched[i] ? x : broadcastTo(x, [size, ...x.shape]))),
      { axis: axisOf(node.attributes) + 1 },
    ),
  ],
  onnx: (e, [x, indices, updates], node) => {
    if (node.inputs[2]!.size === 0) return [x!]
    const places = emitIndices(e, indices!, node.inputs[1]!)
    return [
      e.node('ScatterElements', [x!, places, updates!], { axis: axisOf(node.attributes), reduction: 'add' }),
    ]
  },
})

/** Element x[…, indices[…], …] for every index; the shapes agree but for the axis. */
export const takeAlong = (x: Tensor, indices: Tensor, axis = -1): Tensor =>
  apply('takeAlong', [x, indices], { axis: normalizeAxis('takeAlong', axis, x.rank) })

/** x with `updates` added at x[…, indices[…], …]; equal indices accumulate. */
export const scatterAlong = (x: Tensor, indices: Tensor, updates: Tensor, axis = -1): Tensor =>
  apply('scatterAlong', [x, indices, updates], { axis: normalizeAxis('scatterAlong', axis, x.rank) })
