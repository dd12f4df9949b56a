/**
 * @file The gradient of a convolution in its kernel: a correlation of two images, summed over the batch. On blocked kernels
 * one image is slid over the other as if it were a kernel, in one of two ways:
 *
 *   image by image   every example is a group of its own, and the products are summed over the batch afterwards
 *   batch as channels   the runtime sums over blocks of the batch, which needs other layouts but no large product
 */
import type { Spec } from '../dtype.ts'
import { type ConvGeometry, outputSize } from '../ops/convGeometry.ts'
import {
  blockedConv,
  blockFirst,
  fromBlocked,
  isBlocked,
  nchwc,
  padEnd,
  type Shape4,
  shape4,
  toBlocked,
  whole,
} from './blocked.ts'
import { work, worthBlocks } from './convolution.ts'
import { type Emitter, microsoft } from './emitter.ts'

type Pair = readonly [number, number]

/**
 * r[b, a, u, v] = Σ image[n, a, stride p + step u − before, …] lanes[n, b, p, q] over n, p and q. What lies outside the image
 * is zero; `before` may be negative.
 */
interface Correlation {
  readonly image: string
  readonly imageShape: Shape4
  readonly lanes: string
  readonly lanesShape: Shape4
  readonly stride: Pair
  readonly step: Pair
  readonly before: Pair
  readonly size: Pair
}

export function emitConvKernelGrad(
  e: Emitter,
  x: string,
  y: string,
  inputs: readonly Spec[],
  g: ConvGeometry,
): string {
  const [xShape, yShape] = inputs.map(({ shape }) => shape4(shape)) as [Shape4, Shape4]
  const [n, c, h, w] = xShape
  const [, o, oh, ow] = yShape
  if (e.block === 0 || g.groups > 1 || work(n, g, [o, c, ...g.kernel]) < worthBlocks)
    return overSwappedAxes(e, x, y, inputs, g)
  const isPointwise = [...g.kernel, ...g.stride].every((k) => k === 1) && oh === h && ow === w
  if (isPointwise && !(isBlocked(e, x) && isBlocked(e, y)))
    return e.reshape(pointwise(e, x, y, n, [c, o], h * w), [o, c, 1, 1])

  const straight: Correlation = {
    ...{ image: x, imageShape: xShape, lanes: y, lanesShape: yShape },
    ...{ stride: g.stride, step: g.dilation, size: g.kernel },
    before: [g.padding[0][0], g.padding[1][0]],
  }
  // with stride 1 the roles may be exchanged: the offsets then run backwards
  const exchanged: Correlation = {
    ...{ image: y, imageShape: yShape, lanes: x, lanesShape: xShape },
    ...{ stride: [1, 1], step: g.dilation, size: g.kernel },
    before: [0, 1].map((i) => (g.kernel[i]! - 1) * g.dilation[i]! - g.padding[i]![0]) as unknown as Pair,
  }
  const mayExchange = g.stride.every((s) => s === 1)
  const isExchanged = mayExchange && cost(e, exchanged) < cost(e, straight)
  const chosen = isExchanged ? exchanged : straight
  if (cost(e, chosen) > 3 * o * c) return overSwappedAxes(e, x, y, inputs, g)
  const r = correlate(e, chosen)
  if (!isExchanged) return r
  const backwards = e.node('Slice', [
    r,
    ...[
      [-1, -1],
      [-(2 ** 31), -(2 ** 31)],
      [2, 3],
      [-1, -1],
    ].map((list) => e.ints(list)),
  ])
  return e.node('Transpose', [backwards], { perm: [1, 0, 2, 3] })
}

/** Whether an image has too few channels for blocks. */
const hasFew = (e: Emitter, channels: number): boolean => channels <= (e.block * 3) / 4

/** Products computed, surplus channels included; of equals, the smaller image is padded. */
function cost(e: Emitter, { imageShape: [, a], lanesShape: [, b] }: Correlation): number {
  return (hasFew(e, a) ? a : whole(e, a)) * whole(e, b) + a / 1e6
}

function correlate(e: Emitter, c: Correlation): string {
  const [n, a] = c.imageShape
  const [, b, p, q] = c.lanesShape
  const [u, v] = c.size
  const isProductLarge = u * v * a * b > 6 * p * q * (a + b)
  return isProductLarge && n >= (e.block * 3) / 4 ? overBatchBlocks(e, c) : imageByImage(e, c)
}

/** Along one axis: elements read after the image, from the geometry (negative where the last are not needed). */
function after({ imageShape, lanesShape, stride, step, before, size }: Correlation, axis: 0 | 1): number {
  const span = stride[axis] * (lanesShape[2 + axis]! - 1) + step[axis] * (size[axis] - 1) + 1
  return span - imageShape[2 + axis]! - before[axis]
}

