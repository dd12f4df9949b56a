/** @file NumPy broadcasting: shapes, its adjoint, and index arithmetic for the reference interpreter. */
import { requireShape, type Spec, sameShape, showSpec, sizeOf } from '../dtype.ts'
import { fail } from '../mistake.ts'
import { apply, requireTensor, type Tensor } from '../tensor.ts'

/** The common shape of operands, axes aligned at the right; axes of size 1 stretch. */
export function broadcastShapes(op: string, specs: readonly Spec[]): number[] {
  const rank = Math.max(...specs.map((s) => s.shape.length))
  return Array.from({ length: rank }, (_, i) => {
    let size = 1
    for (const spec of specs) {
      const n = spec.shape[spec.shape.length - rank + i] ?? 1
      if (n !== 1 && size !== 1 && n !== size)
        fail(
          'TL_SHAPE_MISMATCH',
          `${op}: shapes do not broadcast: ${specs.map(showSpec).join(' and ')} (axis ${i - rank}: ${size} against ${n}; sizes must be equal or 1)`,
        )
      if (n !== 1) size = n
    }
    return size
  })
}

/** Row-major strides of a shape. */
export function stridesOf(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length)
  let step = 1
  for (let i = shape.length - 1; i >= 0; i--) {
    strides[i] = step
    step *= shape[i]!
  }
  return strides
}

/** For every element of `target`, in row-major order, the flat index given by per-axis strides. */
export function flatIndices(target: readonly number[], strides: readonly number[], offset = 0): Int32Array {
  const out = new Int32Array(sizeOf(target))
  const index = new Array<number>(target.length).fill(0)
  let at = offset
  for (let i = 0; i < out.length; i++) {
    out[i] = at
    for (let axis = target.length - 1; axis >= 0; axis--) {
      at += strides[axis]!
      if (++index[axis]! < target[axis]!) break
      at -= strides[axis]! * target[axis]!
      index[axis] = 0
    }
  }
  return out
}

/** Flat source index for each element of a broadcast result. */
export function broadcastIndices(shape: readonly number[], target: readonly number[]): Int32Array {
  const strides = stridesOf(shape)
  const pad = target.length - shape.length
  return flatIndices(
    target,
    target.map((_, i) => (i < pad || shape[i - pad] === 1 ? 0 : strides[i - pad]!)),
  )
}

/** Explicitly broadcast to a shape; a no-op when it already has it. */
export function broadcastTo(x: Tensor, shape: readonly number[]): Tensor {
  requireTensor('broadcastTo', x)
  requireShape('broadcastTo', shape)
  return sameShape(x.shape, shape) ? x : apply('broadcastTo', [x], { shape: [...shape] })
}

/** Adjoint of broadcasting: sum the axes that were stretched. */
export function unbroadcast(g: Tensor, shape: readonly number[]): Tensor {
  if (sameShape(g.shape, shape)) return g
  const pad = g.rank - shape.length
  const axes = g.shape.flatMap((n, i) => (i < pad || (shape[i - pad] === 1 && n !== 1) ? [i] : []))
  const summed = axes.length ? apply('sum', [g], { axes }) : g
  return sameShape(summed.shape, shape) ? summed : apply('reshape', [summed], { shape: [...shape] })
}

/** Give batched operands equal logical rank, so that the new axis 0 lines up in an elementwise operation. */
export function alignBatched(inputs: readonly Tensor[], batched: readonly boolean[]): Tensor[] {
  const logical = inputs.map((x, i) => x.rank - (batched[i] ? 1 : 0))
  const rank = Math.max(...logical)
  return inputs.map((x, i) => {
    if (!batched[i] || logical[i] === rank) return x
    const [size, ...rest] = x.shape
    return apply('reshape', [x], {
      shape: [size!, ...new Array<number>(rank - rest.length).fill(1), ...rest],
    })
  })
}
