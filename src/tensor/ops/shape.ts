/** @file Primitives that move elements without changing them: reshape, transpose, broadcast, concatenate, slice, pad, flip. */

import { requireSameDtype, type Spec, sameShape, showSpec, sizeOf } from '../dtype.ts'
import { fail } from '../mistake.ts'
import type { Emitter } from '../onnx/emitter.ts'
import { type Attributes, apply, applyAll, scalar, Tensor, type TensorLike } from '../tensor.ts'
import { broadcastIndices, broadcastTo, flatIndices, stridesOf, unbroadcast } from './broadcast.ts'
import { type Dense, defineOp, type Maybe } from './table.ts'

const pick = (x: Dense, indices: Int32Array): Float64Array => Float64Array.from(indices, (i) => x.values[i]!)
const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i)

/** Cells shared by linear operations of one operand: the tangent goes through the operation itself. */
const linear = (op: string) => ({
  jvp: (node: { attributes: Attributes }, [t]: readonly Maybe[]): Maybe[] => [
    t && apply(op, [t], node.attributes),
  ],
})

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
  shape: ([x], { shape }) => {
    if (sizeOf(shape as number[]) !== sizeOf(x!.shape))
      fail(
        'TL_SHAPE_MISMATCH',
        `reshape: ${showSpec(x!)} has ${sizeOf(x!.shape)} elements, shape [${shape}] needs ${sizeOf(shape as number[])}`,
      )
    return [{ shape: shape as number[], dtype: x!.dtype }]
  },
  reference: ([x]) => [x!.values],
  ...linear('reshape'),
  vjp: (node, [g]) => [g && reshape(g, node.inputs[0]!.shape)],
  vmap: (node, [x], _, size) => [reshape(x!, [size, ...node.outputs[0]!.shape])],
  onnx: (e, [x], node) => [e.reshape(x!, node.outputs[0]!.shape)],
})

/** The same elements under another shape; one entry may be −1 and is inferred. */
export function reshape(x: Tensor, shape: readonly number[]): Tensor {
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
  ...linear('transpose'),
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
  shape: ([x], attributes) => {
    const target = attributes['shape'] as number[]
    const pad = target.length - x!.shape.length
    if (pad < 0 || x!.shape.some((n, i) => n !== 1 && n !== target[pad + i]))
      fail('TL_SHAPE_MISMATCH', `broadcastTo: ${showSpec(x!)} does not broadcast to [${target}]`)
    return [{ shape: target, dtype: x!.dtype }]
  },
  reference: ([x], _, [spec]) => [pick(x!, broadcastIndices(x!.shape, spec!.shape))],
  ...linear('broadcastTo'),
  vjp: (node, [g]) => [g && unbroadcast(g, node.inputs[0]!.shape)],
  vmap: (node, [x], _, size) => {
    const target = node.outputs[0]!.shape
    const [, ...rest] = x!.shape
    const aligned = reshape(x!, [size, ...new Array<number>(target.length - rest.length).fill(1), ...rest])
    return [broadcastTo(aligned, [size, ...target])]
  },
  onnx: (e, [x], node) => [emitExpand(e, x!, node.outputs[0]!)],
})

function emitExpand(e: Emitter, x: string, { shape, dtype }: Spec): string {
  if (dtype === 'u32') return e.cast(e.node('Expand', [e.cast(x, 'i64'), e.ints(shape)]), 'u32')
  return e.node('Expand', [x, e.ints(shape)])
}

// --- concatenate ---