/**
 * The blocked convolution is told that [H, W, b] are H rows of W b numbers: at a dilation of b, the lanes of one block meet
 * every channel of the other image and every column offset as neighbouring output places. No element changes its place.
 */
function imageByImage(e: Emitter, c: Correlation): string {
  const { image, imageShape, lanes, lanesShape, stride, step, before, size } = c
  const [n, a, h, w] = imageShape
  const [, b, p, q] = lanesShape
  const [u, v] = size
  const block = e.block
  const groups = n < block ? n : whole(e, n)
  const outputs = whole(e, b)
  const filter = e.reshape(
    padEnd(e, toBlocked(e, lanes, lanesShape), [n, outputs, p, q], [groups, outputs, p, q]),
    [groups * outputs, 1, p, q],
  )
  const [low, high] = [before[0], after(c, 0)]
  // the runtime leaves rows of padding out, as long as each place sees some row of the image
  const isLeftToRuntime =
    low >= 0 &&
    high >= 0 &&
    Array.from({ length: u }, (_, i) => i * step[0] - low).every((top) =>
      Array.from({ length: p }, (_, r) => top + r * stride[0]).some((row) => row >= 0 && row < h),
    )
  const margin = isLeftToRuntime ? { top: 0, bottom: 0 } : { top: low, bottom: high }
  const [left, right] = [before[1], after(c, 1)]
  const height = h + margin.top + margin.bottom
  const width = w + left + right
  const pads = isLeftToRuntime ? [low, 0, high, 0] : [0, 0, 0, 0]
  const overBatch = (x: string, axis: number): string =>
    groups === 1 ? x : e.node('ReduceSum', [x, e.ints([axis])], { keepdims: 0 })

  if (hasFew(e, a)) {
    const padded = pad(e, image, [0, 0, margin.top, left], [groups - n, 0, margin.bottom, right])
    const source = a === 1 ? padded : e.node('Transpose', [padded], { perm: [1, 0, 2, 3] })
    const products = blockedConv(e, e.reshape(source, [a, groups, height, width]), filter, {
      ...{ kernel: [p, q], stride: step, dilation: stride, pads, groups },
    })
    const summed = overBatch(e.reshape(products, [a, groups, outputs * u * v]), 1)
    const open = e.reshape(blockFirst(e, summed, (a * outputs) / block, u * v), [a, outputs, u, v])
    const turned =
      a === 1 ? e.reshape(open, [outputs, 1, u, v]) : e.node('Transpose', [open], { perm: [1, 0, 2, 3] })
    return cutTo(e, turned, [outputs, a, u, v], [b, a, u, v])
  }

  const source = toBlocked(e, image, imageShape)
  const blocks = whole(e, a) / block
  const open = e.reshape(source, [n, blocks, h, w, block])
  const columns = step[1] * (v - 1) + 1
  const parts = Array.from({ length: blocks }, (_, k) => {
    const one = pad(
      e,
      open,
      [0, -k, margin.top, left, 0],
      [groups - n, k + 1 - blocks, margin.bottom, right, 0],
    )
    const products = blockedConv(e, e.reshape(one, [1, groups, height, width * block]), filter, {
      ...{ kernel: [p, q], stride: [step[0], 1], dilation: [stride[0], stride[1] * block], pads, groups },
    })
    const summed = overBatch(e.reshape(products, [groups, outputs * u * columns * block]), 0)
    const offsets =
      step[1] === 1
        ? summed
        : e.node('Slice', [
            e.reshape(summed, [(outputs / block) * u, columns, block * block]),
            ...[[0], [columns], [1], [step[1]]].map((list) => e.ints(list)),
          ])
    // [B/b, u v, b of A, b of B] → [B, b of A, u v]
    const byLane = blockFirst(e, offsets, outputs / block, u * v * block)
    return e.reshape(blockFirst(e, byLane, outputs, u * v), [outputs, block, u, v])
  })
  const joined = parts.length === 1 ? parts[0]! : e.node('Concat', parts, { axis: 1 })
  return cutTo(e, joined, [outputs, blocks * block, u, v], [b, a, u, v])
}

