/**
 * @file Elementwise rows: one number in, one number out, with NumPy broadcasting for two or three operands. Their derivatives
 * and batches follow from one function of numbers and a slope for each operand.
 */
import { type Dtype, elementTypes, isFloat, requireSameDtype, type Spec, showSpec } from '../dtype.ts'
import { fail } from '../mistake.ts'
import { pointwise } from '../onnx/blocked-neighbours.ts'
import type { Emitter } from '../onnx/emitter.ts'
import { apply, type Node, operands, type Tensor, type TensorLike } from '../tensor.ts'
import { alignBatched, broadcastIndices, broadcastShapes, broadcastTo, unbroadcast } from './broadcast.ts'
import { type Dense, defineOp, type Traits } from './table.ts'

/** Derivative rule of one operand: the diagonal Jacobian applied to t (the same for tangents and cotangents). */
type Push = (t: Tensor, x: readonly Tensor[], y: Tensor) => Tensor | null

interface Elementwise extends Pick<Traits, 'simplify' | 'fused' | 'simd'> {
  /** One value; `dtype` is that of the first operand. */
  f: (a: number, b: number, c: number, dtype: Dtype) => number
  push: readonly Push[]
  /** Checks element types and returns that of the result. */
  dtype: (name: string, inputs: readonly Spec[]) => Dtype
  onnx: string | ((e: Emitter, inputs: readonly string[], node: Node) => string)
}

/** Add an elementwise primitive to the table. */
export function defineElementwise(name: string, { f, push, dtype, onnx, ...traits }: Elementwise): void {
  defineOp(name, {
    isElementwise: true,
    fused: pointwise,
    ...traits,
    shape: (inputs) => [{ shape: broadcastShapes(name, inputs), dtype: dtype(name, inputs) }],
    reference: (inputs, _, [spec]) => [referenceElementwise(inputs, spec!, f)],
    jvp: (node, tangents) => {
      const [y] = node.outputs
      const terms = tangents.flatMap((t, i) => {
        const pushed = t && push[i]!(t, node.inputs, y!)
        return pushed ? [broadcastTo(pushed, y!.shape)] : []
      })
      return [terms.length ? terms.reduce((a, b) => apply('add', [a, b])) : null]
    },
    vjp: (node, [g]) =>
      node.inputs.map((x, i) => {
        const pushed = isFloat(x.dtype) && g ? push[i]!(g, node.inputs, node.outputs[0]!) : null
        return pushed && unbroadcast(broadcastTo(pushed, node.outputs[0]!.shape), x.shape)
      }),
    vmap: (node, inputs, batched, size) => {
      const y = apply(name, alignBatched(inputs, batched), node.attributes)
      return [broadcastTo(y, [size, ...node.outputs[0]!.shape])]
    },
    onnx: (e, inputs, node) => [typeof onnx === 'string' ? e.node(onnx, inputs) : onnx(e, inputs, node)],
  })
}

function referenceElementwise(inputs: readonly Dense[], spec: Spec, f: Elementwise['f']): Float64Array {
  const [a, b, c] = inputs.map((x) => {
    const at = broadcastIndices(x.shape, spec.shape)
    return (i: number) => x.values[at[i]!]!
  })
  const size = spec.shape.reduce((x, y) => x * y, 1)
  const { wrap } = elementTypes[spec.dtype]
  const dtype = inputs[0]!.dtype
  return Float64Array.from({ length: size }, (_, i) => wrap(f(a!(i), b?.(i) ?? 0, c?.(i) ?? 0, dtype)))
}

/** The slope of an operand on which the result does not depend smoothly. */
export const none: Push = () => null

// --- element types ---

export const numeric = (name: string, inputs: readonly Spec[]): Dtype => {
  const dtype = requireSameDtype(name, inputs)
  if (dtype === 'bool')
    fail(
      'TL_DTYPE_MISMATCH',
      `${name}: expected numbers, got ${inputs.map(showSpec).join(' and ')} (cast to a number first)`,
    )
  return dtype
}

/** The runtime has little uint32 arithmetic: where order or sign matters compute in int64 and cut on the way back. */
export const viaInt64 =
  (op: string, attributes?: Record<string, number>) =>
  (e: Emitter, inputs: readonly string[], node: Node): string => {
    if (node.inputs[0]!.dtype !== 'u32') return e.node(op, inputs, attributes)
    const wide = e.node(
      op,
      inputs.map((x) => e.cast(x, 'i64')),
      attributes,
    )
    return node.outputs[0]!.dtype === 'bool'
      ? wide
      : e.cast(e.node('BitwiseAnd', [wide, e.scalar(0xffffffff, 'i64')]), 'u32')
  }

// --- functions of tensors, from the name of a row ---

export const unary = (op: string) => (x: Tensor) => apply(op, [x])
export const binary =
  (op: string) =>
  (a: TensorLike, b: TensorLike): Tensor =>
    apply(op, operands(a, b))
