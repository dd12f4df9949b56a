/**
 * @file The parts of `unet2d`: residual blocks with time, attention over pixels, and the resizing between levels. Parameter names
 * are those of the `diffusers` library (0.35: `ResnetBlock2D`, `Attention`, `Downsample2D`, `Upsample2D`).
 */
import {
  add,
  averagePool2d,
  mul,
  pad,
  reshape,
  silu,
  softplus,
  split,
  type Tensor,
  tanh,
  transpose,
} from '../../tensor/index.ts'
import { type Activation, activation } from '../activations.ts'
import type { Initializer } from '../initializers.ts'
import { type AnyLayer, initAll, type Layer, type Parameters } from '../layer.ts'
import { attend } from '../layers/attention.ts'
import { type ConvParameters, conv2d } from '../layers/conv.ts'
import { type DenseParameters, dense } from '../layers/dense.ts'
import { groupNorm, type NormParameters } from '../layers/normalization.ts'
import { upsampleNearest } from './unet.ts'

/** What the blocks of a network have in common. */
export interface Unet2dShared {
  /** Features of the time embedding. */
  readonly time: number
  /** Groups of the normalizations, and what is added to their variances. */
  readonly groups: number
  readonly epsilon: number
  readonly activation: Activation | 'mish'
  /** Time scales and shifts what the second normalization gives, instead of being added before it. */
  readonly scaleShift: boolean
  readonly init: Initializer
}

/** A layer of an image and the embedding of its time, [N or 1, time]. */
type TimedLayer = Layer<Parameters, [x: Tensor, e: Tensor]>

const nonlinearity = (name: Unet2dShared['activation']): ((x: Tensor) => Tensor) =>
  name === 'mish' ? (x) => mul(x, tanh(softplus(x))) : activation(name)

interface ResnetOptions {
  /** The image is doubled or halved after the first normalization. */
  readonly resize?: 'up' | 'down'
  /** The sum is divided by this. Default 1. */
  readonly outputScale?: number
}

type ResnetParameters = {
  norm1: NormParameters
  conv1: ConvParameters
  time_emb_proj: DenseParameters
  norm2: NormParameters
  conv2: ConvParameters
  /** 1×1, where the numbers of channels differ */
  conv_shortcut?: ConvParameters
}

const resizing = {
  up: (x: Tensor): Tensor => upsampleNearest(x),
  down: (x: Tensor): Tensor => averagePool2d(x, { kernel: 2 }),
}

/** GroupNorm → nonlinearity → 3×3, twice, with time between, beside a shortcut: [N, inputs, H, W] ↦ [N, outputs, H′, W′]. */
export function resnetBlock(
  inputs: number,
  outputs: number,
  shared: Unet2dShared,
  { resize, outputScale = 1 }: ResnetOptions = {},
): TimedLayer {
  const { time, groups, epsilon, init, scaleShift } = shared
  const convolution = (from: number, kernel: number) =>
    conv2d(from, outputs, kernel, { padding: (kernel - 1) / 2, init })
  const layers = {
    norm1: groupNorm(inputs, groups, { epsilon }),
    conv1: convolution(inputs, 3),
    time_emb_proj: dense(time, scaleShift ? 2 * outputs : outputs, { init }),
    norm2: groupNorm(outputs, groups, { epsilon }),
    conv2: convolution(outputs, 3),
    ...(inputs !== outputs && { conv_shortcut: convolution(inputs, 1) }),
  }
  const act = nonlinearity(shared.activation)
  const resized = resize ? resizing[resize] : (x: Tensor) => x
  return {
    init: (key) => initAll(key, layers) as Parameters,
    apply: (parameters, x, e) => {
      const p = parameters as ResnetParameters
      let h = layers.conv1.apply(p.conv1, resized(act(layers.norm1.apply(p.norm1, x))))
      const projected = layers.time_emb_proj.apply(p.time_emb_proj, act(e))
      const ofTime = reshape(projected, [...projected.shape, 1, 1])
      if (scaleShift) {
        const [scale, shift] = split(ofTime, 2, 1) as [Tensor, Tensor]
        h = add(mul(layers.norm2.apply(p.norm2, h), add(scale, 1)), shift)
      } else h = layers.norm2.apply(p.norm2, add(h, ofTime))
      h = layers.conv2.apply(p.conv2, act(h))
      const straight = resized(x)
      const shortcut = layers.conv_shortcut
        ? layers.conv_shortcut.apply(p.conv_shortcut!, straight)
        : straight
      const sum = add(shortcut, h)
      return outputScale === 1 ? sum : mul(sum, 1 / outputScale)
    },
  }
}

