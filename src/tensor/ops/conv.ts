/**
 * @file The rows of convolution over two spatial axes and its two adjoints; the functions are in convolve.ts. The three are one trilinear form ⟨y, x ∗ w⟩ solved for y, x
 * and w, so that each one's derivatives are the other two: the family is closed and needs no special cases.
 *
 *   conv             x [N, C, H, W],  w [O, C/g, kh, kw]  →  y [N, O, oh, ow]
 *   convInputGrad    y [N, O, oh, ow], w [O, C/g, kh, kw]  →  x [N, C, H, W]      (transposed convolution)
 *   convKernelGrad   x [N, C, H, W],  y [N, O, oh, ow]    →  w [O, C/g, kh, kw]
 */
import { requireFloat, requireSameDtype, type Spec, showSpec } from '../dtype.ts'
import { fail } from '../mistake.ts'
import { emitConv, emitConvInputGrad } from '../onnx/convolution.ts'
import { emitConvKernelGrad } from '../onnx/convolution-kernel.ts'
import { type Attributes, apply, type Node, type Tensor, zeros } from '../tensor.ts'
import { broadcastTo } from './broadcast.ts'
import { convByPatches, convInputGradByPatches, convKernelGradByPatches } from './conv-patches.ts'
import { convBySlices, convInputGradBySlices, convKernelGradBySlices } from './conv-slices.ts'
import { type ConvGeometry, geometryOf, outputSize } from './convGeometry.ts'
import { reshape, transpose } from './shape.ts'
import { type Dense, defineOp, type Row } from './table.ts'

function check(op: string, g: ConvGeometry): void {
  const positive = [...g.stride, ...g.dilation, ...g.kernel, g.groups]
  if (
    positive.some((n) => !Number.isInteger(n) || n < 1) ||
    g.padding.flat().some((n) => !Number.isInteger(n) || n < 0)
  )
    fail(
      'TL_BAD_ARGUMENT',
      `${op}: expected positive stride, dilation, kernel and groups and non-negative padding, got stride ${g.stride}, dilation ${g.dilation}, kernel ${g.kernel}, groups ${g.groups}, padding ${g.padding}`,
    )
  if (outputSize(g).some((n) => n < 1) || g.input.some((n) => n < 0))
    fail(
      'TL_SHAPE_MISMATCH',
      `${op}: a kernel of ${g.kernel.join('×')} (dilation ${g.dilation}) does not fit an input of ${g.input.join('×')} with padding ${g.padding}`,
    )
}

function requireRank4(op: string, specs: readonly Spec[]): void {
  for (const spec of specs) {
    requireFloat(op, spec)
    if (spec.shape.length !== 4)
      fail(
        'TL_SHAPE_MISMATCH',
        `${op}: expected four axes [N, C, H, W] and [O, C/groups, kh, kw], got ${specs.map(showSpec).join(' and ')}`,
      )
  }
  requireSameDtype(op, specs)
}

/**
 * Visit every product of the trilinear form once, a run at a time: `count` of them at x, w and y, the next one `step` further in x
 * and one further in y.
 */
function visit(
  g: ConvGeometry,
  n: number,
  channels: number,
  filters: number,
  f: (x: number, w: number, y: number, count: number, step: number) => void,
): void {
  const [oh, ow] = outputSize(g)
  const [h, w] = g.input
  const [kh, kw] = g.kernel
  const [inner, outer] = [channels / g.groups, filters / g.groups]
  const step = g.stride[1]
  for (let b = 0; b < n; b++)
    for (let o = 0; o < filters; o++)
      for (let c = 0; c < inner; c++) {
        const source = (b * channels + Math.floor(o / outer) * inner + c) * h
        for (let i = 0; i < kh; i++)
          for (let p = 0; p < oh; p++) {
            const row = p * g.stride[0] + i * g.dilation[0] - g.padding[0][0]
            if (row < 0 || row >= h) continue
            for (let j = 0; j < kw; j++) {
              // columns q·step + offset that lie in the row
              const offset = j * g.dilation[1] - g.padding[1][0]
              const first = Math.max(0, Math.ceil(-offset / step))
              const count = Math.min(ow, Math.ceil((w - offset) / step)) - first
              if (count > 0)
                f(
                  (source + row) * w + first * step + offset,
                  ((o * inner + c) * kh + i) * kw + j,
                  ((b * filters + o) * oh + p) * ow + first,
                  count,
                  step,
                )
            }
          }
      }
}

// How the two operands of each member carry groups when both are batched: the batch joins the groups.

