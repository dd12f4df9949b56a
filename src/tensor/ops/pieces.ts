/** @file Primitives that join tensors and cut pieces out of them: concatenate, slice, split. */
import { requireSameDtype, showSpec, sizeOf } from '../dtype.ts'
import { fail } from '../mistake.ts'
import { concatenateBlocks, sliceBlocks, splitBlocks } from '../onnx/blocked-neighbours.ts'
import { apply, applyAll, scalar, type Tensor } from '../tensor.ts'
import { broadcastTo, flatIndices, stridesOf } from './broadcast.ts'
import { pad } from './padding.ts'
import { expandDims, normalizeAxis, pick, range, reshape } from './shape.ts'
import { defineOp } from './table.ts'

// --- concatenate ---

defineOp('concatenate', {
  fused: concatenateBlocks,
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
  linear: [0],
  fused: sliceBlocks,
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
  linear: [0],
  fused: splitBlocks,
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

/** Shift elements around the end of an axis. */
export function roll(x: Tensor, shift: number, axis = -1): Tensor {
  const a = normalizeAxis('roll', axis, x.rank)
  const n = x.shape[a]!
  const s = n === 0 ? 0 : ((shift % n) + n) % n
  return s === 0 ? x : concatenate([sliceAxis(x, a, n - s, n), sliceAxis(x, a, 0, n - s)], a)
}
