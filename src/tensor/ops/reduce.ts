/** @file Reductions and scans along axes: sum, max, min, prod, argmax, cumulative sum. */
import { elementTypes, isFloat, requireFloat, type Spec, showSpec, sizeOf } from '../dtype.ts'
import type { ReduceOptions } from '../methodTypes.ts'
import { fail } from '../mistake.ts'
import { sumBlocks } from '../onnx/blocked-neighbours.ts'
import type { Emitter } from '../onnx/emitter.ts'
import { type Attributes, apply, type Node, requireTensor, type Tensor } from '../tensor.ts'
import { jvp } from '../transform/jvp.ts'
import { vjp } from '../transform/vjp.ts'
import { div, mul } from './arithmetic.ts'
import { broadcastTo, flatIndices, stridesOf } from './broadcast.ts'
import { cast, equal } from './logic.ts'
import { sliceAxis } from './pieces.ts'
import { normalizeAxis, reshape, transpose } from './shape.ts'
import { type Dense, defineOp, noDerivative, type Row } from './table.ts'

/** Shape with the reduced axes kept at size 1. */
const kept = (shape: readonly number[], axes: readonly number[]): number[] =>
  shape.map((n, i) => (axes.includes(i) ? 1 : n))
const axesOf = (node: { attributes: Attributes }): number[] => node.attributes['axes'] as number[]

function requireNumbers(op: string, x: Spec): void {
  if (x.dtype === 'bool')
    fail('TL_DTYPE_MISMATCH', `${op}: expected numbers, got ${showSpec(x)} (cast it: cast(x, 'i32'))`)
}

function reduceShape(op: string, [x]: readonly Spec[], attributes: Attributes): Spec[] {
  const axes = attributes['axes'] as number[]
  requireNumbers(op, x!)
  return [{ shape: x!.shape.filter((_, i) => !axes.includes(i)), dtype: x!.dtype }]
}

/** Fold the reduced axes of a dense value with f, starting from `initial`. */
function fold(
  x: Dense,
  axes: readonly number[],
  initial: number,
  f: (sum: number, value: number) => number,
): Float64Array {
  const strides = stridesOf(x.shape)
  const outer = x.shape.map((_, i) => i).filter((i) => !axes.includes(i))
  const bases = flatIndices(
    outer.map((i) => x.shape[i]!),
    outer.map((i) => strides[i]!),
  )
  const inner = flatIndices(
    axes.map((i) => x.shape[i]!),
    axes.map((i) => strides[i]!),
  )
  return Float64Array.from(bases, (base) =>
    inner.reduce((sum, offset) => f(sum, x.values[base + offset]!), initial),
  )
}

const vmapReduce =
  (op: string): Row['vmap'] =>
  (node, [x]) => [apply(op, [x!], { axes: axesOf(node).map((a) => a + 1) })]

const onnxReduce =
  (op: string) =>
  (e: Emitter, [x]: readonly string[], node: Node): string[] => {
    const { dtype } = node.inputs[0]!
    if (axesOf(node).length === 0) return [x!] // to the runtime, no axes are all axes
    const axes = e.ints(axesOf(node))
    if (dtype === 'u32') return [e.cast(e.node(op, [e.cast(x!, 'i64'), axes], { keepdims: 0 }), 'u32')]
    return [e.node(op, [x!, axes], { keepdims: 0 })]
  }

defineOp('sum', {
  linear: [0],
  fused: sumBlocks,
  shape: (inputs, attributes) => reduceShape('sum', inputs, attributes),
  reference: ([x], { axes }, [spec]) => {
    return [fold(x!, axes as number[], 0, (a, b) => a + b).map(elementTypes[spec!.dtype].wrap)]
  },
  vjp: (node, [g]) => {
    const { shape } = node.inputs[0]!
    return [g && broadcastTo(reshape(g, kept(shape, axesOf(node))), shape)]
  },
  vmap: vmapReduce('sum'),
  onnx: onnxReduce('ReduceSum'),
})

/** Ties share the derivative evenly. */
function extremumWeights(node: Node): Tensor {
  const x = node.inputs[0]!
  const axes = axesOf(node)
  const mask = cast(equal(x, reshape(node.outputs[0]!, kept(x.shape, axes))), x.dtype)
  return div(mask, reshape(apply('sum', [mask], { axes }), kept(x.shape, axes)))
}

