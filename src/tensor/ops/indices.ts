/** @file What primitives that read and write by index share: which indices there may be, and how the runtime takes them. */
import { isInteger, type Spec, showSpec } from '../dtype.ts'
import { fail } from '../mistake.ts'
import type { Emitter } from '../onnx/emitter.ts'
import { type Attributes, apply, type Tensor, zeros } from '../tensor.ts'
import type { Row } from './table.ts'

export const axisOf = (attributes: Attributes): number => attributes['axis'] as number

export function requireIndices(op: string, spec: Spec): void {
  if (!isInteger(spec.dtype))
    fail(
      'TL_DTYPE_MISMATCH',
      `${op}: expected integer indices, got ${showSpec(spec)} (cast them: cast(i, 'i32'))`,
    )
}

/** An index that must lie inside an axis; negative ones count from the back, as in the runtime. */
export function inside(op: string, index: number, size: number): number {
  const i = index < 0 ? index + size : index
  if (!(i >= 0 && i < size))
    fail('TL_BAD_ARGUMENT', `${op}: index ${index} is out of range for an axis of size ${size}`)
  return i
}

/** Tangent of an op that adds updates to x at indices: linear in both together. */
export const scatterJvp =
  (op: string): Row['jvp'] =>
  (node, [tx, _, tu]) => {
    const [x, indices, updates] = node.inputs as [Tensor, Tensor, Tensor]
    const tangents = [tx ?? zeros(x.shape, x.dtype), indices, tu ?? zeros(updates.shape, x.dtype)]
    return [apply(op, tangents, node.attributes)]
  }

/** Index types the runtime takes as they are. */
export const emitIndices = (e: Emitter, name: string, spec: Spec): string =>
  spec.dtype === 'i64' || spec.dtype === 'i32' ? name : e.cast(name, 'i64')
