/** @file Pooling over two spatial axes: max (a primitive that remembers places) and average (a composite). */
import { requireFloat, showSpec, sizeOf } from '../dtype.ts'
import { fail } from '../mistake.ts'
import { maxPoolBlocks } from '../onnx/blocked-neighbours.ts'
import { type Attributes, applyAll, type Node, ones, scalar, type Tensor, zeros } from '../tensor.ts'
import { scatterAlong, takeAlong } from './along.ts'
import { add, div, mul, sub } from './arithmetic.ts'
import { conv2d } from './convolve.ts'
import { cast, equal } from './logic.ts'
import { pad } from './padding.ts'
import { concatenate, slice } from './pieces.ts'
import { mean } from './reduce.ts'
import { reshape } from './shape.ts'
import { lift, lower, spatial } from './spatial.ts'
import { defineOp } from './table.ts'

type Pair = readonly [number, number]
interface PoolGeometry {
  readonly kernel: Pair
  readonly stride: Pair
  /** [[top, bottom], [left, right]] */
  readonly padding: readonly [Pair, Pair]
  /** Distance between the elements of a window. */
  readonly dilation: Pair
}
const geometryOf = (attributes: Attributes): PoolGeometry => attributes as unknown as PoolGeometry

/** Height and width that a window covers. */
const spanOf = (g: PoolGeometry): number[] => g.kernel.map((k, i) => g.dilation[i]! * (k - 1) + 1)

const outputSize = (g: PoolGeometry, input: readonly number[]): number[] =>
  [0, 1].map(
    (i) => Math.floor((input[i]! + g.padding[i]![0] + g.padding[i]![1] - spanOf(g)[i]!) / g.stride[i]!) + 1,
  )

/** Fold all leading axes into one and both spatial axes into another: [N, C, H, W] → [N·C, H·W]. */
const planes = (x: Tensor): Tensor => reshape(x, [x.shape[0]! * x.shape[1]!, x.shape[2]! * x.shape[3]!])

// Small windows side by side need no places, which the runtime finds and follows slowly: the derivative goes to the first
// element that equals the maximum.

const isTiling = (node: Node): boolean => {
  const g = geometryOf(node.attributes)
  return (
    g.padding.flat().every((p) => p === 0) &&
    [0, 1].every((i) => g.kernel[i] === g.stride[i] && (g.dilation[i] === 1 || g.kernel[i] === 1)) &&
    g.kernel[0] * g.kernel[1] <= 9
  )
}

/** The elements of all windows, one tensor [N, C, oh, ow] for each place within a window, row by row. */
function windowElements(x: Tensor, node: Node): Tensor[] {
  const { kernel } = geometryOf(node.attributes)
  const [n, c, oh, ow] = node.outputs[0]!.shape as [number, number, number, number]
  const [height, width] = kernel
  return Array.from({ length: height * width }, (_, k) => {
    const [i, j] = [Math.floor(k / width), k % width]
    const ends = [n, c, (oh - 1) * height + i + 1, (ow - 1) * width + j + 1]
    return slice(x, [0, 0, i, j], ends, [1, 1, height, width])
  })
}

/** Inverse of `windowElements`; elements outside all windows are 0. */
function interleave(parts: readonly Tensor[], node: Node): Tensor {
  const [height, width] = geometryOf(node.attributes).kernel
  const [n, c, oh, ow] = parts[0]!.shape as [number, number, number, number]
  const rows = Array.from({ length: height }, (_, i) =>
    concatenate(
      parts.slice(i * width, (i + 1) * width).map((p) => reshape(p, [n, c, oh, 1, ow, 1])),
      5,
    ),
  )
  const covered = reshape(concatenate(rows, 3), [n, c, oh * height, ow * width])
  const [, , h, w] = node.inputs[0]!.shape as [number, number, number, number]
  return pad(covered, { low: [0, 0, 0, 0], high: [0, 0, h - oh * height, w - ow * width] })
}

/** t where an element is the first maximum of its window, 0 where it is not: one tensor for each place within a window. */
function toFirst(t: Tensor, node: Node): Tensor[] {
  const elements = windowElements(node.inputs[0]!, node)
  let rest = t
  const parts = elements.slice(0, -1).map((x) => {
    const part = mul(rest, cast(equal(x, node.outputs[0]!), t.dtype))
    rest = sub(rest, part)
    return part
  })
  return [...parts, rest]
}

