/** @file Primitives that read and add whole slices by index: gather and scatterAdd. */
import { requireSameDtype, type Spec, sameShape, showSpec, sizeOf } from '../dtype.ts'
import { fail } from '../mistake.ts'
import type { Emitter } from '../onnx/emitter.ts'
import { apply, type Node, type Tensor, zeros } from '../tensor.ts'
import { add, mul } from './arithmetic.ts'
import { broadcastTo } from './broadcast.ts'
import { axisOf, emitIndices, inside, requireIndices, scatterJvp } from './indices.ts'
import { iota } from './iota.ts'
import { greaterEqual, less, logicalAnd, where } from './logic.ts'
import { normalizeAxis, reshape, transpose } from './shape.ts'
import { type Dense, defineOp } from './table.ts'

const gatherShape = (x: Spec, indices: Spec, axis: number): number[] => [
  ...x.shape.slice(0, axis),
  ...indices.shape,
  ...x.shape.slice(axis + 1),
]

/** For each element of a gathered result, the flat place in the source it comes from. */
function gatherPlaces(op: string, source: Spec, indices: Dense, axis: number): Int32Array {
  const outer = sizeOf(source.shape.slice(0, axis))
  const inner = sizeOf(source.shape.slice(axis + 1))
  const n = source.shape[axis]!
  const count = indices.values.length
  const places = new Int32Array(outer * count * inner)
  for (let o = 0, at = 0; o < outer; o++)
    for (let k = 0; k < count; k++) {
      const row = (o * n + inside(op, indices.values[k]!, n)) * inner
      for (let i = 0; i < inner; i++) places[at++] = row + i
    }
  return places
}

defineOp('gather', {
  linear: [0],
  shape: ([x, indices], attributes) => {
    requireIndices('gather', indices!)
    return [{ shape: gatherShape(x!, indices!, axisOf(attributes)), dtype: x!.dtype }]
  },
  reference: ([x, indices], attributes) => [
    Float64Array.from(gatherPlaces('gather', x!, indices!, axisOf(attributes)), (at) => x!.values[at]!),
  ],
  vjp: (node, [g]) => {
    const [x, indices] = node.inputs as [Tensor, Tensor]
    return [g && apply('scatterAdd', [zeros(x.shape, x.dtype), indices, g], node.attributes), null]
  },
  vmap: (node, [x, indices], [hasX, hasIndices], size) => {
    const axis = axisOf(node.attributes)
    if (!hasIndices) return [apply('gather', [x!, indices!], { axis: axis + 1 })]
    const rank = node.inputs[1]!.rank
    if (!hasX) {
      // the batch axis of the indices lands at `axis`: bring it to the front
      const y = apply('gather', [x!, indices!], node.attributes)
      return [transpose(y, [axis, ...y.shape.map((_, i) => i).filter((i) => i !== axis)])]
    }
    const { flat, shifted } = mergeBatch(x!, indices!, axis, size)
    const y = apply('gather', [flat, shifted], { axis: 0 }) // [B, ...indices, ...rest of x]
    const before = Array.from({ length: axis }, (_, i) => 1 + rank + i)
    const others = y.shape.map((_, i) => i).filter((i) => !before.includes(i) && i !== 0)
    return [transpose(y, [0, ...before, ...others])]
  },
  onnx: (e, [x, indices], node) => {
    return [
      e.node('Gather', [x!, emitIndices(e, indices!, node.inputs[1]!)], { axis: axisOf(node.attributes) }),
    ]
  },
})

/** Fold a batch axis into the indexed axis: rows of example b start at b·n. */
function mergeBatch(
  x: Tensor,
  indices: Tensor,
  axis: number,
  size: number,
): { flat: Tensor; shifted: Tensor } {
  const n = x.shape[axis + 1]!
  const front = transpose(x, [
    0,
    axis + 1,
    ...x.shape.map((_, i) => i).filter((i) => i !== 0 && i !== axis + 1),
  ])
  const flat = reshape(front, [size * n, ...front.shape.slice(2)])
  const offsets = mul(iota([size], 0, indices.dtype), n)
  // negative indices count from the end of their own example; one that is out of range must not reach into another
  const own = indices.dtype === 'u32' ? indices : where(less(indices, 0), add(indices, n), indices)
  const valid = indices.dtype === 'u32' ? less(own, n) : logicalAnd(less(own, n), greaterEqual(own, 0))
  const placed = add(own, reshape(offsets, [size, ...indices.shape.slice(1).map(() => 1)]))
  const shifted = where(valid, placed, size * n)
  return { flat, shifted }
}