for (const [name, onnx, initial, f] of [
  [
    'reduceMax',
    'ReduceMax',
    Number.NEGATIVE_INFINITY,
    (a: number, b: number) => (Number.isNaN(a) || a >= b ? a : b),
  ],
  [
    'reduceMin',
    'ReduceMin',
    Number.POSITIVE_INFINITY,
    (a: number, b: number) => (Number.isNaN(a) || a <= b ? a : b),
  ],
] as const)
  defineOp(name, {
    shape: (inputs, attributes) => {
      const axes = attributes['axes'] as number[]
      const specs = reduceShape(name, inputs, attributes)
      if (sizeOf(specs[0]!.shape) > 0 && axes.some((a) => inputs[0]!.shape[a] === 0))
        fail(
          'TL_SHAPE_MISMATCH',
          `${name}: an empty axis has no ${name === 'reduceMax' ? 'maximum' : 'minimum'}, got ${showSpec(inputs[0]!)} over axes [${axes}]`,
        )
      return specs
    },
    reference: ([x], { axes }) => [fold(x!, axes as number[], initial, f)],
    jvp: (node, [t]) => [t && apply('sum', [mul(t, extremumWeights(node))], node.attributes)],
    vjp: (node, [g]) => {
      const x = node.inputs[0]!
      return [g && mul(extremumWeights(node), reshape(g, kept(x.shape, axesOf(node))))]
    },
    vmap: vmapReduce(name),
    onnx: onnxReduce(onnx),
  })

/** The product by halving, exact at zeros; it defines the derivatives of `prod`. */
function productTree(x: Tensor, axes: readonly number[]): Tensor {
  const outer = x.shape.map((_, i) => i).filter((i) => !axes.includes(i))
  const shape = outer.map((i) => x.shape[i]!)
  let n = sizeOf(axes.map((i) => x.shape[i]!))
  let y = reshape(transpose(x, [...outer, ...axes]), [...shape, n])
  while (n > 1) {
    const half = Math.floor(n / 2)
    const product = mul(sliceAxis(y, -1, 0, half), sliceAxis(y, -1, half, 2 * half))
    y = n % 2 ? apply('concatenate', [product, sliceAxis(y, -1, n - 1, n)], { axis: shape.length }) : product
    n -= half
  }
  return reshape(y, shape)
}

defineOp('prod', {
  shape: (inputs, attributes) => reduceShape('prod', inputs, attributes),
  reference: ([x], { axes }) => {
    const product = x!.dtype === 'i32' || x!.dtype === 'u32' ? Math.imul : (a: number, b: number) => a * b
    return [fold(x!, axes as number[], 1, product).map(elementTypes[x!.dtype].wrap)]
  },
  jvp: (node, [t]) => {
    const x = node.inputs[0]!
    return [t && x.size ? jvp((v: Tensor) => productTree(v, axesOf(node)), [x], [t]).tangents : null]
  },
  vjp: (node, [g]) => {
    const x = node.inputs[0]!
    return [g && x.size ? vjp((v: Tensor) => productTree(v, axesOf(node)), x).pullback(g)[0] : null]
  },
  vmap: vmapReduce('prod'),
  onnx: onnxReduce('ReduceProd'),
})

defineOp('argmax', {
  shape: ([x], { axis }) => {
    if (x!.shape[axis as number] === 0)
      fail('TL_SHAPE_MISMATCH', `argmax: axis ${axis} of ${showSpec(x!)} is empty`)
    return [{ shape: x!.shape.filter((_, i) => i !== axis), dtype: 'i32' }]
  },
  reference: ([x], attributes) => {
    const axis = attributes['axis'] as number
    const strides = stridesOf(x!.shape)
    const outer = x!.shape.map((_, i) => i).filter((i) => i !== axis)
    const bases = flatIndices(
      outer.map((i) => x!.shape[i]!),
      outer.map((i) => strides[i]!),
    )
    return [
      Float64Array.from(bases, (base) => {
        let best = 0
        for (let k = 1; k < x!.shape[axis]!; k++)
          if (x!.values[base + k * strides[axis]!]! > x!.values[base + best * strides[axis]!]!) best = k
        return best
      }),
    ]
  },
  jvp: noDerivative,
  vjp: noDerivative,
  vmap: (node, [x]) => [apply('argmax', [x!], { axis: (node.attributes['axis'] as number) + 1 })],
  onnx: (e, [x], node) => {
    const { dtype } = node.inputs[0]!
    const values = isFloat(dtype) || dtype === 'i32' ? x! : e.cast(x!, dtype === 'bool' ? 'i32' : 'f64')
    return [
      e.cast(e.node('ArgMax', [values], { axis: node.attributes['axis'] as number, keepdims: 0 }), 'i32'),
    ]
  },
})

