/** @file Convolution of images and signals, and its transpose. */
import { showSpec } from '../dtype.ts'
import { fail } from '../mistake.ts'
import { apply, type Tensor } from '../tensor.ts'
import './conv.ts'
import type { ConvGeometry, Pair } from './convGeometry.ts'
import { lift, lower, spatial } from './spatial.ts'

export interface ConvOptions {
  /** Step between output positions; one number or one for each spatial axis. Default 1. */
  readonly stride?: number | readonly number[]
  /** Zeros around the input: a number, [before, after] for each axis, or 'same' / 'valid'. Default 0. */
  readonly padding?: number | readonly (number | Pair)[] | 'same' | 'valid'
  readonly dilation?: number | readonly number[]
  readonly groups?: number
}
export interface ConvTransposeOptions extends ConvOptions {
  /** Rows and columns added at the end of the output, to choose between sizes that the stride confuses. */
  readonly outputPadding?: number | readonly number[]
}

function paddingOf(
  op: string,
  { padding = 0, stride }: ConvOptions,
  axes: number,
  kernel: Pair,
  dilation: Pair,
): [Pair, Pair] {
  if (padding === 'valid') return [[0, 0], [0, 0]] // biome-ignore format: two pairs
  if (padding === 'same') {
    if (spatial(stride, 1, axes).some((s) => s !== 1))
      fail('TL_BAD_ARGUMENT', `${op}: padding 'same' needs stride 1 (give numbers)`)
    return kernel.map((k, i) => {
      const total = dilation[i]! * (k - 1)
      return [Math.floor(total / 2), Math.ceil(total / 2)]
    }) as unknown as [Pair, Pair]
  }
  const list = typeof padding === 'number' ? new Array<number>(axes).fill(padding) : padding
  const pairs = list.map((p) => (typeof p === 'number' ? ([p, p] as const) : p))
  return axes === 1 ? [[0, 0], pairs[0]!] : [pairs[0]!, pairs[1]!]
}

function requireConvRanks(op: string, x: Tensor, w: Tensor, rank: number): void {
  if (x.rank !== rank || w.rank !== rank)
    fail(
      'TL_SHAPE_MISMATCH',
      `${op}: expected input and kernel of ${rank} axes ([N, C, ${rank === 4 ? 'H, W' : 'T'}] and [O, C/groups, ${rank === 4 ? 'kh, kw' : 'k'}]), got ${showSpec(x)} and ${showSpec(w)}`,
    )
}

function convolve(op: string, x: Tensor, w: Tensor, options: ConvOptions, axes: number): Tensor {
  const kernel = [w.shape[2]!, w.shape[3]!] as const
  const dilation = spatial(options.dilation, 1, axes)
  const geometry: ConvGeometry = {
    stride: spatial(options.stride, 1, axes),
    padding: paddingOf(op, options, axes, kernel, dilation),
    dilation,
    groups: options.groups ?? 1,
    input: [x.shape[2]!, x.shape[3]!],
    kernel,
  }
  return apply('conv', [x, w], { ...geometry })
}

/** Cross-correlation of images [N, C, H, W] with kernels [O, C/groups, kh, kw]. */
export function conv2d(x: Tensor, w: Tensor, options: ConvOptions = {}): Tensor {
  requireConvRanks('conv2d', x, w, 4)
  return convolve('conv2d', x, w, options, 2)
}

/** Cross-correlation of signals [N, C, T] with kernels [O, C/groups, k]. */
export function conv1d(x: Tensor, w: Tensor, options: ConvOptions = {}): Tensor {
  requireConvRanks('conv1d', x, w, 3)
  return lower(convolve('conv1d', lift(x), lift(w), options, 1))
}

function convolveTransposed(
  op: string,
  x: Tensor,
  w: Tensor,
  options: ConvTransposeOptions,
  axes: number,
): Tensor {
  const kernel = [w.shape[2]!, w.shape[3]!] as const
  const dilation = spatial(options.dilation, 1, axes)
  const stride = spatial(options.stride, 1, axes)
  const padding = paddingOf(op, options, axes, kernel, dilation)
  const extra = spatial(options.outputPadding, 0, axes)
  const input = [0, 1].map(
    (i) =>
      (x.shape[2 + i]! - 1) * stride[i]! -
      padding[i]![0] -
      padding[i]![1] +
      dilation[i]! * (kernel[i]! - 1) +
      extra[i]! +
      1,
  ) as unknown as Pair
  const geometry: ConvGeometry = { stride, padding, dilation, groups: options.groups ?? 1, input, kernel }
  return apply('convInputGrad', [x, w], { ...geometry })
}

/** Transposed convolution of [N, C, H, W] with kernels [C, O/groups, kh, kw] (the layout of PyTorch). */
export function convTranspose2d(x: Tensor, w: Tensor, options: ConvTransposeOptions = {}): Tensor {
  requireConvRanks('convTranspose2d', x, w, 4)
  return convolveTransposed('convTranspose2d', x, w, options, 2)
}

/** Transposed convolution of signals [N, C, T] with kernels [C, O/groups, k]. */
export function convTranspose1d(x: Tensor, w: Tensor, options: ConvTransposeOptions = {}): Tensor {
  requireConvRanks('convTranspose1d', x, w, 3)
  return lower(convolveTransposed('convTranspose1d', lift(x), lift(w), options, 1))
}
