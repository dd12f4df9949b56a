/** @file Comparison, logic, bits, choice between two values, and conversion: rows and functions. */
import {
  type Dtype,
  elementTypes,
  isFloat,
  requireDtype,
  requireSameDtype,
  type Spec,
  showSpec,
} from '../dtype.ts'
import { fail } from '../mistake.ts'
import { pointwise } from '../onnx/blocked-neighbours.ts'
import type { Emitter } from '../onnx/emitter.ts'
import { apply, type Node, operands, requireTensor, type Tensor, type TensorLike } from '../tensor.ts'
import { binary, defineElementwise, none, unary, viaInt64 } from './elementwise.ts'
import { defineOp, noDerivative } from './table.ts'

// --- element types ---

const comparison = (name: string, inputs: readonly Spec[]): Dtype => {
  requireSameDtype(name, inputs)
  return 'bool'
}
const unsigned = (name: string, inputs: readonly Spec[]): Dtype => {
  const dtype = requireSameDtype(name, inputs)
  if (dtype !== 'u32')
    fail(
      'TL_DTYPE_MISMATCH',
      `${name}: expected u32, got ${inputs.map(showSpec).join(' and ')} (cast it: cast(x, 'u32'))`,
    )
  return dtype
}
const boolean = (name: string, inputs: readonly Spec[]): Dtype => {
  if (requireSameDtype(name, inputs) !== 'bool')
    fail(
      'TL_DTYPE_MISMATCH',
      `${name}: expected bool, got ${inputs.map(showSpec).join(' and ')} (compare first, for example notEqual(x, 0))`,
    )
  return 'bool'
}

/** The runtime does not order booleans. */
const ordered =
  (op: string) =>
  (e: Emitter, inputs: readonly string[], node: Node): string =>
    node.inputs[0]!.dtype === 'bool'
      ? e.node(
          op,
          inputs.map((x) => e.cast(x, 'i32')),
        )
      : viaInt64(op)(e, inputs, node)

// --- rows ---

defineElementwise('equal', {
  f: (a, b) => Number(a === b),
  push: [none, none],
  dtype: comparison,
  onnx: viaInt64('Equal'),
})
defineElementwise('less', {
  f: (a, b) => Number(a < b),
  push: [none, none],
  dtype: comparison,
  onnx: ordered('Less'),
})
defineElementwise('lessEqual', {
  f: (a, b) => Number(a <= b),
  push: [none, none],
  dtype: comparison,
  onnx: ordered('LessOrEqual'),
})
defineElementwise('and', { f: (a, b) => a * b, push: [none, none], dtype: boolean, onnx: 'And' })
defineElementwise('or', { f: (a, b) => Math.max(a, b), push: [none, none], dtype: boolean, onnx: 'Or' })
defineElementwise('not', { f: (a) => 1 - a, push: [none], dtype: boolean, onnx: 'Not' })
defineElementwise('bitAnd', {
  f: (a, b) => (a & b) >>> 0,
  push: [none, none],
  dtype: unsigned,
  onnx: 'BitwiseAnd',
})
defineElementwise('bitOr', {
  f: (a, b) => (a | b) >>> 0,
  push: [none, none],
  dtype: unsigned,
  onnx: 'BitwiseOr',
})
defineElementwise('bitXor', {
  f: (a, b) => (a ^ b) >>> 0,
  push: [none, none],
  dtype: unsigned,
  onnx: 'BitwiseXor',
})
const shift = (direction: string) => (e: Emitter, inputs: readonly string[]) =>
  e.node('BitShift', inputs, { direction })
defineElementwise('shiftLeft', {
  f: (a, b) => (a << b) >>> 0,
  push: [none, none],
  dtype: unsigned,
  onnx: shift('LEFT'),
})
defineElementwise('shiftRight', {
  f: (a, b) => a >>> b,
  push: [none, none],
  dtype: unsigned,
  onnx: shift('RIGHT'),
})

const choiceDtype = (name: string, [condition, a, b]: readonly Spec[]): Dtype => {
  if (condition!.dtype !== 'bool')
    fail(
      'TL_DTYPE_MISMATCH',
      `${name}: expected a bool condition, got ${showSpec(condition!)} (compare first, for example greater(x, 0))`,
    )
  return requireSameDtype(name, [a!, b!])
}
defineElementwise('where', {
  f: (c, a, b) => (c ? a : b),
  push: [none, (t, [c]) => where(c!, t, 0), (t, [c]) => where(c!, 0, t)],
  dtype: choiceDtype,
  onnx: (e, [c, a, b], node) => {
    const { dtype } = node.outputs[0]!
    if (dtype !== 'u32' && dtype !== 'bool') return e.node('Where', [c!, a!, b!])
    return e.cast(e.node('Where', [c!, e.cast(a!, 'i64'), e.cast(b!, 'i64')]), dtype)
  },
})

defineOp('cast', {
  isElementwise: true,
  fused: pointwise,
  shape: ([x], { dtype }) => [{ shape: x!.shape, dtype: dtype as Dtype }],
  reference: ([x], { dtype }) => {
    const { wrap } = elementTypes[dtype as Dtype]
    const truncate = !isFloat(dtype as Dtype) && dtype !== 'bool'
    return [x!.values.map((v) => wrap(truncate ? Math.trunc(v) : v))]
  },
  jvp: (node, [t]) =>
    isFloat(node.outputs[0]!.dtype) && t ? [cast(t, node.outputs[0]!.dtype)] : noDerivative(),
  vjp: (node, [g]) => [g && isFloat(node.inputs[0]!.dtype) ? cast(g, node.inputs[0]!.dtype) : null],
  vmap: (node, [x]) => [apply('cast', [x!], node.attributes)],
  onnx: (e, [x], node) => [e.cast(x!, node.outputs[0]!.dtype)],
})

// --- public functions ---

export const equal = binary('equal')
export const less = binary('less')
export const lessEqual = binary('lessEqual')
export const greater = (a: TensorLike, b: TensorLike): Tensor => {
  const [x, y] = operands(a, b)
  return apply('less', [y!, x!])
}
export const greaterEqual = (a: TensorLike, b: TensorLike): Tensor => {
  const [x, y] = operands(a, b)
  return apply('lessEqual', [y!, x!])
}
export const notEqual = (a: TensorLike, b: TensorLike): Tensor => logicalNot(equal(a, b))
export const logicalAnd = binary('and')
export const logicalOr = binary('or')
export const logicalNot = unary('not')
export const bitAnd = binary('bitAnd')
export const bitOr = binary('bitOr')
export const bitXor = binary('bitXor')
export const shiftLeft = binary('shiftLeft')
export const shiftRight = binary('shiftRight')
/** `condition ? a : b`, elementwise with broadcasting. */
export function where(condition: Tensor, a: TensorLike, b: TensorLike): Tensor {
  const [x, y] = operands(a, b)
  return apply('where', [condition, x!, y!])
}
/** Convert to another element type; floats truncate towards zero when they become integers, non-zero becomes true. */
export function cast(x: Tensor, dtype: Dtype): Tensor {
  requireTensor('cast', x)
  requireDtype('cast', dtype)
  return x.dtype === dtype ? x : apply('cast', [x], { dtype })
}
