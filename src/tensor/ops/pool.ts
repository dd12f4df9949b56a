/** @file Pooling over two spatial axes: max (a primitive that remembers places) and average (a composite). */
import { fail } from '../../base/index.ts'
import { requireFloat, showSpec, sizeOf } from '../dtype.ts'
import { type Attributes, apply, applyAll, ones, type Tensor, zeros } from '../tensor.ts'
import { conv2d } from './conv.ts'
import { div } from './elementwise.ts'
import { scatterAlong, takeAlong } from './indexing.ts'
import { mean } from './reduce.ts'
import { reshape } from './shape.ts'
import { defineOp } from './table.ts'

type Pair = readonly [number, number]
interface PoolGeometry {
  readonly kernel: Pair
  readonly stride: Pair
  /** [[top, bottom], [left, right]] */
  readonly padding: readonly [Pair, Pair]
}
const geometryOf = (attributes: Attributes): PoolGeometry => attributes as unknown as PoolGeometry

const outputSize = (g: PoolGeometry, input: readonly number[]): number[] =>
  [0, 1].map(
    (i) => Math.floor((input[i]! + g.padding[i]![0] + g.padding[i]![1] - g.kernel[i]!) / g.stride[i]!) + 1,
  )

/** Fold all leading axes into one and both spatial axes into another: [N, C, H, W] → [N·C, H·W]. */
const planes = (x: Tensor): Tensor => reshape(x, [x.shape[0]! * x.shape[1]!, x.shape[2]! * x.shape[3]!])

defineOp('maxPool', {
  shape: ([x], attributes) => {
    const g = geometryOf(attributes)
    requireFloat('maxPool', x!)
    if (x!.shape.length !== 4)
      fail('TL_SHAPE_MISMATCH', `maxPool: expected [N, C, H, W], got ${showSpec(x!)}`)
    const out = outputSize(g, x!.shape.slice(2))
    if (out.some((n) => !(n >= 1)) || g.padding.some((p, i) => Math.max(...p) >= g.kernel[i]!))
      fail(
        'TL_SHAPE_MISMATCH',
        `maxPool: a window of ${g.kernel.join('×')} with padding ${g.padding} does not fit ${showSpec(x!)} (padding must be smaller than the window)`,
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
                p * g.stride[0] + i - g.padding[0][0],
                q * g.stride[1] + j - g.padding[1][0],
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
    return [t && reshape(takeAlong(planes(t), planes(places), 1), y.shape), null]
  },
  vjp: (node, [g]) => {
    const x = node.inputs[0]!
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
        pads: [g.padding[0][0], g.padding[1][0], g.padding[0][1], g.padding[1][1]],
      },
      { outputs: 2 },
    )
    // the runtime counts places through the whole tensor, we count them in one plane
    return [values!, e.cast(e.node('Mod', [places!, e.scalar(shape[2]! * shape[3]!, 'i64')]), 'i32')]
  },
})

export interface PoolOptions {
  /** Window height and width. */
  readonly kernel: number | Pair
  /** Step between windows; the window's size when not given. */
  readonly stride?: number | Pair
  readonly padding?: number | Pair
}

function geometry({ kernel, stride = kernel, padding = 0 }: PoolOptions): PoolGeometry {
  const pair = (value: number | Pair): Pair => (typeof value === 'number' ? [value, value] : value)
  const [p, q] = pair(padding)
  const g = { kernel: pair(kernel), stride: pair(stride), padding: [[p, p], [q, q]] } as const // biome-ignore format: one line
  if (
    [...g.kernel, ...g.stride].some((n) => !Number.isInteger(n) || n < 1) ||
    [p, q].some((n) => !Number.isInteger(n) || n < 0)
  )
    fail(
      'TL_BAD_ARGUMENT',
      `pooling: expected a positive kernel and stride and non-negative padding, got kernel ${kernel}, stride ${stride}, padding ${padding}`,
    )
  return g
}

/** Largest element of each window of [N, C, H, W]; padding never wins. Among equals the first takes the derivative. */
export const maxPool2d = (x: Tensor, options: PoolOptions): Tensor =>
  applyAll('maxPool', [x], { ...geometry(options) })[0]!

/** Mean of each window of [N, C, H, W]. Padding zeros count towards the mean (as in PyTorch's default). */
export function averagePool2d(x: Tensor, options: PoolOptions): Tensor {
  const { kernel, stride, padding } = geometry(options)
  if (x.rank !== 4) fail('TL_SHAPE_MISMATCH', `averagePool2d: expected [N, C, H, W], got ${showSpec(x)}`)
  const [n, c, h, w] = x.shape as [number, number, number, number]
  const tiles =
    kernel.every((k, i) => k === stride[i] && padding[i]![0] === 0) &&
    h % kernel[0] === 0 &&
    w % kernel[1] === 0
  if (tiles) return mean(reshape(x, [n, c, h / kernel[0], kernel[0], w / kernel[1], kernel[1]]), [3, 5])
  const window = ones([1, 1, ...kernel], x.dtype)
  const summed = conv2d(reshape(x, [n * c, 1, h, w]), window, { stride, padding })
  return div(reshape(summed, [n, c, ...summed.shape.slice(2)]), kernel[0] * kernel[1])
}