interface PixelAttentionOptions {
  /** Features of one head; there are ⌊channels / headFeatures⌋ heads. */
  readonly headFeatures: number
  /** Groups of a normalization before; none without. */
  readonly groups?: number | undefined
  readonly outputScale?: number
}

type PixelAttentionParameters = {
  group_norm?: NormParameters
  to_q: DenseParameters
  to_k: DenseParameters
  to_v: DenseParameters
  to_out: [DenseParameters]
}

/** Every pixel looks at all, beside a shortcut: x [N, channels, H, W] ↦ the same. */
export function pixelAttention(
  channels: number,
  { epsilon, init }: Pick<Unet2dShared, 'epsilon' | 'init'>,
  { headFeatures, groups, outputScale = 1 }: PixelAttentionOptions,
): Layer<Parameters> {
  const heads = Math.floor(channels / headFeatures)
  const inner = heads * headFeatures
  const norm = groups === undefined ? undefined : groupNorm(channels, groups, { epsilon })
  const into = dense(channels, inner, { init })
  const out = dense(inner, channels, { init })
  return {
    init: (key) =>
      initAll(key, {
        ...(norm && { group_norm: norm }),
        ...{ to_q: into, to_k: into, to_v: into },
        to_out: { init: (own) => initAll(own, [out]) },
      } as Record<string, AnyLayer>),
    apply: (parameters, x) => {
      const p = parameters as unknown as PixelAttentionParameters
      const [n, , height, width] = x.shape as [number, number, number, number]
      const positions = height * width
      const h = norm ? norm.apply(p.group_norm!, x) : x
      /** [N, positions, C] */
      const pixels = transpose(reshape(h, [n, channels, positions]), [0, 2, 1])
      const headsOf = (parameters: DenseParameters): Tensor =>
        transpose(reshape(into.apply(parameters, pixels), [n, positions, heads, headFeatures]), [0, 2, 1, 3])
      const seen = attend(headsOf(p.to_q), headsOf(p.to_k), headsOf(p.to_v))
      const joined = reshape(transpose(seen, [0, 2, 1, 3]), [n, positions, inner])
      const y = reshape(transpose(out.apply(p.to_out[0], joined), [0, 2, 1]), x.shape)
      const sum = add(y, x)
      return outputScale === 1 ? sum : mul(sum, 1 / outputScale)
    },
  }
}

/** Ways from one level to the next. */
export type Resampling = 'conv' | 'resnet'

/** Half the image: a strided convolution, padded all around by 1 or, with 0, below and at the right; or a residual block. */
export function halve(channels: number, how: Resampling, padding: 0 | 1, shared: Unet2dShared): TimedLayer {
  if (how === 'resnet') return resnetBlock(channels, channels, shared, { resize: 'down' })
  const conv = conv2d(channels, channels, 3, { stride: 2, padding, init: shared.init })
  return {
    init: (key) => ({ conv: conv.init(key) }),
    apply: (p, x) => {
      const image = padding === 1 ? x : pad(x, { low: [0, 0, 0, 0], high: [0, 0, 1, 1] })
      return conv.apply((p as { conv: ConvParameters }).conv, image)
    },
  }
}

/** Twice the image: repeated pixels and a convolution, or a residual block. */
export function double(channels: number, how: Resampling, shared: Unet2dShared): TimedLayer {
  if (how === 'resnet') return resnetBlock(channels, channels, shared, { resize: 'up' })
  const conv = conv2d(channels, channels, 3, { padding: 1, init: shared.init })
  return {
    init: (key) => ({ conv: conv.init(key) }),
    apply: (p, x) => conv.apply((p as { conv: ConvParameters }).conv, upsampleNearest(x)),
  }
}

/** Two dense layers with SiLU between: [N, inputs] ↦ [N, outputs]. */
export function embeddingLayers(inputs: number, outputs: number, init: Initializer): Layer<Parameters> {
  const layers = { linear_1: dense(inputs, outputs, { init }), linear_2: dense(outputs, outputs, { init }) }
  return {
    init: (key) => initAll(key, layers),
    apply: (parameters, x) => {
      const p = parameters as { linear_1: DenseParameters; linear_2: DenseParameters }
      return layers.linear_2.apply(p.linear_2, silu(layers.linear_1.apply(p.linear_1, x)))
    },
  }
}