defineOp('concatenate', {
  shape: (inputs, attributes) => {
    const axis = attributes['axis'] as number
    const [first] = inputs
    const dtype = requireSameDtype('concatenate', inputs)
    for (const x of inputs)
      if (
        x.shape.length !== first!.shape.length ||
        x.shape.some((n, i) => i !== axis && n !== first!.shape[i])
      )
        fail(
          'TL_SHAPE_MISMATCH',
          `concatenate: shapes may differ only in axis ${axis}, got ${inputs.map(showSpec).join(', ')}`,
        )
    return [
      {
        shape: first!.shape.with(
          axis,
          inputs.reduce((n, x) => n + x.shape[axis]!, 0),
        ),
        dtype,
      },
    ]
  },
  reference: (inputs, attributes, [spec]) => {
    const axis = attributes['axis'] as number
    const out = new Float64Array(sizeOf(spec!.shape))
    const strides = stridesOf(spec!.shape)
    let start = 0
    for (const x of inputs) {
      const at = flatIndices(x.shape, strides, start * strides[axis]!)
      for (let i = 0; i < at.length; i++) out[at[i]!] = x.values[i]!
      start += x.shape[axis]!
    }
    return [out]
  },
  jvp: (node, tangents) => [
    concatenate(
      tangents.map((t, i) => t ?? broadcastTo(scalar(0, node.inputs[i]!.dtype), node.inputs[i]!.shape)),
      node.attributes['axis'] as number,
    ),
  ],
  vjp: (node, [g]) => {
    const axis = node.attributes['axis'] as number
    let start = 0
    return node.inputs.map((x) => {
      const from = start
      start += x.shape[axis]!
      return g && sliceAxis(g, axis, from, start)
    })
  },
  vmap: (node, inputs, batched, size) => [
    concatenate(
      inputs.map((x, i) => (batched[i] ? x : broadcastTo(x, [size, ...x.shape]))),
      (node.attributes['axis'] as number) + 1,
    ),
  ],
  onnx: (e, inputs, node) => {
    const filled = inputs.filter((_, i) => node.inputs[i]!.size > 0)
    return [
      filled.length === 1
        ? filled[0]!
        : e.node('Concat', filled, { axis: node.attributes['axis'] as number }),
    ]
  },
})

/** Join tensors along an existing axis. */
export function concatenate(inputs: readonly Tensor[], axis = 0): Tensor {
  if (inputs.length === 0)
    fail('TL_BAD_ARGUMENT', 'concatenate: expected at least one tensor, got an empty list')
  const a = normalizeAxis('concatenate', axis, inputs[0]!.rank)
  return inputs.length === 1 ? inputs[0]! : apply('concatenate', inputs, { axis: a })
}

/** Join tensors of one shape along a new axis. */
export const stack = (inputs: readonly Tensor[], axis = 0): Tensor =>
  concatenate(
    inputs.map((x) => expandDims(x, axis)),
    axis,
  )

// --- slice ---

defineOp('slice', {
  shape: ([x], attributes) => {
    const { starts, ends, strides } = attributes as { [key: string]: number[] }
    const shape = x!.shape.map((n, i) => {
      const [start, end, stride] = [starts![i]!, ends![i]!, strides![i]!]
      if (!(start >= 0 && end <= n && start <= end && stride >= 1))
        fail(
          'TL_BAD_ARGUMENT',
          `slice: axis ${i} of ${showSpec(x!)}: expected 0 ≤ start ≤ end ≤ ${n} and stride ≥ 1, got ${start}:${end}:${stride}`,
        )
      return Math.ceil((end - start) / stride)
    })
    return [{ shape, dtype: x!.dtype }]
  },
  reference: ([x], attributes, [spec]) => {
    const { starts, strides } = attributes as { [key: string]: number[] }
    const step = stridesOf(x!.shape)
    const offset = starts!.reduce((sum, s, i) => sum + s * step[i]!, 0)
    return [
      pick(
        x!,
        flatIndices(
          spec!.shape,
          step.map((s, i) => s * strides![i]!),
          offset,
        ),
      ),
    ]
  },
  ...linear('slice'),
  vjp: (node, [g]) => {
    if (!g) return [null]
    const { starts, strides } = node.attributes as { [key: string]: number[] }
    const { shape } = node.inputs[0]!
    const interior = strides!.map((s) => s - 1)
    const covered = g.shape.map((n, i) => starts![i]! + (n > 0 ? (n - 1) * strides![i]! + 1 : 0))
    return [pad(g, { low: starts!, high: shape.map((n, i) => n - covered[i]!), interior })]
  },
  vmap: (node, [x], _, size) => {
    const { starts, ends, strides } = node.attributes as { [key: string]: number[] }
    return [
      apply('slice', [x!], { starts: [0, ...starts!], ends: [size, ...ends!], strides: [1, ...strides!] }),
    ]
  },
  onnx: (e, [x], node) => {
    const { starts, ends, strides } = node.attributes as { [key: string]: number[] }
    const axes = range(node.inputs[0]!.rank).filter(
      (i) => starts![i] !== 0 || ends![i] !== node.inputs[0]!.shape[i] || strides![i] !== 1,
    )
    if (axes.length === 0) return [x!]
    const at = (list: number[]): string => e.ints(axes.map((i) => list[i]!))
    return [e.node('Slice', [x!, at(starts!), at(ends!), e.ints(axes), at(strides!)])]
  },
})

