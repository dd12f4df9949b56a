/** @file Primitives that read and write by index: iota, gather, scatter-add, their along-axis forms, and topK. */
import {
  type Dtype,
  fromFloat64,
  isInteger,
  requireSameDtype,
  type Spec,
  sameShape,
  showSpec,
  sizeOf,
} from '../dtype.ts'
import { fail } from '../mistake.ts'
import type { Emitter } from '../onnx/emitter.ts'
import { type Attributes, apply, applyAll, type Node, type Tensor, zeros } from '../tensor.ts'
import { broadcastTo, flatIndices, stridesOf } from './broadcast.ts'
import { add, cast, equal, greaterEqual, less, logicalAnd, mul, where } from './elementwise.ts'
import { concatenate, sliceAxis } from './pieces.ts'
import { normalizeAxis, reshape, swapAxes, transpose } from './shape.ts'
import { type Dense, defineOp, noDerivative } from './table.ts'

const axisOf = (attributes: Attributes): number => attributes['axis'] as number

function requireIndices(op: string, spec: Spec): void {
  if (!isInteger(spec.dtype))
    fail(
      'TL_DTYPE_MISMATCH',
      `${op}: expected integer indices, got ${showSpec(spec)} (cast them: cast(i, 'i32'))`,
    )
}

/** An index that must lie inside an axis; negative ones count from the back, as in the runtime. */
function inside(op: string, index: number, size: number): number {
  const i = index < 0 ? index + size : index
  if (!(i >= 0 && i < size))
    fail('TL_BAD_ARGUMENT', `${op}: index ${index} is out of range for an axis of size ${size}`)
  return i
}

/** Index types the runtime takes as they are. */
const emitIndices = (e: Emitter, name: string, spec: Spec): string =>
  spec.dtype === 'i64' || spec.dtype === 'i32' ? name : e.cast(name, 'i64')

// --- iota ---

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

// --- gather and scatter-add: whole slices ---

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
  shape: ([x, indices], attributes) => {
    requireIndices('gather', indices!)
    return [{ shape: gatherShape(x!, indices!, axisOf(attributes)), dtype: x!.dtype }]
  },
  reference: ([x, indices], attributes) => [
    Float64Array.from(gatherPlaces('gather', x!, indices!, axisOf(attributes)), (at) => x!.values[at]!),
  ],
  jvp: (node, [t]) => [t && apply('gather', [t, node.inputs[1]!], node.attributes)],
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
  jvp: (node, [tx, _, tu]) => {
    const [x, indices, updates] = node.inputs as [Tensor, Tensor, Tensor]
    return [
      apply(
        'scatterAdd',
        [tx ?? zeros(x.shape, x.dtype), indices, tu ?? zeros(updates.shape, x.dtype)],
        node.attributes,
      ),
    ]
  },
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

// --- along an axis: one index for each element ---

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
  shape: ([x, indices], attributes) => {
    requireAlong('takeAlong', x!, indices!, axisOf(attributes))
    return [{ shape: indices!.shape, dtype: x!.dtype }]
  },
  reference: ([x, indices], attributes) => [
    alongPlaces('takeAlong', x!, indices!, axisOf(attributes)).map((at) => x!.values[at]!),
  ],
  jvp: (node, [t]) => [t && apply('takeAlong', [t, node.inputs[1]!], node.attributes)],
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
  jvp: (node, [tx, _, tu]) => {
    const [x, indices, updates] = node.inputs as [Tensor, Tensor, Tensor]
    return [
      apply(
        'scatterAlong',
        [tx ?? zeros(x.shape, x.dtype), indices, tu ?? zeros(updates.shape, x.dtype)],
        node.attributes,
      ),
    ]
  },
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

// --- topK and sorting, along the last axis ---

defineOp('topK', {
  shape: ([x], attributes) => {
    const k = attributes['k'] as number
    const n = x!.shape.at(-1) ?? 0
    if (!(Number.isInteger(k) && k >= 0 && k <= n) || x!.shape.length === 0)
      fail('TL_BAD_ARGUMENT', `topK: expected 0 ≤ k ≤ ${n} for ${showSpec(x!)}, got ${k}`)
    const shape = x!.shape.with(-1, k)
    return [
      { shape, dtype: x!.dtype },
      { shape, dtype: 'i32' },
    ]
  },
  reference: ([x], attributes) => {
    const k = attributes['k'] as number
    const n = x!.shape.at(-1)!
    const direction = attributes['largest'] ? -1 : 1
    const rows = n === 0 ? 0 : x!.values.length / n
    const values = new Float64Array(rows * k)
    const indices = new Float64Array(rows * k)
    for (let r = 0; r < rows; r++) {
      const row = x!.values.subarray(r * n, (r + 1) * n)
      const order = Array.from(row.keys()).sort((i, j) => direction * (row[i]! - row[j]!) || i - j)
      for (let i = 0; i < k; i++) {
        indices[r * k + i] = order[i]!
        values[r * k + i] = row[order[i]!]!
      }
    }
    return [values, indices]
  },
  jvp: (node, [t]) => [t && takeAlong(t, node.outputs[1]!), null],
  vjp: (node, [g]) => {
    const x = node.inputs[0]!
    return [g && scatterAlong(zeros(x.shape, x.dtype), node.outputs[1]!, g)]
  },
  vmap: (node, inputs) => applyAll('topK', inputs, node.attributes),
  onnx: (e, [x], node) => {
    const { k, largest } = node.attributes as { k: number; largest: boolean }
    const { dtype } = node.inputs[0]!
    const source = dtype === 'u32' ? e.cast(x!, 'i64') : x!
    const [values, indices] = e.nodes(
      'TopK',
      [source, e.ints([k])],
      { largest: Number(largest), sorted: 1, axis: -1 },
      { outputs: 2 },
    )
    return [dtype === 'u32' ? e.cast(values!, 'u32') : values!, e.cast(indices!, 'i32')]
  },
})

/** The k largest (or smallest) elements of the last axis, in order, with their places (i32). Ties: the first index first. */
export function topK(
  x: Tensor,
  k: number,
  { largest = true }: { largest?: boolean } = {},
): { values: Tensor; indices: Tensor } {
  const [values, indices] = applyAll('topK', [x], { k, largest })
  return { values: values!, indices: indices! }
}

function along(x: Tensor, axis: number, f: (y: Tensor) => Tensor): Tensor {
  const a = normalizeAxis('sort', axis, x.rank)
  return a === x.rank - 1 ? f(x) : swapAxes(f(swapAxes(x, a, -1)), a, -1)
}

export interface SortOptions {
  /** Largest first. Default: smallest first. */
  readonly descending?: boolean
}

/** Elements in order along an axis. */
export const sort = (x: Tensor, axis = -1, { descending = false }: SortOptions = {}): Tensor =>
  along(x, axis, (y) => topK(y, y.shape.at(-1)!, { largest: descending }).values)

/** Places (i32) that would sort an axis; equal elements keep their order. */
export const argsort = (x: Tensor, axis = -1, { descending = false }: SortOptions = {}): Tensor =>
  along(x, axis, (y) => topK(y, y.shape.at(-1)!, { largest: descending }).indices)

/** Shift elements around the end of an axis. */
export function roll(x: Tensor, shift: number, axis = -1): Tensor {
  const a = normalizeAxis('roll', axis, x.rank)
  const n = x.shape[a]!
  const s = n === 0 ? 0 : ((shift % n) + n) % n
  return s === 0 ? x : concatenate([sliceAxis(x, a, n - s, n), sliceAxis(x, a, 0, n - s)], a)
}
