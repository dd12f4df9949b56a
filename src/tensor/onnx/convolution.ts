/**
 * @file How the convolution and its adjoint over the input become runtime nodes: blocked kernels where the processor has
 * them and the work is worth a change of layout, plain Conv and ConvTranspose elsewhere.
 */
import type { Spec } from '../dtype.ts'
import { type ConvGeometry, outputSize } from '../ops/convGeometry.ts'
import {
  adjointKernel,
  blockedConv,
  blockedKernel,
  fromBlocked,
  isBlocked,
  type Shape4,
  shape4,
  toBlocked,
  whole,
} from './blocked.ts'
import type { Emitter } from './emitter.ts'

/** Multiplications and additions below which more nodes cost more than they save. */
export const worthBlocks = 1e6

export const work = (images: number, g: ConvGeometry, kernel: Shape4): number => {
  const [oh, ow] = outputSize(g)
  return 2 * images * oh * ow * kernel.reduce((a, b) => a * b, 1)
}

const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i)

const pads = ({ padding: [rows, columns] }: ConvGeometry): number[] => [
  rows[0],
  columns[0],
  rows[1],
  columns[1],
]

const common = (g: ConvGeometry) => ({
  strides: [...g.stride],
  dilations: [...g.dilation],
  group: g.groups,
  kernel_shape: [...g.kernel],
})

const isPointwise = (g: ConvGeometry): boolean =>
  [...g.kernel, ...g.stride].every((n) => n === 1) && pads(g).every((n) => n === 0)

/** A kernel for each channel. */
const isDepthwise = (g: ConvGeometry, [o, i]: Shape4): boolean => i === 1 && o === g.groups && o > 1

/**
 * Whether blocks pay for a convolution of `inputs` to `outputs` channels: surplus channels are computed too, at about twice
 * the speed of the plain kernel, and a change of layout costs a pass over each image.
 */
function paysBlocks(e: Emitter, inputs: number, outputs: number, flops: number): boolean {
  if (e.block === 0 || flops < worthBlocks) return false
  const used = inputs < e.block ? inputs : whole(e, inputs)
  return used * whole(e, outputs) < 2 * inputs * outputs
}

/** A bias of one number for each output channel may come along. */
export function emitConv(
  e: Emitter,
  x: string,
  w: string,
  inputs: readonly Spec[],
  g: ConvGeometry,
  bias?: string,
): string {
  const [image, kernel] = inputs.map(({ shape }) => shape4(shape)) as [Shape4, Shape4]
  const [n, c] = image
  const [o] = kernel
  const flops = work(n, g, kernel)
  const depthwise = isDepthwise(g, kernel)
  const isFast =
    depthwise || g.groups === 1
      ? paysBlocks(e, depthwise ? whole(e, c) : c, depthwise ? whole(e, c) : o, flops)
      : false
  // a pointwise convolution is a matrix product, to which a change of layout adds as much as it saves
  if (!isFast || (isPointwise(g) && !isBlocked(e, x)))
    return e.node('Conv', bias ? [x, w, bias] : [x, w], { ...common(g), pads: pads(g) })
  const isFew = c < e.block
  const y = blockedConv(
    e,
    isFew && !depthwise ? x : toBlocked(e, x, image),
    blockedKernel(e, w, kernel, isFew || depthwise),
    {
      ...g,
      pads: pads(g),
      groups: depthwise ? whole(e, c) : 1,
      bias: bias ? { name: bias, size: o } : undefined,
    },
  )
  return fromBlocked(e, y, [n, o, ...outputSize(g)])
}

export function emitConvInputGrad(
  e: Emitter,
  y: string,
  w: string,
  inputs: readonly Spec[],
  g: ConvGeometry,
): string {
  const [image, kernel] = inputs.map(({ shape }) => shape4(shape)) as [Shape4, Shape4]
  if (isPointwise(g) && g.groups === 1 && !isBlocked(e, y))
    return e.node('Conv', [y, e.node('Transpose', [w], { perm: [1, 0, 2, 3] })], { kernel_shape: [1, 1] })
  const flops = work(image[0], g, kernel)
  const isFast = g.groups === 1 && paysBlocks(e, kernel[0], kernel[1], flops)
  const plan = isFast ? phases(g) : undefined
  return plan ? byPhases(e, y, w, image, kernel, g, plan) : transposed(e, y, w, g)
}

