/**
 * @file The U-Net of unconditional image diffusion as the `diffusers` library builds it (0.35, `UNet2DModel`): levels of residual
 * blocks, some with attention, every block's result kept for the way up. Parameter names are those of its checkpoints.
 */
import { fail } from '../../base/index.ts'
import {
  add,
  cast,
  concatenate,
  cos,
  div,
  gather,
  log,
  mul,
  reshape,
  showSpec,
  silu,
  sin,
  sub,
  type Tensor,
  tensor,
} from '../../tensor/index.ts'
import type { Initializer } from '../initializers.ts'
import { initialize } from '../initializers.ts'
import { type AnyLayer, initAll, type Key, type Layer, type Parameters, requirePositive } from '../layer.ts'
import { type ConvParameters, conv2d } from '../layers/conv.ts'
import { groupNorm, type NormParameters } from '../layers/normalization.ts'
import {
  double,
  embeddingLayers,
  halve,
  pixelAttention,
  type Resampling,
  resnetBlock,
  type Unet2dShared,
} from './unet2dBlocks.ts'

/** One level on the way down or up. */
export interface Unet2dLevel {
  readonly attention: boolean
  /** How the image changes its size after this level. The last level of a way never does. */
  readonly resampling: Resampling
}

/** How a time becomes features: sines and cosines, random frequencies of its logarithm, or a table of `steps` rows. */
export type TimeFeatures =
  | { readonly kind: 'positional'; readonly cosinesFirst: boolean; readonly frequencyShift: number }
  | { readonly kind: 'fourier' }
  | { readonly kind: 'learned'; readonly steps: number }

export interface Unet2dOptions {
  /** Image channels. */
  readonly inputs: number
  readonly outputs: number
  /** Channels of each level, the outermost first. */
  readonly channels: readonly number[]
  /** Levels on the way down, the outermost first, and on the way up, the innermost first. */
  readonly down: readonly Unet2dLevel[]
  readonly up: readonly Unet2dLevel[]
  /** Residual blocks of a level on the way down; there is one more on the way up. */
  readonly layers: number
  /** The middle: two residual blocks, divided by `scale`, perhaps with attention between (`groups` of its normalization). */
  readonly middle?: {
    readonly attention: boolean
    readonly scale: number
    readonly attentionGroups?: number | undefined
  }
  readonly timeFeatures: TimeFeatures
  /** Features of the time embedding. Default 4 × channels[0]. */
  readonly time?: number
  /** Classes in a table, or numbers that are embedded as times are. */
  readonly classes?: { readonly kind: 'table'; readonly count: number } | { readonly kind: 'timestep' }
  readonly groups: number
  readonly epsilon: number
  readonly activation: Unet2dShared['activation']
  readonly scaleShift: boolean
  /** Features of an attention head. Default: all channels of the level, one head. */
  readonly headFeatures?: number
  readonly downPadding: 0 | 1
  /** Inputs come in [0, 1] and are brought to [−1, 1]. */
  readonly centred: boolean
  /** Default 'he'; 'zeros' to be filled from a file. */
  readonly init?: Initializer
}

type Level = {
  resnets: Parameters[]
  attentions?: Parameters[]
  downsamplers?: [Parameters]
  upsamplers?: [Parameters]
}
/** Names `conv_in.weight`, `time_embedding.linear_1.weight`, `down_blocks.0.resnets.0.norm1.weight`, …. */
export type Unet2dParameters = Parameters & {
  conv_in: ConvParameters
  time_proj?: { weight: Tensor }
  time_embedding: Parameters
  class_embedding?: Parameters
  down_blocks: Level[]
  mid_block?: Level
  up_blocks: Level[]
  conv_norm_out: NormParameters
  conv_out: ConvParameters
}

/**
 * Sines and cosines of a time t [N] ↦ [N, features], with the frequencies 10000^(−i / (h − shift)), h = features / 2, rounded where
 * PyTorch rounds them: at t = 1000 another last bit of a frequency is an angle of 6e-5.
 */
function waves(t: Tensor, features: number, shift: number, cosinesFirst: boolean): Tensor {
  const half = features / 2
  const longest = Math.fround(-Math.log(10_000))
  const frequencies = Float32Array.from({ length: half }, (_, i) =>
    Math.exp(Math.fround(Math.fround(longest * i) / (half - shift))),
  )
  const angles = mul(reshape(t, [t.size, 1]), tensor(frequencies))
  return concatenate(cosinesFirst ? [cos(angles), sin(angles)] : [sin(angles), cos(angles)], 1)
}

