/** @file The convolutions as slices and matrix products: any float type, any geometry; also the definition of f64 convolution. */
import type { Tensor } from '../tensor.ts'
import { add } from './arithmetic.ts'
import { type ConvGeometry, outputSize } from './convGeometry.ts'
import { matmul } from './matmul.ts'
import { pad } from './padding.ts'
import { concatenate, slice } from './pieces.ts'
import { sum } from './reduce.ts'
import { reshape } from './shape.ts'

const positions = (g: ConvGeometry): [number, number][] =>
  Array.from({ length: g.kernel[0] * g.kernel[1] }, (_, k) => [Math.floor(k / g.kernel[1]), k % g.kernel[1]])

const padded = (x: Tensor, g: ConvGeometry): Tensor =>
  pad(x, { low: [0, 0, g.padding[0][0], g.padding[1][0]], high: [0, 0, g.padding[0][1], g.padding[1][1]] })

/** What kernel element (i, j) sees: [N, C, H, W] → [N, C, oh, ow]. */
function seenBy(
  x: Tensor,
  g: ConvGeometry,
  [i, j]: [number, number],
  [oh, ow]: readonly [number, number],
): Tensor {
  const [n, c] = x.shape as [number, number]
  const [top, left] = [i * g.dilation[0], j * g.dilation[1]]
  const ends = [n, c, top + (oh - 1) * g.stride[0] + 1, left + (ow - 1) * g.stride[1] + 1]
  return slice(x, [0, 0, top, left], ends, [1, 1, g.stride[0], g.stride[1]])
}

/** Kernel element (i, j) as matrices, one for each group: [G, O/G, C/G]. */
function elementOf(w: Tensor, g: ConvGeometry, [i, j]: [number, number]): Tensor {
  const [o, c] = w.shape as [number, number]
  return reshape(slice(w, [0, 0, i, j], [o, c, i + 1, j + 1]), [g.groups, o / g.groups, c])
}

export function convBySlices(x: Tensor, w: Tensor, g: ConvGeometry): Tensor {
  const [n, c] = x.shape as [number, number]
  const [oh, ow] = outputSize(g)
  const wide = padded(x, g)
  const terms = positions(g).map((at) => {
    const seen = reshape(seenBy(wide, g, at, [oh, ow]), [n, g.groups, c / g.groups, oh * ow])
    return matmul(elementOf(w, g, at), seen) // [N, G, O/G, P]
  })
  return reshape(
    terms.reduce((a, b) => add(a, b)),
    [n, w.shape[0]!, oh, ow],
  )
}

export function convInputGradBySlices(y: Tensor, w: Tensor, g: ConvGeometry): Tensor {
  const [n, o, oh, ow] = y.shape as [number, number, number, number]
  const c = w.shape[1]! * g.groups
  const grouped = reshape(y, [n, g.groups, o / g.groups, oh * ow])
  const size = [0, 1].map((i) => g.input[i]! + g.padding[i]![0] + g.padding[i]![1])
  const terms = positions(g).map(([i, j]) => {
    const part = reshape(matmul(elementOf(w, g, [i, j]), grouped, { transposeA: true }), [n, c, oh, ow])
    const low = [i * g.dilation[0], j * g.dilation[1]]
    const covered = [(oh - 1) * g.stride[0] + 1, (ow - 1) * g.stride[1] + 1]
    return pad(part, {
      low: [0, 0, ...low],
      high: [0, 0, ...size.map((s, k) => s - low[k]! - covered[k]!)],
      interior: [0, 0, g.stride[0] - 1, g.stride[1] - 1],
    })
  })
  const whole = terms.reduce((a, b) => add(a, b))
  const [top, left] = [g.padding[0][0], g.padding[1][0]]
  return slice(whole, [0, 0, top, left], [n, c, top + g.input[0], left + g.input[1]])
}

export function convKernelGradBySlices(x: Tensor, y: Tensor, g: ConvGeometry): Tensor {
  const [n, c] = x.shape as [number, number]
  const [, o, oh, ow] = y.shape as [number, number, number, number]
  const wide = padded(x, g)
  const cotangent = reshape(y, [n, g.groups, o / g.groups, oh * ow])
  const elements = positions(g).map((at) => {
    const seen = reshape(seenBy(wide, g, at, [oh, ow]), [n, g.groups, c / g.groups, oh * ow])
    return reshape(sum(matmul(cotangent, seen, { transposeB: true }), 0), [o, c / g.groups, 1])
  })
  return reshape(concatenate(elements, 2), [o, c / g.groups, ...g.kernel])
}