/** Elements start, start + stride, … before end, for each axis. Negative starts and ends count from the back. */
export function slice(
  x: Tensor,
  starts: readonly number[],
  ends: readonly number[],
  strides?: readonly number[],
): Tensor {
  if (starts.length !== x.rank || ends.length !== x.rank || (strides && strides.length !== x.rank))
    fail(
      'TL_BAD_ARGUMENT',
      `slice: expected ${x.rank} starts, ends and strides for ${showSpec(x)}, got [${starts}], [${ends}]${strides ? `, [${strides}]` : ''}`,
    )
  const absolute = (list: readonly number[]): number[] =>
    list.map((v, i) => (v < 0 ? v + x.shape[i]! : Math.min(v, x.shape[i]!)))
  const attributes = {
    starts: absolute(starts),
    ends: absolute(ends),
    strides: [...(strides ?? starts.map(() => 1))],
  }
  const whole = attributes.starts.every(
    (s, i) => s === 0 && attributes.ends[i] === x.shape[i] && attributes.strides[i] === 1,
  )
  return whole ? x : apply('slice', [x], attributes)
}

/** Elements start … end − 1 of one axis. */
export function sliceAxis(x: Tensor, axis: number, start: number, end: number, stride = 1): Tensor {
  const a = normalizeAxis('slice', axis, x.rank)
  return slice(
    x,
    x.shape.map((_, i) => (i === a ? start : 0)),
    x.shape.map((n, i) => (i === a ? end : n)),
    x.shape.map((_, i) => (i === a ? stride : 1)),
  )
}

defineOp('split', {
  shape: ([x], attributes) => {
    const { axis, sizes } = attributes as { axis: number; sizes: number[] }
    return sizes.map((size) => ({ shape: x!.shape.with(axis, size), dtype: x!.dtype }))
  },
  reference: ([x], attributes, specs) => {
    const axis = attributes['axis'] as number
    const strides = stridesOf(x!.shape)
    let start = 0
    return specs.map(({ shape }) => {
      start += shape[axis]!
      return pick(x!, flatIndices(shape, strides, (start - shape[axis]!) * strides[axis]!))
    })
  },
  jvp: (node, [t]) => (t ? applyAll('split', [t], node.attributes) : node.outputs.map(() => null)),
  vjp: (node, cotangents) => [
    concatenate(
      cotangents.map((g, i) => g ?? broadcastTo(scalar(0, node.inputs[0]!.dtype), node.outputs[i]!.shape)),
      node.attributes['axis'] as number,
    ),
  ],
  vmap: (node, [x]) =>
    applyAll('split', [x!], { ...node.attributes, axis: (node.attributes['axis'] as number) + 1 }),
  onnx: (e, [x], node) => {
    const { axis, sizes } = node.attributes as { axis: number; sizes: number[] }
    return e.nodes('Split', [x!, e.ints(sizes)], { axis }, { outputs: sizes.length })
  },
})