/** Features of times, and how many they are. */
function timeFeaturesOf(how: TimeFeatures, channels: number, init: Initializer) {
  const isTable = how.kind === 'learned'
  const shape = isTable ? [how.steps, channels] : [channels]
  return {
    features: how.kind === 'fourier' ? 2 * channels : channels,
    init: (key: Key) =>
      how.kind === 'positional'
        ? undefined
        : {
            weight: initialize(key, shape, init === 'zeros' ? 'zeros' : { normal: 1 }, {
              fanIn: 1,
              fanOut: 1,
            }),
          },
    /** t [N], f32 */
    apply(parameters: { weight: Tensor } | undefined, t: Tensor): Tensor {
      if (how.kind === 'positional') return waves(t, channels, how.frequencyShift, how.cosinesFirst)
      if (how.kind === 'learned') return gather(parameters!.weight, cast(t, 'i32'), 0)
      const turns = mul(reshape(log(t), [t.size, 1]), parameters!.weight)
      const angles = mul(mul(turns, 2), Math.PI)
      return concatenate([sin(angles), cos(angles)], 1)
    },
  }
}

function check({ channels, down, up, layers, groups, inputs, outputs, timeFeatures }: Unet2dOptions): void {
  requirePositive('unet2d: channels, layers, groups', ...channels, layers, groups, inputs, outputs)
  if (channels.length === 0 || down.length !== channels.length || up.length !== channels.length)
    fail(
      'TL_BAD_ARGUMENT',
      `unet2d: expected as many levels down and up as channels, got ${channels.length} channels, ${down.length} down, ${up.length} up`,
    )
  if (timeFeatures.kind === 'positional' && channels[0]! % 2 !== 0)
    fail('TL_BAD_ARGUMENT', `unet2d: expected an even number of first channels, got ${channels[0]}`)
}

/** Layers of one level as one layer of its parameters. */
function levelOf(
  options: Unet2dOptions,
  shared: Unet2dShared,
  { attention, resampling }: Unet2dLevel,
  widths: readonly (readonly [inputs: number, outputs: number])[],
  resize: 'down' | 'up' | undefined,
) {
  const outputs = widths[0]![1]
  const resnets = widths.map(([from, to]) => resnetBlock(from, to, shared))
  const attentions = attention
    ? widths.map(() =>
        pixelAttention(outputs, shared, {
          headFeatures: options.headFeatures ?? outputs,
          groups: shared.groups,
        }),
      )
    : undefined
  const resampler =
    resize === 'down'
      ? halve(outputs, resampling, options.downPadding, shared)
      : resize === 'up'
        ? double(outputs, resampling, shared)
        : undefined
  return {
    resnets,
    attentions,
    resampler,
    init: (key: Key): Level =>
      initAll(key, {
        resnets: { init: (own) => initAll(own, resnets) },
        ...(attentions && { attentions: { init: (own: Key) => initAll(own, attentions) } }),
        ...(resampler && { [`${resize}samplers`]: { init: (own: Key) => [resampler.init(own)] } }),
      } as Record<string, AnyLayer>) as Level,
    /** The i-th residual block, and attention after it. */
    step(p: Level, i: number, x: Tensor, e: Tensor): Tensor {
      const h = resnets[i]!.apply(p.resnets[i]!, x, e)
      return attentions ? attentions[i]!.apply(p.attentions![i]!, h) : h
    },
    resample: (p: Level, x: Tensor, e: Tensor): Tensor =>
      resampler ? resampler.apply((resize === 'down' ? p.downsamplers! : p.upsamplers!)[0], x, e) : x,
  }
}

/** The middle: a residual block, attention, a residual block. */
function middleOf(options: Unet2dOptions, shared: Unet2dShared, width: number) {
  const { attention, scale, attentionGroups } = options.middle!
  const block = resnetBlock(width, width, shared, { outputScale: scale })
  const looking = attention
    ? pixelAttention(width, shared, {
        headFeatures: options.headFeatures ?? width,
        groups: attentionGroups,
        outputScale: scale,
      })
    : undefined
  return {
    init: (key: Key): Level =>
      initAll(key, {
        resnets: { init: (own) => initAll(own, [block, block]) },
        ...(looking && { attentions: { init: (own: Key) => [looking.init(own)] } }),
      } as Record<string, AnyLayer>) as Level,
    apply(p: Level, x: Tensor, e: Tensor): Tensor {
      const h = block.apply(p.resnets[0]!, x, e)
      return block.apply(p.resnets[1]!, looking ? looking.apply(p.attentions![0]!, h) : h, e)
    },
  }
}

/** Inputs and outputs of the residual blocks of every level. */
function widthsOf({ channels, layers }: Unet2dOptions) {
  const first = channels[0]!
  const down = channels.map((width, i) =>
    Array.from({ length: layers }, (_, j) => [j === 0 ? (channels[i - 1] ?? first) : width, width] as const),
  )
  const reversed = channels.toReversed()
  const up = reversed.map((width, i) => {
    const below = reversed[i + 1] ?? first
    return Array.from({ length: layers + 1 }, (_, j) => {
      const own = j === 0 ? (reversed[i - 1] ?? width) : width
      return [own + (j === layers ? below : width), width] as const
    })
  })
  return { down, up }
}

