/** @file Primitives that give the same elements another shape: reshape, transpose, broadcast. */
import { requireShape, type Spec, sameShape, showSpec, sizeOf } from '../dtype.ts'
import { fail } from '../mistake.ts'
import { interleaved, repeated } from '../onnx/blocked-neighbours.ts'
import type { Emitter } from '../onnx/emitter.ts'
import { firstOf } from '../onnx/fusion.ts'
import { apply, requireTensor, type Tensor } from '../tensor.ts'
import { broadcastIndices, broadcastTo, flatIndices, stridesOf, unbroadcast } from './broadcast.ts'
import { type Dense, defineOp } from './table.ts'

/** The elements of `x` at flat indices. */
export const pick = (x: Dense, indices: Int32Array): Float64Array =>
  Float64Array.from(indices, (i) => x.values[i]!)
/** 0 … n − 1 */
export const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i)

/** An axis given as −rank…rank−1, made non-negative; out of range is an error naming the operation. */
export function normalizeAxis(op: string, axis: number, rank: number): number {
  const a = axis < 0 ? axis + rank : axis
  if (!Number.isInteger(axis) || a < 0 || a >= rank)
    fail(
      'TL_BAD_ARGUMENT',
      `${op}: axis ${axis} is out of range for a tensor of rank ${rank} (expected ${-rank} … ${rank - 1})`,
    )
  return a
}

// --- reshape ---

defineOp('reshape', {
  linear: [0],
  elements: 'moved',
  simplify: ([x], { attributes, outputs: [y] }) => {
    if (sameShape(x!.shape, y!.shape)) return x
    return x!.node.op === 'reshape' ? apply('reshape', x!.node.inputs, attributes) : undefined
  },
  fused: firstOf(repeated, interleaved),
  shape: ([x], { shape }) => {
    if (sizeOf(shape as number[]) !== sizeOf(x!.shape))
      fail(
        'TL_SHAPE_MISMATCH',
        `reshape: ${showSpec(x!)} has ${sizeOf(x!.shape)} elements, shape [${shape}] needs ${sizeOf(shape as number[])}`,
      )
    return [{ shape: shape as number[], dtype: x!.dtype }]
  },
  reference: ([x]) => [x!.values],
  vjp: (node, [g]) => [g && reshape(g, node.inputs[0]!.shape)],
  vmap: (node, [x], _, size) => [reshape(x!, [size, ...node.outputs[0]!.shape])],
  onnx: (e, [x], node) => [e.reshape(x!, node.outputs[0]!.shape)],
})

/** The same elements under another shape; one entry may be −1 and is inferred. */
export function reshape(x: Tensor, shape: readonly number[]): Tensor {
  requireTensor('reshape', x)
  requireShape('reshape', Array.isArray(shape) ? shape.map((n) => (n === -1 ? 0 : n)) : shape)
  const unknown = shape.indexOf(-1)
  let target = [...shape]
  if (unknown >= 0) {
    const rest = sizeOf(shape.filter((_, i) => i !== unknown))
    if (shape.lastIndexOf(-1) !== unknown || rest === 0 || x.size % rest !== 0)
      fail('TL_SHAPE_MISMATCH', `reshape: cannot infer −1 in [${shape}] for ${showSpec(x)}`)
    target = shape.map((n) => (n === -1 ? x.size / rest : n))
  }
  return sameShape(x.shape, target) ? x : apply('reshape', [x], { shape: target })
}

/** All elements in one axis. */
export const flatten = (x: Tensor): Tensor => reshape(x, [x.size])

/** Insert an axis of size 1. */
export function expandDims(x: Tensor, axis: number): Tensor {
  const a = normalizeAxis('expandDims', axis, x.rank + 1)
  return reshape(x, [...x.shape.slice(0, a), 1, ...x.shape.slice(a)])
}

/** Drop axes of size 1 (all of them when none is named). */
export function squeeze(x: Tensor, axis?: number): Tensor {
  if (axis === undefined)
    return reshape(
      x,
      x.shape.filter((n) => n !== 1),
    )
  const a = normalizeAxis('squeeze', axis, x.rank)
  if (x.shape[a] !== 1)
    fail('TL_SHAPE_MISMATCH', `squeeze: axis ${axis} of ${showSpec(x)} has size ${x.shape[a]}, expected 1`)
  return reshape(x, x.shape.toSpliced(a, 1))
}

// --- transpose ---

