/**
 * @file Convolutions whose windows lie side by side: each window is a row of a matrix, the convolution and both adjoints are
 * one matrix product. Taken for signals and for images of few channels, where blocks of channels do not pay.
 */
import type { Tensor } from '../tensor.ts'
import { type ConvGeometry, outputSize } from './convGeometry.ts'
import { matmul } from './matmul.ts'
import { reshape, transpose } from './shape.ts'

function isPatched(g: ConvGeometry, channels: number): boolean {
  const output = outputSize(g)
  const isSideBySide = [0, 1].every(
    (i) =>
      g.kernel[i] === g.stride[i] &&
      (g.dilation[i] === 1 || g.kernel[i] === 1) &&
      g.padding[i]!.every((p) => p === 0) &&
      output[i]! * g.kernel[i]! === g.input[i],
  )
  const isSignal = g.input[0] === 1
  return isSideBySide && g.groups === 1 && g.kernel[0] * g.kernel[1] > 1 && (isSignal || channels < 8)
}

/** Reshape, transpose, reshape; without axes of size 1, which cost the runtime's transposition its fast cases. */
function arranged(
  x: Tensor,
  open: readonly number[],
  permutation: readonly number[],
  shape: readonly number[],
): Tensor {
  const kept = open.flatMap((n, i) => (n > 1 ? [i] : []))
  const places = permutation.filter((i) => kept.includes(i)).map((i) => kept.indexOf(i))
  const real = reshape(
    x,
    kept.map((i) => open[i]!),
  )
  return reshape(transpose(real, places), shape)
}

/** [N, C, H, W] ↦ [N oh ow, C kh kw] */
function windows(x: Tensor, g: ConvGeometry): Tensor {
  const [oh, ow] = outputSize(g)
  const [kh, kw] = g.kernel
  const [n, c] = x.shape as [number, number]
  return arranged(x, [n, c, oh, kh, ow, kw], [0, 2, 4, 1, 3, 5], [n * oh * ow, c * kh * kw])
}

/** [N, O, oh, ow] ↦ [N oh ow, O] */
function places(y: Tensor): Tensor {
  const [n, o, oh, ow] = y.shape as [number, number, number, number]
  return arranged(y, [n, o, oh * ow], [0, 2, 1], [n * oh * ow, o])
}

/** [O, C, kh, kw] ↦ [O, C kh kw] */
const matrix = (w: Tensor): Tensor => reshape(w, [w.shape[0]!, w.size / w.shape[0]!])

// each undefined where the windows do not lie side by side

export function convByPatches(x: Tensor, w: Tensor, g: ConvGeometry): Tensor | undefined {
  if (!isPatched(g, x.shape[1]!)) return undefined
  const [n, o] = [x.shape[0]!, w.shape[0]!]
  const [oh, ow] = outputSize(g)
  const y = matmul(windows(x, g), matrix(w), { transposeB: true })
  return arranged(y, [n, oh * ow, o], [0, 2, 1], [n, o, oh, ow])
}

export function convInputGradByPatches(y: Tensor, w: Tensor, g: ConvGeometry): Tensor | undefined {
  const [, c, kh, kw] = w.shape as [number, number, number, number]
  if (!isPatched(g, c)) return undefined
  const [n, , oh, ow] = y.shape as [number, number, number, number]
  const x = matmul(places(y), matrix(w))
  return arranged(x, [n, oh, ow, c, kh, kw], [0, 3, 1, 4, 2, 5], [n, c, oh * kh, ow * kw])
}

export function convKernelGradByPatches(x: Tensor, y: Tensor, g: ConvGeometry): Tensor | undefined {
  const c = x.shape[1]!
  if (!isPatched(g, c)) return undefined
  return reshape(matmul(places(y), windows(x, g), { transposeA: true }), [y.shape[1]!, c, ...g.kernel])
}