/** [B, N, C, …] → [N, g·B·(C/g), …], groups outermost in the channels. */
function joinChannels(x: Tensor, size: number, groups: number): Tensor {
  const [, n, c, ...space] = x.shape as [number, number, number, ...number[]]
  const open = reshape(x, [size, n, groups, c / groups, ...space])
  return reshape(transpose(open, [1, 2, 0, 3, 4, 5]), [n, size * c, ...space])
}
/** Inverse of `joinChannels`. */
function splitChannels(x: Tensor, size: number, groups: number): Tensor {
  const [n, c, ...space] = x.shape as [number, number, ...number[]]
  const open = reshape(x, [n, groups, size, c / size / groups, ...space])
  return reshape(transpose(open, [2, 0, 1, 3, 4, 5]), [size, n, c / size, ...space])
}
/** [B, O, I, …] → [g·B·(O/g), I, …] */
function joinKernels(w: Tensor, size: number, groups: number): Tensor {
  const [, o, i, ...space] = w.shape as [number, number, number, ...number[]]
  const open = reshape(w, [size, groups, o / groups, i, ...space])
  return reshape(transpose(open, [1, 0, 2, 3, 4, 5]), [size * o, i, ...space])
}
function splitKernels(w: Tensor, size: number, groups: number): Tensor {
  const [o, i, ...space] = w.shape as [number, number, ...number[]]
  const open = reshape(w, [groups, size, o / size / groups, i, ...space])
  return reshape(transpose(open, [1, 0, 2, 3, 4, 5]), [size, o / size, i, ...space])
}

interface Member {
  readonly shape: (g: ConvGeometry, a: Spec, b: Spec) => number[]
  readonly reference: (
    g: ConvGeometry,
    a: Dense,
    b: Dense,
    out: Float64Array,
    shape: readonly number[],
  ) => void
  readonly vjp: (g: Tensor, a: Tensor, b: Tensor, attributes: Attributes) => [Tensor, Tensor]
  /** Layout of the operands and the result: images (batch first) or kernels. */
  readonly layout: readonly ['image' | 'kernel', 'image' | 'kernel', 'image' | 'kernel']
  /** As products over windows that lie side by side; undefined where they do not. */
  readonly byPatches: (a: Tensor, b: Tensor, g: ConvGeometry) => Tensor | undefined
  /** As slices and products, whatever the geometry. */
  readonly bySlices: (a: Tensor, b: Tensor, g: ConvGeometry) => Tensor
  readonly onnx: Row['onnx']
}

function defineMember(name: string, member: Member): void {
  const { shape, reference, vjp, layout, byPatches, bySlices, onnx } = member
  const join = { image: joinChannels, kernel: joinKernels }
  const open = { image: splitChannels, kernel: splitKernels }
  defineOp(name, {
    linear: [0, 1],
    kernels: 'channels',
    expand: ({ attributes, outputs: [y] }, [a, b], { target }) => {
      if (y!.size === 0) return undefined
      // the runtime convolves in f32 alone
      if (y!.dtype === 'f64') return [bySlices(a!, b!, geometryOf(attributes))]
      if (target !== 'cpu' || a!.size === 0 || b!.size === 0) return undefined
      const product = byPatches(a!, b!, geometryOf(attributes))
      return product && [product]
    },
    shape: (inputs, attributes) => {
      requireRank4(name, inputs)
      const g = geometryOf(attributes)
      check(name, g)
      return [{ shape: shape(g, inputs[0]!, inputs[1]!), dtype: inputs[0]!.dtype }]
    },
    reference: ([a, b], attributes, [spec]) => {
      const out = new Float64Array(spec!.shape.reduce((x, y) => x * y, 1))
      reference(geometryOf(attributes), a!, b!, out, spec!.shape)
      return [out]
    },
    vjp: (node, [g]) => (g ? vjp(g, node.inputs[0]!, node.inputs[1]!, node.attributes) : [null, null]),
    vmap: (node, inputs, batched, size) => {
      const g = geometryOf(node.attributes)
      if (size === 0) return [zeros([0, ...node.outputs[0]!.shape], node.outputs[0]!.dtype)]
      // images against one kernel: the batch is just more images
      if (layout[1] === 'kernel' && !batched[1]) {
        const [, n, ...rest] = inputs[0]!.shape
        const y = apply(name, [reshape(inputs[0]!, [size * n!, ...rest]), inputs[1]!], node.attributes)
        return [reshape(y, [size, ...node.outputs[0]!.shape])]
      }
      const wide = inputs.map((x, i) =>
        join[layout[i]!](batched[i] ? x : broadcastTo(x, [size, ...x.shape]), size, g.groups),
      )
      return [
        open[layout[2]](apply(name, wide, { ...node.attributes, groups: g.groups * size }), size, g.groups),
      ]
    },
    // sums over nothing
    onnx: (e, names, node) =>
      node.inputs.some((x) => x.size === 0)
        ? [e.node('Expand', [e.scalar(0, node.outputs[0]!.dtype), e.ints(node.outputs[0]!.shape)])]
        : onnx(e, names, node),
  })
}