defineOp('scatterAdd', {
  shape: ([x, indices, updates], attributes) => {
    requireIndices('scatterAdd', indices!)
    requireSameDtype('scatterAdd', [x!, updates!])
    const expected = gatherShape(x!, indices!, axisOf(attributes))
    if (!sameShape(updates!.shape, expected))
      fail(
        'TL_SHAPE_MISMATCH',
        `scatterAdd: updates for ${showSpec(x!)} at indices ${showSpec(indices!)} should have shape [${expected}], got ${showSpec(updates!)}`,
      )
    return [{ shape: x!.shape, dtype: x!.dtype }]
  },
  reference: ([x, indices, updates], attributes) => {
    const out = x!.values.slice()
    for (const [k, at] of gatherPlaces('scatterAdd', x!, indices!, axisOf(attributes)).entries())
      out[at]! += updates!.values[k]!
    return [out]
  },
  jvp: scatterJvp('scatterAdd'),
  vjp: (node, [g]) => [g, null, g && apply('gather', [g, node.inputs[1]!], node.attributes)],
  vmap: (node, [x, indices, updates], [hasX, hasIndices, hasUpdates], size) => {
    const axis = axisOf(node.attributes)
    const wideX = hasX ? x! : broadcastTo(x!, [size, ...x!.shape])
    const wideU = hasUpdates ? updates! : broadcastTo(updates!, [size, ...updates!.shape])
    if (!hasIndices) return [apply('scatterAdd', [wideX, indices!, wideU], { axis: axis + 1 })]
    const rank = node.inputs[1]!.rank
    const { flat, shifted } = mergeBatch(wideX, indices!, axis, size)
    // updates [B, before, indices, after] → [B, indices, before, after]
    const order = wideU.shape.map((_, i) => i)
    const at = order.slice(1 + axis, 1 + axis + rank)
    const moved = transpose(wideU, [0, ...at, ...order.slice(1, 1 + axis), ...order.slice(1 + axis + rank)])
    const y = apply('scatterAdd', [flat, shifted, moved], { axis: 0 })
    const n = wideX.shape[axis + 1]!
    const open = reshape(y, [size, n, ...y.shape.slice(1)])
    return [
      transpose(open, [
        0,
        ...Array.from({ length: axis }, (_, i) => i + 2),
        1,
        ...open.shape.map((_, i) => i).slice(2 + axis),
      ]),
    ]
  },
  onnx: (e, names, node) => [emitScatterAdd(e, names, node)],
})

function emitScatterAdd(e: Emitter, [x, indices, updates]: readonly string[], node: Node): string {
  const [source, places, values] = node.inputs as [Tensor, Tensor, Tensor]
  if (values.size === 0) return x!
  const axis = axisOf(node.attributes)
  const rank = places.rank
  const index = e.reshape(e.cast(indices!, 'i64'), [...places.shape, 1])
  if (axis === 0) return e.node('ScatterND', [x!, index, updates!], { reduction: 'add' })
  const order = values.shape.map((_, i) => i)
  const front = e.node('Transpose', [updates!], {
    perm: [...order.slice(axis, axis + rank), ...order.slice(0, axis), ...order.slice(axis + rank)],
  })
  const axes = source.shape.map((_, i) => i)
  const moved = e.node('Transpose', [x!], { perm: [axis, ...axes.filter((i) => i !== axis)] })
  const y = e.node('ScatterND', [moved, index, front], { reduction: 'add' })
  return e.node('Transpose', [y], { perm: [...axes.slice(1, axis + 1), 0, ...axes.slice(axis + 1)] })
}

/** Slices of x at integer indices along an axis: x.shape[:axis] + indices.shape + x.shape[axis+1:]. */
export const gather = (x: Tensor, indices: Tensor, axis = 0): Tensor =>
  apply('gather', [x, indices], { axis: normalizeAxis('gather', axis, x.rank) })

/** x with slices of `updates` added at indices along an axis; equal indices accumulate. */
export const scatterAdd = (x: Tensor, indices: Tensor, updates: Tensor, axis = 0): Tensor =>
  apply('scatterAdd', [x, indices, updates], { axis: normalizeAxis('scatterAdd', axis, x.rank) })