defineOp('maxPool', {
  fused: maxPoolBlocks,
  shape: ([x], attributes) => {
    const g = geometryOf(attributes)
    requireFloat('maxPool', x!)
    if (x!.shape.length !== 4)
      fail('TL_SHAPE_MISMATCH', `maxPool: expected [N, C, H, W], got ${showSpec(x!)}`)
    const out = outputSize(g, x!.shape.slice(2))
    // each window must see at least one element
    const isBlind = g.padding.some(
      (p, i) => Math.max(...p) >= g.kernel[i]! || x!.shape[2 + i]! < g.dilation[i]!,
    )
    if (out.some((n) => !(n >= 1)) || isBlind)
      fail(
        'TL_SHAPE_MISMATCH',
        `maxPool: a window of ${g.kernel.join('×')} (dilation ${g.dilation}) with padding ${g.padding} does not fit ${showSpec(x!)} (padding must be smaller than the window)`,
      )
    const shape = [x!.shape[0]!, x!.shape[1]!, ...out]
    return [
      { shape, dtype: x!.dtype },
      { shape, dtype: 'i32' },
    ]
  },
  reference: ([x], attributes, [spec]) => {
    const g = geometryOf(attributes)
    const [n, c, h, w] = x!.shape as [number, number, number, number]
    const [, , oh, ow] = spec!.shape as [number, number, number, number]
    const values = new Float64Array(sizeOf(spec!.shape)).fill(Number.NEGATIVE_INFINITY)
    const places = new Float64Array(values.length)
    for (let plane = 0, at = 0; plane < n * c; plane++)
      for (let p = 0; p < oh; p++)
        for (let q = 0; q < ow; q++, at++)
          for (let i = 0; i < g.kernel[0]; i++)
            for (let j = 0; j < g.kernel[1]; j++) {
              const [row, column] = [
                p * g.stride[0] + i * g.dilation[0] - g.padding[0][0],
                q * g.stride[1] + j * g.dilation[1] - g.padding[1][0],
              ]
              if (row < 0 || row >= h || column < 0 || column >= w) continue
              const value = x!.values[(plane * h + row) * w + column]!
              if (value > values[at]!) {
                values[at] = value
                places[at] = row * w + column
              }
            }
    return [values, places]
  },
  jvp: (node, [t]) => {
    const [y, places] = node.outputs as [Tensor, Tensor]
    if (!t || !isTiling(node)) return [t && reshape(takeAlong(planes(t), planes(places), 1), y.shape), null]
    const elements = windowElements(t, node)
    const terms = toFirst(ones(y.shape, y.dtype), node).map((mask, i) => mul(mask, elements[i]!))
    return [terms.reduce((a, b) => add(a, b)), null]
  },
  vjp: (node, [g]) => {
    const x = node.inputs[0]!
    if (g && isTiling(node)) return [interleave(toFirst(g, node), node)]
    const base = planes(zeros(x.shape, x.dtype))
    return [g && reshape(scatterAlong(base, planes(node.outputs[1]!), planes(g), 1), x.shape)]
  },
  vmap: (node, [x], _, size) => {
    const [, n, ...rest] = x!.shape
    return applyAll('maxPool', [reshape(x!, [size * n!, ...rest])], node.attributes).map((y, i) =>
      reshape(y, [size, ...node.outputs[i]!.shape]),
    )
  },
  onnx: (e, [x], node) => {
    const g = geometryOf(node.attributes)
    const { shape } = node.inputs[0]!
    const [values, places] = e.nodes(
      'MaxPool',
      [x!],
      {
        kernel_shape: [...g.kernel],
        strides: [...g.stride],
        dilations: [...g.dilation],
        pads: [g.padding[0][0], g.padding[1][0], g.padding[0][1], g.padding[1][1]],
      },
      { outputs: 2, isOpen: true },
    )
    // the runtime counts places through the whole tensor, we count them in one plane
    return [values!, e.cast(e.node('Mod', [places!, e.scalar(shape[2]! * shape[3]!, 'i64')]), 'i32')]
  },
})