const nodeGeometry = (node: Node): ConvGeometry => geometryOf(node.attributes)

defineMember('conv', {
  shape: (g, x, w) => {
    if (x.shape[1] !== w.shape[1]! * g.groups || w.shape[0]! % g.groups !== 0)
      fail(
        'TL_SHAPE_MISMATCH',
        `conv: ${showSpec(x)} with kernel ${showSpec(w)} and ${g.groups} groups: expected ${x.shape[1]! / g.groups} channels in each kernel and a multiple of ${g.groups} kernels`,
      )
    return [x.shape[0]!, w.shape[0]!, ...outputSize(g)]
  },
  reference: (g, { shape: [n, channels], values: x }, { shape: [filters], values: w }, y) =>
    visit(g, n!, channels!, filters!, (i, j, k, count, step) => {
      for (let q = 0; q < count; q++) y[k + q]! += x[i + q * step]! * w[j]!
    }),
  vjp: (g, x, w, attributes) => [
    apply('convInputGrad', [g, w], attributes),
    apply('convKernelGrad', [x, g], attributes),
  ],
  layout: ['image', 'kernel', 'image'],
  byPatches: convByPatches,
  bySlices: convBySlices,
  onnx: (e, [x, w], node) => [emitConv(e, x!, w!, node.inputs, nodeGeometry(node))],
})

defineMember('convInputGrad', {
  shape: (g, y, w) => {
    const [oh, ow] = outputSize(g)
    if (y.shape[1] !== w.shape[0] || y.shape[2] !== oh || y.shape[3] !== ow)
      fail(
        'TL_SHAPE_MISMATCH',
        `transposed convolution: ${showSpec(y)} with kernel ${showSpec(w)}: expected ${w.shape[0]} channels and ${oh}×${ow} for an output of ${g.input.join('×')}`,
      )
    return [y.shape[0]!, w.shape[1]! * g.groups, ...g.input]
  },
  reference: (g, { values: y }, { shape: [filters], values: w }, x, [n, channels]) =>
    visit(g, n!, channels!, filters!, (i, j, k, count, step) => {
      for (let q = 0; q < count; q++) x[i + q * step]! += y[k + q]! * w[j]!
    }),
  vjp: (g, y, w, attributes) => [
    apply('conv', [g, w], attributes),
    apply('convKernelGrad', [g, y], attributes),
  ],
  layout: ['image', 'kernel', 'image'],
  byPatches: convInputGradByPatches,
  bySlices: convInputGradBySlices,
  onnx: (e, [y, w], node) => [emitConvInputGrad(e, y!, w!, node.inputs, nodeGeometry(node))],
})

defineMember('convKernelGrad', {
  shape: (g, x, y) => {
    if (x.shape[0] !== y.shape[0] || x.shape[1]! % g.groups !== 0)
      fail(
        'TL_SHAPE_MISMATCH',
        `convKernelGrad: ${showSpec(x)} and ${showSpec(y)} with ${g.groups} groups: expected equal batch sizes and channels divisible by the groups`,
      )
    return [y.shape[1]!, x.shape[1]! / g.groups, ...g.kernel]
  },
  reference: (g, { shape: [n, channels], values: x }, { values: y }, w, [filters]) =>
    visit(g, n!, channels!, filters!, (i, j, k, count, step) => {
      for (let q = 0; q < count; q++) w[j]! += x[i + q * step]! * y[k + q]!
    }),
  vjp: (g, x, y, attributes) => [
    apply('convInputGrad', [y, g], attributes),
    apply('conv', [x, g], attributes),
  ],
  layout: ['image', 'image', 'kernel'],
  byPatches: convKernelGradByPatches,
  bySlices: convKernelGradBySlices,
  onnx: (e, [x, y], node) => [emitConvKernelGrad(e, x!, y!, node.inputs, nodeGeometry(node))],
})