function transposed(e: Emitter, y: string, w: string, g: ConvGeometry): string {
  const output = outputSize(g)
  const extra = g.input.map(
    (n, i) =>
      n +
      g.padding[i]![0] +
      g.padding[i]![1] -
      (output[i]! - 1) * g.stride[i]! -
      g.dilation[i]! * (g.kernel[i]! - 1) -
      1,
  )
  return e.node('ConvTranspose', [y, w], { ...common(g), pads: pads(g), output_padding: extra })
}

/** Along one axis, the input places of one residue modulo the stride: a convolution of their own. */
interface Phase {
  /** Kernel elements they see, in the order of the output places. */
  readonly taps: readonly number[]
  readonly before: number
  readonly after: number
}
interface Plan {
  /** For each axis: the phases, and how many places each has (the last may be surplus). */
  readonly axes: readonly { readonly phases: readonly Phase[]; readonly places: number }[]
}

/**
 * The adjoint of a strided convolution as one dense convolution for each phase: input place r = s m + e sees y at m + q − t
 * through kernel elements i = i₀ + s t, where s q = e + p − i₀. Undefined where a phase would see nothing, or would need
 * negative padding.
 */
function phases(g: ConvGeometry): Plan | undefined {
  const output = outputSize(g)
  const axes = [0, 1].map((axis) => {
    const [s, d, k, p] = [g.stride[axis]!, g.dilation[axis]!, g.kernel[axis]!, g.padding[axis]![0]]
    if (s > 1 && d > 1) return undefined
    const found = range(s).map((e) => {
      const taps = range(k).filter((i) => (e + p - i * d) % s === 0)
      // with stride 1, elements lie a dilation apart
      const shift = taps.length > 0 ? (e + p - taps[0]! * d) / s : 0
      return { taps: taps.reverse(), shift, reach: (s > 1 ? 1 : d) * (taps.length - 1) }
    })
    const places = Math.max(Math.ceil(g.input[axis]! / s), ...found.map(({ shift }) => output[axis]! - shift))
    return {
      places,
      phases: found.map(({ taps, shift, reach }) => ({
        taps,
        before: reach - shift,
        after: places + shift - output[axis]!,
      })),
    }
  })
  const isUsable = axes.every((a) => a?.phases.every(({ taps, before }) => taps.length > 0 && before >= 0))
  return isUsable ? { axes: axes as Plan['axes'] } : undefined
}

function byPhases(
  e: Emitter,
  y: string,
  w: string,
  image: Shape4,
  kernel: Shape4,
  g: ConvGeometry,
  { axes: [vertical, horizontal] }: Plan,
): string {
  const [n, o] = image
  const [, c] = kernel
  const b = e.block
  const isFew = o < b
  const source = isFew ? y : toBlocked(e, y, image)
  const pick = adjointKernel(e, w, kernel, isFew)
  const dilation = g.dilation
  const rows = vertical!.phases.map((v) =>
    horizontal!.phases.map((h) =>
      blockedConv(e, source, pick(v.taps, h.taps), {
        kernel: [v.taps.length, h.taps.length],
        dilation,
        pads: [v.before, h.before, v.after, h.after],
      }),
    ),
  )
  const [high, wide] = [vertical!, horizontal!].map((a) => a.places * a.phases.length) as [number, number]
  const blocks = (n * whole(e, c)) / b
  // interleave columns, then rows
  const lines = rows.map((row) =>
    row.length === 1
      ? row[0]!
      : e.node(
          'Concat',
          row.map((x) => e.reshape(x, [blocks * vertical!.places, horizontal!.places, b])),
          { axis: 2 },
        ),
  )
  const joined =
    lines.length === 1
      ? lines[0]!
      : e.node(
          'Concat',
          lines.map((x) => e.reshape(x, [blocks, vertical!.places, wide * b])),
          { axis: 2 },
        )
  const [height, width] = g.input
  const cut =
    high === height && wide === width
      ? joined
      : e.node('Slice', [
          e.reshape(joined, [blocks, high, wide, b]),
          e.ints([0, 0]),
          e.ints([height, width]),
          e.ints([1, 2]),
        ])
  const x =
    cut === rows[0]![0] && rows.length * rows[0]!.length === 1
      ? cut
      : e.reshape(cut, [n, whole(e, c), height, width])
  return fromBlocked(e, x, [n, c, height, width])
}