export interface PoolOptions {
  /** Window size: one number or one for each axis. */
  readonly kernel: number | readonly number[]
  /** Step between windows; the window's size when not given. */
  readonly stride?: number | readonly number[]
  /** A number, or for each axis a number or [before, after]. Default 0. */
  readonly padding?: number | readonly (number | Pair)[]
}
export interface MaxPoolOptions extends PoolOptions {
  /** Distance between the elements of a window. Default 1. */
  readonly dilation?: number | readonly number[]
}
export interface AveragePoolOptions extends PoolOptions {
  /** Whether padding counts as zeros in the mean (default, as in PyTorch), or not at all. */
  readonly countPadding?: boolean
}

function geometry(op: string, options: MaxPoolOptions, axes: 1 | 2): PoolGeometry {
  const { kernel, stride = kernel, padding = 0, dilation = 1 } = options
  const pads = Array.isArray(padding)
    ? padding.map((p: number | Pair) => (typeof p === 'number' ? ([p, p] as const) : p))
    : new Array<Pair>(axes).fill([padding as number, padding as number])
  const g: PoolGeometry = {
    kernel: spatial(kernel, 1, axes),
    stride: spatial(stride, 1, axes),
    padding: axes === 1 ? [[0, 0], pads[0]!] : [pads[0]!, pads[1]!],
    dilation: spatial(dilation, 1, axes),
  }
  if (
    [...g.kernel, ...g.stride, ...g.dilation].some((n) => !Number.isInteger(n) || n < 1) ||
    g.padding.flat().some((n) => !Number.isInteger(n) || n < 0)
  )
    fail(
      'TL_BAD_ARGUMENT',
      `${op}: expected a positive kernel, stride and dilation and non-negative padding, got kernel ${kernel}, stride ${stride}, dilation ${dilation}, padding ${padding}`,
    )
  return g
}

function requireRank(op: string, x: Tensor, rank: number): void {
  if (x.rank !== rank)
    fail('TL_SHAPE_MISMATCH', `${op}: expected [N, C, ${rank === 4 ? 'H, W' : 'T'}], got ${showSpec(x)}`)
}

/** Largest element of each window of [N, C, H, W]; padding never wins. Among equals the first takes the derivative. */
export function maxPool2d(x: Tensor, options: MaxPoolOptions): Tensor {
  requireRank('maxPool2d', x, 4)
  return applyAll('maxPool', [x], { ...geometry('maxPool2d', options, 2) })[0]!
}

/** Largest element of each window of [N, C, T]. */
export function maxPool1d(x: Tensor, options: MaxPoolOptions): Tensor {
  requireRank('maxPool1d', x, 3)
  return lower(applyAll('maxPool', [lift(x)], { ...geometry('maxPool1d', options, 1) })[0]!)
}

/** Mean of each window of [N, C, H, W]. */
export function averagePool2d(x: Tensor, options: AveragePoolOptions): Tensor {
  requireRank('averagePool2d', x, 4)
  return average(x, geometry('averagePool2d', options, 2), options)
}

/** Mean of each window of [N, C, T]. */
export function averagePool1d(x: Tensor, options: AveragePoolOptions): Tensor {
  requireRank('averagePool1d', x, 3)
  return lower(average(lift(x), geometry('averagePool1d', options, 1), options))
}

function average(x: Tensor, g: PoolGeometry, { countPadding = true }: AveragePoolOptions): Tensor {
  const { kernel, stride, padding } = g
  const [n, c, h, w] = x.shape as [number, number, number, number]
  const isPadded = padding.flat().some((p) => p > 0)
  if (!isPadded && kernel.every((k, i) => k === stride[i]) && h % kernel[0] === 0 && w % kernel[1] === 0)
    return mean(reshape(x, [n, c, h / kernel[0], kernel[0], w / kernel[1], kernel[1]]), [3, 5])
  const window = ones([1, 1, ...kernel], x.dtype)
  const total = (images: Tensor): Tensor => conv2d(images, window, { stride, padding })
  const summed = total(reshape(x, [n * c, 1, h, w]))
  const count =
    isPadded && !countPadding ? total(ones([1, 1, h, w], x.dtype)) : scalar(kernel[0] * kernel[1], x.dtype)
  return reshape(div(summed, count), [n, c, ...summed.shape.slice(2)])
}