/** Both images with batch and channels exchanged: [A, N, H, W] slides over kernels [B, N, p, q]. */
function overBatchBlocks(e: Emitter, c: Correlation): string {
  const { image, imageShape, lanes, lanesShape, stride, step, before, size } = c
  const [n, a, h, w] = imageShape
  const [, b, p, q] = lanesShape
  const block = e.block
  const [batch, outputs] = [whole(e, n), whole(e, b)]
  // padding that the convolution does itself costs it its wide inner loop
  const [height, width] = [h + before[0] + after(c, 0), w + before[1] + after(c, 1)]
  const turned = e.node('Transpose', [image], { perm: [1, 0, 2, 3] })
  const padded = pad(e, turned, [0, 0, ...before], [0, batch - n, after(c, 0), after(c, 1)])
  const source = e.node('ReorderInput', [e.reshape(padded, [a, batch, height, width])], {}, nchwc)
  const filled = padEnd(e, toBlocked(e, lanes, lanesShape), [n, outputs, p, q], [batch, outputs, p, q])
  const filter = e.node(
    'Transpose',
    [e.reshape(filled, [batch / block, block, outputs / block, p * q, block])],
    { perm: [2, 0, 3, 1, 4] },
  )
  const r = blockedConv(e, source, e.reshape(filter, [outputs, batch, p, q]), {
    ...{ kernel: [p, q], stride: step, dilation: stride },
  })
  return e.node('Transpose', [fromBlocked(e, r, [a, b, ...size])], { perm: [1, 0, 2, 3] })
}

/** Zeros around an array; negative numbers cut. */
const pad = (e: Emitter, x: string, low: readonly number[], high: readonly number[]): string =>
  [...low, ...high].every((k) => k === 0) ? x : e.node('Pad', [x, e.ints([...low, ...high])])

function cutTo(e: Emitter, x: string, shape: Shape4, wanted: Shape4): string {
  const axes = [0, 1].filter((i) => shape[i] !== wanted[i])
  if (axes.length === 0) return x
  return e.node('Slice', [x, e.ints(axes.map(() => 0)), e.ints(axes.map((i) => wanted[i]!)), e.ints(axes)])
}

/** Σ y xᵀ over examples, or as one product when the matrices of single examples outweigh the images. */
function pointwise(e: Emitter, x: string, y: string, n: number, [c, o]: Pair, positions: number): string {
  const product = (a: string, b: string): string => e.node('FusedMatMul', [a, b], { transB: 1 }, microsoft)
  if (n === 1) return product(e.reshape(y, [o, positions]), e.reshape(x, [c, positions]))
  if (o * c < (o + c) * positions)
    return e.node(
      'ReduceSum',
      [product(e.reshape(y, [n, o, positions]), e.reshape(x, [n, c, positions])), e.ints([0])],
      { keepdims: 0 },
    )
  const rows = (name: string, channels: number): string =>
    e.reshape(e.node('Transpose', [name], { perm: [1, 0, 2, 3] }), [channels, n * positions])
  return product(rows(y, o), rows(x, c))
}

/** A plain convolution over swapped axes: the batch is summed over, output places act as the (dilated) kernel. */
function overSwappedAxes(e: Emitter, x: string, y: string, inputs: readonly Spec[], g: ConvGeometry): string {
  const [n, c] = inputs[0]!.shape as [number, number]
  const output = outputSize(g)
  // x [N, g, C/g, H, W] → [C/g, g·N, H, W];  y [N, O, oh, ow] → [O, N, oh, ow]
  const perGroup = c / g.groups
  const source =
    g.groups === 1
      ? e.node('Transpose', [x], { perm: [1, 0, 2, 3] })
      : e.reshape(
          e.node('Transpose', [e.reshape(x, [n, g.groups, perGroup, ...g.input])], { perm: [2, 1, 0, 3, 4] }),
          [perGroup, g.groups * n, ...g.input],
        )
  const kernel = e.node('Transpose', [y], { perm: [1, 0, 2, 3] })
  const full = e.node('Conv', [source, kernel], {
    strides: [...g.dilation],
    dilations: [...g.stride],
    group: g.groups,
    kernel_shape: [...output],
    pads: [g.padding[0][0], g.padding[1][0], g.padding[0][1], g.padding[1][1]],
  })
  const size = [0, 1].map(
    (i) =>
      Math.floor(
        (g.input[i]! + g.padding[i]![0] + g.padding[i]![1] - g.stride[i]! * (output[i]! - 1) - 1) /
          g.dilation[i]!,
      ) + 1,
  )
  const cut = size.some((s, i) => s !== g.kernel[i]!)
    ? e.node('Slice', [full, e.ints([0, 0]), e.ints([...g.kernel]), e.ints([2, 3])])
    : full
  return e.node('Transpose', [cut], { perm: [1, 0, 2, 3] }) // [C/g, O, kh, kw] → [O, C/g, kh, kw]
}