/** Cut an axis into pieces: a number of equal ones, or a list of sizes. */
export function split(x: Tensor, parts: number | readonly number[], axis = 0): readonly Tensor[] {
  const a = normalizeAxis('split', axis, x.rank)
  const n = x.shape[a]!
  const sizes = typeof parts === 'number' ? new Array<number>(parts).fill(n / parts) : [...parts]
  if (sizes.reduce((p, q) => p + q, 0) !== n || sizes.some((s) => !Number.isInteger(s) || s < 0))
    fail(
      'TL_SHAPE_MISMATCH',
      `split: axis ${axis} of ${showSpec(x)} has size ${n}, which ${typeof parts === 'number' ? `${parts} does not divide` : `is not the sum of [${parts}]`}`,
    )
  return sizes.length === 1 ? [x] : applyAll('split', [x], { axis: a, sizes })
}

/** One index of an axis; the axis disappears. */
export function select(x: Tensor, axis: number, index: number): Tensor {
  const a = normalizeAxis('select', axis, x.rank)
  const i = index < 0 ? index + x.shape[a]! : index
  if (!(Number.isInteger(i) && i >= 0 && i < x.shape[a]!))
    fail(
      'TL_BAD_ARGUMENT',
      `select: index ${index} is out of range for axis ${axis} of ${showSpec(x)} (size ${x.shape[a]})`,
    )
  return reshape(sliceAxis(x, a, i, i + 1), x.shape.toSpliced(a, 1))
}

// --- pad ---

interface PadAttributes {
  readonly low: readonly number[]
  readonly high: readonly number[]
  readonly interior: readonly number[]
}

defineOp('pad', {
  shape: ([x, value], attributes) => {
    const { low, high, interior } = attributes as unknown as PadAttributes
    requireSameDtype('pad', [x!, value!])
    if ([low, high, interior].some((list) => list.length !== x!.shape.length || list.some((n) => !(n >= 0))))
      fail(
        'TL_BAD_ARGUMENT',
        `pad: expected ${x!.shape.length} non-negative amounts for ${showSpec(x!)}, got low [${low}], high [${high}], interior [${interior}]`,
      )
    return [
      {
        shape: x!.shape.map((n, i) => low[i]! + n + Math.max(0, n - 1) * interior[i]! + high[i]!),
        dtype: x!.dtype,
      },
    ]
  },
  reference: ([x, value], attributes, [spec]) => {
    const { low, interior } = attributes as unknown as PadAttributes
    const strides = stridesOf(spec!.shape)
    const offset = low.reduce((sum, n, i) => sum + n * strides[i]!, 0)
    const at = flatIndices(
      x!.shape,
      strides.map((s, i) => s * (interior[i]! + 1)),
      offset,
    )
    const out = new Float64Array(sizeOf(spec!.shape)).fill(value!.values[0]!)
    for (let i = 0; i < at.length; i++) out[at[i]!] = x!.values[i]!
    return [out]
  },
  jvp: (node, [t, tv]) => {
    const x = node.inputs[0]
    const zero = scalar(0, x!.dtype)
    return [apply('pad', [t ?? broadcastTo(zero, x!.shape), tv ?? zero], node.attributes)]
  },
  vjp: (node, [g]) => {
    if (!g) return [null, null]
    const { low, high, interior } = node.attributes as unknown as PadAttributes
    const x = node.inputs[0]!
    const inside =
      x.size === 0
        ? broadcastTo(scalar(0, x.dtype), x.shape)
        : slice(
            g,
            low,
            g.shape.map((n, i) => n - high[i]!),
            interior.map((n) => n + 1),
          )
    if (node.inputs[1]!.isConcrete) return [inside, null]
    const total = (t: Tensor): Tensor => apply('sum', [t], { axes: range(t.rank) })
    return [inside, apply('sub', [total(g), total(inside)])]
  },
  vmap: (node, [x, value], [hasX, hasValue], size) => {
    const { low, high, interior } = node.attributes as unknown as PadAttributes
    const batchedX = hasX ? x! : broadcastTo(x!, [size, ...x!.shape])
    const wide = { low: [0, ...low], high: [0, ...high], interior: [0, ...interior] }
    if (!hasValue) return [apply('pad', [batchedX, value!], wide)]
    // a different fill for each example: pad with zeros, then choose the fill where a padded mask says so
    const inside = broadcastTo(scalar(true, 'bool'), node.inputs[0]!.shape)
    const mask = apply('pad', [inside, scalar(false, 'bool')], node.attributes)
    const fill = reshape(value!, [size, ...node.outputs[0]!.shape.map(() => 1)])
    const padded = apply('pad', [batchedX, scalar(0, x!.dtype)], wide)
    return [apply('where', [broadcastTo(mask, padded.shape), padded, broadcastTo(fill, padded.shape)])]
  },
  onnx: (e, [x, value], node) => {
    const { low, high, interior } = node.attributes as unknown as PadAttributes
    const out = node.outputs[0]!
    if (node.inputs[0]!.size === 0) return [emitExpand(e, value!, out)]
    return [emitPad(e, x!, value!, node.inputs[0]!, low, high, interior)]
  },
})

