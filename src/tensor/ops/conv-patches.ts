/**
 * @file Convolutions whose windows lie side by side: each window is a row of a matrix, the convolution and both adjoints are
 * one matrix product. Taken for signals and for images of few channels, where blocks of channels do not pay.
 */
import type { Node, Tensor } from '../tensor.ts'
import { type ConvGeometry, geometryOf, outputSize } from './convGeometry.ts'
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

/** A member of the family as a matrix product over windows; undefined where the windows do not lie side by side. */
export function convByPatches(node: Node, [a, b]: readonly [Tensor, Tensor]): Tensor | undefined {
  const g = geometryOf(node.attributes)
  const [oh, ow] = outputSize(g)
  const [kh, kw] = g.kernel
  const [n] = a.shape as [number]
  /** [N, C, H, W] ↦ [N oh ow, C kh kw] */
  const rows = (x: Tensor): Tensor => {
    const c = x.shape[1]!
    return arranged(x, [n, c, oh, kh, ow, kw], [0, 2, 4, 1, 3, 5], [n * oh * ow, c * kh * kw])
  }
  /** [N, O, oh, ow] ↦ [N oh ow, O] */
  const places = (y: Tensor): Tensor => {
    const o = y.shape[1]!
    return arranged(y, [n, o, oh * ow], [0, 2, 1], [n * oh * ow, o])
  }
  const matrix = (w: Tensor): Tensor => reshape(w, [w.shape[0]!, w.shape[1]! * kh * kw])

  switch (node.op) {
    case 'conv': {
      if (!isPatched(g, a.shape[1]!)) return undefined
      const o = b.shape[0]!
      const y = matmul(rows(a), matrix(b), { transposeB: true })
      return arranged(y, [n, oh * ow, o], [0, 2, 1], [n, o, oh, ow])
    }
    case 'convInputGrad': {
      const c = b.shape[1]!
      if (!isPatched(g, c)) return undefined
      const x = matmul(places(a), matrix(b))
      return arranged(x, [n, oh, ow, c, kh, kw], [0, 3, 1, 4, 2, 5], [n, c, oh * kh, ow * kw])
    }
    default: {
      const c = a.shape[1]!
      if (!isPatched(g, c)) return undefined
      return reshape(matmul(places(b), rows(a), { transposeA: true }), [b.shape[1]!, c, kh, kw])
    }
  }
}