/**
 * What a network says of noisy images: x [N, inputs, H, W] with H and W multiples of 2^(levels − 1), t [N] or [1], labels [N] (i32)
 * where it has classes ↦ [N, outputs, H, W]. With fourier features t must be above 0, and the result is divided by it.
 */
export function unet2d(
  options: Unet2dOptions,
): Layer<Unet2dParameters, [x: Tensor, t: Tensor, labels?: Tensor]> {
  check(options)
  const { channels, inputs, outputs, groups, epsilon, activation, scaleShift, classes } = options
  const { init = 'he' } = options
  const [first, inner] = [channels[0]!, channels.at(-1)!]
  const { time = 4 * first } = options
  const shared = { time, groups, epsilon, activation, scaleShift, init }
  const widths = widthsOf(options)
  const last = channels.length - 1
  const downs = options.down.map((level, i) =>
    levelOf(options, shared, level, widths.down[i]!, i < last ? 'down' : undefined),
  )
  const ups = options.up.map((level, i) =>
    levelOf(options, shared, level, widths.up[i]!, i < last ? 'up' : undefined),
  )
  const middle = options.middle && middleOf(options, shared, inner)
  const timing = timeFeaturesOf(options.timeFeatures, first, init)
  const frame = {
    conv_in: conv2d(inputs, first, 3, { padding: 1, init }),
    conv_norm_out: groupNorm(first, groups, { epsilon }),
    conv_out: conv2d(first, outputs, 3, { padding: 1, init }),
  }
  const timeLayers = embeddingLayers(timing.features, time, init)
  const classTable = (key: Key): Tensor =>
    initialize(
      key,
      [classes?.kind === 'table' ? classes.count : 1, time],
      init === 'zeros' ? 'zeros' : { normal: 1 },
      {
        fanIn: 1,
        fanOut: 1,
      },
    )
  const classLayer: { init: (key: Key) => Parameters } | undefined =
    classes && (classes.kind === 'table' ? { init: (key) => ({ weight: classTable(key) }) } : timeLayers)

  function embed(p: Unet2dParameters, t: Tensor, labels: Tensor | undefined): Tensor {
    const features = (times: Tensor): Tensor => timing.apply(p.time_proj, cast(times, 'f32'))
    const e = timeLayers.apply(p.time_embedding, features(t))
    if (!classes) return e
    if (!labels) return fail('TL_BAD_ARGUMENT', 'unet2d: a network with classes needs a label for each image')
    return add(
      e,
      classes.kind === 'table'
        ? gather((p.class_embedding as { weight: Tensor }).weight, labels, 0)
        : timeLayers.apply(p.class_embedding!, features(labels)),
    )
  }

  return {
    init: (key) => {
      const layers = {
        ...frame,
        ...(options.timeFeatures.kind !== 'positional' && { time_proj: timing }),
        time_embedding: timeLayers,
        ...(classLayer && { class_embedding: classLayer }),
        down_blocks: { init: (own: Key) => initAll(own, downs) },
        ...(middle && { mid_block: middle }),
        up_blocks: { init: (own: Key) => initAll(own, ups) },
      }
      return initAll(key, layers as unknown as Record<string, AnyLayer>) as unknown as Unet2dParameters
    },
    apply: (p, x, t, labels) => {
      const [n, c, height, width] = x.shape as [number, number, number, number]
      const unit = 2 ** last
      if (x.rank !== 4 || c !== inputs || height % unit || width % unit || (t.size !== n && t.size !== 1))
        fail(
          'TL_SHAPE_MISMATCH',
          `unet2d: expected x [N, ${inputs}, H, W] with H and W multiples of ${unit} and t [N] or [1], got ${showSpec(x)} and ${showSpec(t)}`,
        )
      const e = embed(p, reshape(t, [t.size]), labels)
      let h = frame.conv_in.apply(p.conv_in, options.centred ? sub(mul(x, 2), 1) : x)
      const kept = [h]
      for (const [i, level] of downs.entries()) {
        const own = p.down_blocks[i]!
        for (const j of level.resnets.keys()) {
          h = level.step(own, j, h, e)
          kept.push(h)
        }
        if (!level.resampler) continue
        h = level.resample(own, h, e)
        kept.push(h)
      }
      if (middle) h = middle.apply(p.mid_block!, h, e)
      for (const [i, level] of ups.entries()) {
        const own = p.up_blocks[i]!
        for (const j of level.resnets.keys()) h = level.step(own, j, concatenate([h, kept.pop()!], 1), e)
        h = level.resample(own, h, e)
      }
      const y = frame.conv_out.apply(p.conv_out, silu(frame.conv_norm_out.apply(p.conv_norm_out, h)))
      return options.timeFeatures.kind === 'fourier' ? div(y, reshape(cast(t, 'f32'), [t.size, 1, 1, 1])) : y
    },
  }
}
