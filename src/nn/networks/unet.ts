/** @file U-Net for diffusion on images: residual blocks with time, one level for each halving of the image. (Ho et al. 2020) */
import { fail } from '../../base/index.ts'
import type { FloatDtype } from '../../tensor/index.ts'
import {
  add,
  broadcastTo,
  concatenate,
  random,
  reshape,
  showSpec,
  silu,
  type Tensor,
} from '../../tensor/index.ts'
import { initAll, type Layer, requirePositive } from '../layer.ts'
import { type ConvParameters, conv2d } from '../layers/conv.ts'
import { type DenseParameters, dense } from '../layers/dense.ts'
import { sinusoidalFeatures } from '../layers/embedding.ts'
import { groupNorm, type NormParameters } from '../layers/normalization.ts'

export type ResidualBlockParameters = {
  norm1: NormParameters
  conv1: ConvParameters
  /** dense: time features → outputs */
  time: DenseParameters
  norm2: NormParameters
  conv2: ConvParameters
  /** 1×1 convolution, where inputs ≠ outputs */
  skip?: ConvParameters
}

/** Two 3×3 convolutions with GroupNorm and SiLU, time added between: x [N, inputs, H, W], e [N, time] ↦ [N, outputs, H, W]. */
export function residualBlock(
  inputs: number,
  outputs: number,
  { time, groups }: { readonly time: number; readonly groups: number },
): Layer<ResidualBlockParameters, [x: Tensor, e: Tensor]> {
  const layers = {
    norm1: groupNorm(inputs, groups),
    conv1: conv2d(inputs, outputs, 3, { padding: 1 }),
    time: dense(time, outputs),
    norm2: groupNorm(outputs, groups),
    conv2: conv2d(outputs, outputs, 3, { padding: 1, init: 'glorot' }),
  }
  const skip = inputs === outputs ? undefined : conv2d(inputs, outputs, 1, { init: 'lecun' })
  return {
    init: (key) => {
      const [first, second] = random.split(key)
      const made = initAll(first, layers)
      return skip ? { ...made, skip: skip.init(second) } : made
    },
    apply: (p, x, e) => {
      let h = layers.conv1.apply(p.conv1, silu(layers.norm1.apply(p.norm1, x)))
      h = add(h, reshape(layers.time.apply(p.time, silu(e)), [x.shape[0]!, outputs, 1, 1]))
      h = layers.conv2.apply(p.conv2, silu(layers.norm2.apply(p.norm2, h)))
      return add(h, skip && p.skip ? skip.apply(p.skip, x) : x)
    },
  }
}

/** Repeat each pixel: [N, C, H, W] ↦ [N, C, factor H, factor W]. */
export function upsampleNearest(x: Tensor, factor = 2): Tensor {
  const [n, c, h, w] = x.shape as [number, number, number, number]
  if (x.rank !== 4) fail('TL_SHAPE_MISMATCH', `upsampleNearest: expected [N, C, H, W], got ${showSpec(x)}`)
  const open = reshape(x, [n, c, h, 1, w, 1])
  return reshape(broadcastTo(open, [n, c, h, factor, w, factor]), [n, c, factor * h, factor * w])
}

export interface UnetOptions {
  /** Channels c of the first level. */
  readonly channels: number
  /** Channels of each level as multiples of c; the image is halved after each. Default [1, 2]. */
  readonly levels?: readonly number[]
  /** Groups of the normalizations. Default 8. */
  readonly groups?: number
  /** Image channels in and out. Default 1; out as in. */
  readonly inputs?: number
  readonly outputs?: number
}

/** Names `down0.block.…`, `down0.pool`, …, `middle`, …, `up0.conv`, `up0.block`, beside `time`, `stem`, `norm`, `head`. */
export type UnetParameters = {
  time: { fc1: DenseParameters; fc2: DenseParameters }
  stem: ConvParameters
  middle: ResidualBlockParameters
  norm: NormParameters
  head: ConvParameters
  [down: `down${number}`]: { block: ResidualBlockParameters; pool: ConvParameters }
  [up: `up${number}`]: { conv: ConvParameters; block: ResidualBlockParameters }
}

/** Image x [N, inputs, H, W] (H, W multiples of 2^levels) and time t [N] (any number type) ↦ [N, outputs, H, W]. */
export function unet(options: UnetOptions): Layer<UnetParameters, [x: Tensor, t: Tensor]> {
  const { channels: c, levels = [1, 2], groups = 8, inputs = 1, outputs = inputs } = options
  requirePositive('unet: channels, levels', c, groups, inputs, outputs, ...levels)
  const time = 4 * c
  const shared = { time, groups }
  const width = levels.map((multiple) => multiple * c)
  const top = width.at(-1)!
  const timeLayers = { fc1: dense(c, time), fc2: dense(time, time) }
  const frame = {
    stem: conv2d(inputs, c, 3, { padding: 1, init: 'lecun' }),
    middle: residualBlock(top, top, shared),
    norm: groupNorm(c, groups),
    head: conv2d(width[0]!, outputs, 3, { padding: 1, init: 'lecun' }),
  }
  if (width[0] !== c) fail('TL_BAD_ARGUMENT', `unet: expected the first of levels to be 1, got ${levels[0]}`)
  const downs = width.map((w, i) => ({
    block: residualBlock(i === 0 ? c : width[i - 1]!, w, shared),
    pool: conv2d(w, w, 3, { stride: 2, padding: 1, init: 'lecun' }),
  }))
  const ups = width.map((w, i) => ({
    conv: conv2d(width[i + 1] ?? top, w, 3, { padding: 1, init: 'lecun' }),
    block: residualBlock(2 * w, w, shared),
  }))
  return {
    init: (key) => {
      const [forTime, forFrame, forDowns, forUps] = random.split(key, 4)
      const { stem, middle, norm, head } = initAll(forFrame, frame)
      const parameters: UnetParameters = { time: initAll(forTime, timeLayers), stem, middle, norm, head }
      for (const i of width.keys()) {
        parameters[`down${i}`] = initAll(random.foldIn(forDowns, i), downs[i]!)
        parameters[`up${i}`] = initAll(random.foldIn(forUps, i), ups[i]!)
      }
      return parameters
    },
    apply: (p, x, t) => {
      const [n, , height, w] = x.shape as [number, number, number, number]
      const unit = 2 ** levels.length
      if (x.rank !== 4 || height % unit !== 0 || w % unit !== 0 || t.size !== n)
        fail(
          'TL_SHAPE_MISMATCH',
          `unet: expected x [N, ${inputs}, H, W] with H and W multiples of ${unit} and t [N], got ${showSpec(x)} and ${showSpec(t)}`,
        )
      const features = sinusoidalFeatures(reshape(t, [n]), c, { dtype: x.dtype as FloatDtype })
      const e = timeLayers.fc2.apply(p.time.fc2, silu(timeLayers.fc1.apply(p.time.fc1, features)))
      let h = frame.stem.apply(p.stem, x)
      const kept: Tensor[] = []
      for (const [i, { block, pool }] of downs.entries()) {
        const { block: q, pool: r } = p[`down${i}`]!
        h = block.apply(q, h, e)
        kept.push(h)
        h = pool.apply(r, h)
      }
      h = frame.middle.apply(p.middle, h, e)
      for (const [i, { block, conv }] of [...ups.entries()].reverse()) {
        const { block: q, conv: r } = p[`up${i}`]!
        h = conv.apply(r, upsampleNearest(h))
        h = block.apply(q, concatenate([h, kept[i]!], 1), e)
      }
      return frame.head.apply(p.head, silu(frame.norm.apply(p.norm, h)))
    },
  }
}