/** Interior padding as: append an axis of size 1, pad it, merge, cut the tail; then ordinary padding. */
function emitPad(
  e: Emitter,
  x: string,
  value: string,
  spec: Spec,
  low: readonly number[],
  high: readonly number[],
  interior: readonly number[],
): string {
  const dtype = spec.dtype
  if (dtype === 'u32' || dtype === 'bool')
    return e.cast(
      emitPad(e, e.cast(x, 'i64'), e.cast(value, 'i64'), { ...spec, dtype: 'i64' }, low, high, interior),
      dtype,
    )
  let shape = [...spec.shape]
  let name = x
  for (const [axis, gap] of interior.entries()) {
    const n = shape[axis]!
    if (gap === 0 || n <= 1) continue
    const open = [...shape.slice(0, axis + 1), 1, ...shape.slice(axis + 1)]
    const zero = open.map(() => 0)
    const padded = e.node('Pad', [
      e.reshape(name, open),
      e.ints([...zero, ...zero.with(axis + 1, gap)]),
      value,
    ])
    const merged = e.reshape(padded, shape.with(axis, n * (gap + 1)))
    const length = n * (gap + 1) - gap
    name = e.node('Slice', [merged, e.ints([0]), e.ints([length]), e.ints([axis])])
    shape = shape.with(axis, length)
  }
  if ([...low, ...high].every((n) => n === 0)) return name
  return e.node('Pad', [name, e.ints([...low, ...high]), value])
}

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

// --- flip ---

defineOp('flip', {
  shape: ([x]) => [{ shape: x!.shape, dtype: x!.dtype }],
  reference: ([x], { axes }) => {
    const strides = stridesOf(x!.shape)
    const flipped = axes as number[]
    const offset = flipped.reduce((sum, axis) => sum + (x!.shape[axis]! - 1) * strides[axis]!, 0)
    return [
      pick(
        x!,
        flatIndices(
          x!.shape,
          strides.map((s, i) => (flipped.includes(i) ? -s : s)),
          offset,
        ),
      ),
    ]
  },
  ...linear('flip'),
  vjp: (node, [g]) => [g && apply('flip', [g], node.attributes)],
  vmap: (node, [x]) => [
    apply('flip', [x!], { axes: (node.attributes['axes'] as number[]).map((a) => a + 1) }),
  ],
  onnx: (e, [x], node) => {
    const axes = node.attributes['axes'] as number[]
    if (axes.length === 0) return [x!]
    const of = (value: number): string => e.ints(axes.map(() => value))
    return [e.node('Slice', [x!, of(-1), of(Number.MIN_SAFE_INTEGER), e.ints(axes), of(-1)])]
  },
})

/** Reverse the order of elements along axes. */
export const flip = (x: Tensor, axes: readonly number[]): Tensor =>
  apply('flip', [x], { axes: axes.map((a) => normalizeAxis('flip', a, x.rank)).sort((a, b) => a - b) })
