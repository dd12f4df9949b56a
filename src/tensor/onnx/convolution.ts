/** @file How the three convolutions become runtime nodes. Plain Conv nodes everywhere; transposes and slices for the adjoints. */
import type { Spec } from '../dtype.ts'
import type { ConvGeometry } from '../ops/conv.ts'
import type { Emitter } from './emitter.ts'

const pads = (g: ConvGeometry): number[] => [
  g.padding[0][0],
  g.padding[1][0],
  g.padding[0][1],
  g.padding[1][1],
]

const common = (g: ConvGeometry) => ({
  strides: [...g.stride],
  dilations: [...g.dilation],
  group: g.groups,
  kernel_shape: [...g.kernel],
})

/** The runtime convolves float32 only; other floats go through float32 in an exported file and are refused when run. */
export function emitConv(
  e: Emitter,
  x: string,
  w: string,
  _inputs: readonly Spec[],
  g: ConvGeometry,
): string {
  return e.node('Conv', [x, w], { ...common(g), pads: pads(g) })
}

export function emitConvInputGrad(
  e: Emitter,
  y: string,
  w: string,
  _inputs: readonly Spec[],
  g: ConvGeometry,
): string {
  const covered = g.kernel.map(
    (k, i) =>
      (outputOf(g, i) - 1) * g.stride[i]! +
      g.dilation[i]! * (k - 1) +
      1 -
      g.padding[i]![0] -
      g.padding[i]![1],
  )
  const extra = covered.map((n, i) => g.input[i]! - n)
  return e.node('ConvTranspose', [y, w], { ...common(g), pads: pads(g), output_padding: extra })
}

const outputOf = (g: ConvGeometry, i: number): number =>
  Math.floor(
    (g.input[i]! + g.padding[i]![0] + g.padding[i]![1] - g.dilation[i]! * (g.kernel[i]! - 1) - 1) /
      g.stride[i]!,
  ) + 1

/** A convolution over swapped axes: the batch is summed over, output positions act as the (dilated) kernel. */
export function emitConvKernelGrad(
  e: Emitter,
  x: string,
  y: string,
  inputs: readonly Spec[],
  g: ConvGeometry,
): string {
  const [n, c] = inputs[0]!.shape as [number, number]
  const output = [outputOf(g, 0), outputOf(g, 1)]
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
    kernel_shape: output,
    pads: pads(g),
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