defineOp('transpose', {
  linear: [0],
  elements: 'moved',
  simplify: ([x], { attributes, outputs: [y] }) => {
    const permutation = attributes['permutation'] as number[]
    if (permutation.every((axis, i) => axis === i)) return x
    if (x!.node.op === 'transpose') {
      const before = x!.node.attributes['permutation'] as number[]
      return apply('transpose', x!.node.inputs, { permutation: permutation.map((i) => before[i]!) })
    }
    // moving only axes of size 1 is a reshape
    const moved = permutation.filter((axis) => x!.shape[axis] !== 1)
    const isOrdered = moved.every((axis, i) => i === 0 || axis > moved[i - 1]!)
    return isOrdered ? apply('reshape', [x!], { shape: [...y!.shape] }) : undefined
  },
  shape: ([x], attributes) => {
    const permutation = attributes['permutation'] as number[]
    if (permutation.length !== x!.shape.length || !permutation.every((_, i) => permutation.includes(i)))
      fail(
        'TL_BAD_ARGUMENT',
        `transpose: expected a permutation of 0…${x!.shape.length - 1} for ${showSpec(x!)}, got [${permutation}]`,
      )
    return [{ shape: permutation.map((i) => x!.shape[i]!), dtype: x!.dtype }]
  },
  reference: ([x], { permutation }, [spec]) => {
    const strides = stridesOf(x!.shape)
    return [
      pick(
        x!,
        flatIndices(
          spec!.shape,
          (permutation as number[]).map((i) => strides[i]!),
        ),
      ),
    ]
  },
  vjp: (node, [g]) => {
    const permutation = node.attributes['permutation'] as number[]
    return [
      g &&
        transpose(
          g,
          permutation.map((_, i) => permutation.indexOf(i)),
        ),
    ]
  },
  vmap: (node, [x]) => [
    transpose(x!, [0, ...(node.attributes['permutation'] as number[]).map((i) => i + 1)]),
  ],
  onnx: (e, [x], node) => [e.node('Transpose', [x!], { perm: node.attributes['permutation'] as number[] })],
})

/** Permute axes; without a permutation, reverse them. */
export function transpose(x: Tensor, permutation?: readonly number[]): Tensor {
  requireTensor('transpose', x)
  if (permutation !== undefined && !Array.isArray(permutation))
    fail('TL_BAD_ARGUMENT', `transpose: expected a list of axes, got ${String(permutation)}`)
  const p = permutation
    ? permutation.map((axis) => normalizeAxis('transpose', axis, x.rank))
    : range(x.rank).reverse()
  return p.every((axis, i) => axis === i) && p.length === x.rank
    ? x
    : apply('transpose', [x], { permutation: p })
}

/** Swap two axes. */
export function swapAxes(x: Tensor, a: number, b: number): Tensor {
  const p = range(x.rank)
  const [i, j] = [normalizeAxis('swapAxes', a, x.rank), normalizeAxis('swapAxes', b, x.rank)]
  p[i] = j
  p[j] = i
  return transpose(x, p)
}

// --- broadcastTo ---

defineOp('broadcastTo', {
  linear: [0],
  elements: 'repeated',
  isFoldable: false,
  simplify: ([x], { outputs: [y] }) => (sameShape(x!.shape, y!.shape) ? x : undefined),
  shape: ([x], attributes) => {
    const target = attributes['shape'] as number[]
    const pad = target.length - x!.shape.length
    if (pad < 0 || x!.shape.some((n, i) => n !== 1 && n !== target[pad + i]))
      fail('TL_SHAPE_MISMATCH', `broadcastTo: ${showSpec(x!)} does not broadcast to [${target}]`)
    return [{ shape: target, dtype: x!.dtype }]
  },
  reference: ([x], _, [spec]) => [pick(x!, broadcastIndices(x!.shape, spec!.shape))],
  vjp: (node, [g]) => [g && unbroadcast(g, node.inputs[0]!.shape)],
  vmap: (node, [x], _, size) => {
    const target = node.outputs[0]!.shape
    const [, ...rest] = x!.shape
    const aligned = reshape(x!, [size, ...new Array<number>(target.length - rest.length).fill(1), ...rest])
    return [broadcastTo(aligned, [size, ...target])]
  },
  onnx: (e, [x], node) => [emitExpand(e, x!, node.outputs[0]!)],
})

/** Expand, around the types the runtime lacks. */
export function emitExpand(e: Emitter, x: string, { shape, dtype }: Spec): string {
  if (dtype === 'u32') return e.cast(e.node('Expand', [e.cast(x, 'i64'), e.ints(shape)]), 'u32')
  return e.node('Expand', [x, e.ints(shape)])
}
