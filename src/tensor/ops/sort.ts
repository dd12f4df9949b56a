/** @file The largest elements of an axis, and sorting. */
import { showSpec } from '../dtype.ts'
import { fail } from '../mistake.ts'
import { applyAll, type Tensor, zeros } from '../tensor.ts'
import { scatterAlong, takeAlong } from './along.ts'
import { normalizeAxis, swapAxes } from './shape.ts'
import { defineOp } from './table.ts'

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