defineOp('cumsum', {
  linear: [0],
  shape: ([x]) => {
    requireNumbers('cumsum', x!)
    return [{ shape: x!.shape, dtype: x!.dtype }]
  },
  reference: ([x], attributes) => {
    const axis = attributes['axis'] as number
    const [n, step] = [x!.shape[axis]!, stridesOf(x!.shape)[axis]!]
    const out = x!.values.slice()
    const order = Array.from({ length: out.length }, (_, i) => i)
    if (attributes['reverse']) order.reverse()
    const sign = attributes['reverse'] ? 1 : -1
    const { wrap } = elementTypes[x!.dtype]
    for (const i of order) {
      const position = Math.floor(i / step) % n
      if (position + sign >= 0 && position + sign < n) out[i] = wrap(out[i]! + out[i + sign * step]!)
    }
    return [out]
  },
  vjp: (node, [g]) => [
    g && apply('cumsum', [g], { ...node.attributes, reverse: !node.attributes['reverse'] }),
  ],
  vmap: (node, [x]) => [
    apply('cumsum', [x!], { ...node.attributes, axis: (node.attributes['axis'] as number) + 1 }),
  ],
  onnx: (e, [x], node) => {
    const { dtype } = node.inputs[0]!
    const axis = e.scalar(node.attributes['axis'] as number, 'i64')
    const wide = dtype === 'u32' ? e.cast(x!, 'i64') : x!
    return [e.cast(e.node('CumSum', [wide, axis], { reverse: node.attributes['reverse'] ? 1 : 0 }), dtype)]
  },
})

type Axes = number | readonly number[]

function reduce(op: string, x: Tensor, axes: Axes | undefined, { keepDims = false }: ReduceOptions): Tensor {
  requireTensor(op, x)
  if (axes !== undefined && typeof axes !== 'number' && !Array.isArray(axes))
    fail('TL_BAD_ARGUMENT', `${op}: expected an axis or a list of axes, got ${String(axes)}`)
  const list = axes === undefined ? x.shape.map((_, i) => i) : typeof axes === 'number' ? [axes] : axes
  const normal = [...new Set(list.map((a) => normalizeAxis(op, a, x.rank)))].sort((a, b) => a - b)
  const y = normal.length ? apply(op, [x], { axes: normal }) : x
  return keepDims ? reshape(y, kept(x.shape, normal)) : y
}

/** Sum over axes (all of them when none is given). */
export const sum = (x: Tensor, axes?: Axes, options: ReduceOptions = {}): Tensor =>
  reduce('sum', x, axes, options)
export const max = (x: Tensor, axes?: Axes, options: ReduceOptions = {}): Tensor =>
  reduce('reduceMax', x, axes, options)
export const min = (x: Tensor, axes?: Axes, options: ReduceOptions = {}): Tensor =>
  reduce('reduceMin', x, axes, options)
export const prod = (x: Tensor, axes?: Axes, options: ReduceOptions = {}): Tensor =>
  reduce('prod', x, axes, options)

/** Arithmetic mean over axes. */
export function mean(x: Tensor, axes?: Axes, options: ReduceOptions = {}): Tensor {
  requireFloat('mean', x)
  const total = sum(x, axes, options)
  return mul(total, total.size === 0 ? 1 : total.size / x.size)
}

/** Variance over axes (divided by n, not n − 1). */
export function variance(x: Tensor, axes?: Axes, options: ReduceOptions = {}): Tensor {
  const centred = apply('sub', [x, mean(x, axes, { keepDims: true })])
  return mean(mul(centred, centred), axes, options)
}

/** Index of the largest element along an axis (the first among equals), i32. */
export const argmax = (x: Tensor, axis = -1): Tensor =>
  apply('argmax', [x], { axis: normalizeAxis('argmax', axis, x.rank) })
export function argmin(x: Tensor, axis = -1): Tensor {
  // the negative of an integer may not be one
  const values = isFloat(x.dtype) || x.dtype === 'i64' ? x : cast(x, 'f64')
  return argmax(apply('neg', [values]), axis)
}

/** Running sum along an axis; `reverse` starts at the end. */
export const cumsum = (x: Tensor, axis = -1, { reverse = false }: { reverse?: boolean } = {}): Tensor =>
  apply('cumsum', [x], { axis: normalizeAxis('cumsum', axis, x.rank), reverse })
