/** @file A `UNet2DModel` configuration of the `diffusers` library as options of `unet2d`; what is not supported is refused by name. */
import { fail, isSize, isText, type Settings, settingsOf } from '../../base/index.ts'
import type { TimeFeatures, Unet2dLevel, Unet2dOptions } from '../../nn/index.ts'

/** A network and the images it is made for. */
interface UnetConfig {
  readonly network: Unet2dOptions
  /** [height, width], where the file says it. */
  readonly size?: readonly [number, number]
}

type Way = 'Down' | 'Up'

/** Blocks by name, without the prefix `UNetRes` of old files. The resampling of attention blocks is a setting of its own. */
const blocks = (
  way: Way,
): Readonly<Record<string, { attention: boolean; resampling?: 'conv' | 'resnet' }>> => ({
  [`${way}Block2D`]: { attention: false, resampling: 'conv' },
  [`Attn${way}Block2D`]: { attention: true },
  [`Resnet${way}sampleBlock2D`]: { attention: false, resampling: 'resnet' },
})

function levelsOf(s: Settings, way: Way): Unet2dLevel[] {
  const key = way === 'Down' ? 'down_block_types' : 'up_block_types'
  const plain = `${way}Block2D`
  const attending = `Attn${way}Block2D`
  const fallback =
    way === 'Down' ? [plain, attending, attending, attending] : [attending, attending, attending, plain]
  const known = blocks(way)
  const resampling = s.word(way === 'Down' ? 'downsample_type' : 'upsample_type', 'conv', ['conv', 'resnet'])
  return s.list(key, fallback, isText).map((name) => {
    const short = name.replace(/^UNetRes/, '')
    if (!Object.hasOwn(known, short))
      return fail(
        'TL_UNSUPPORTED',
        `${s.label}: "${key}" names ${JSON.stringify(name)}, which is not supported: expected ${Object.keys(known).join(', ')}`,
      )
    return { resampling, ...known[short]! }
  })
}

function timeFeaturesOf(s: Settings): TimeFeatures {
  const kind = s.word('time_embedding_type', 'positional', ['positional', 'fourier', 'learned'])
  if (kind === 'fourier') return { kind }
  if (kind === 'learned') {
    if (!s.has('num_train_timesteps'))
      fail('TL_BAD_FILE', `${s.label}: "time_embedding_type" "learned" needs "num_train_timesteps"`)
    return { kind, steps: s.whole('num_train_timesteps', 1000) }
  }
  return {
    kind,
    cosinesFirst: s.flag('flip_sin_to_cos', true),
    frequencyShift: s.number('freq_shift', 0),
  }
}

function classesOf(s: Settings): Unet2dOptions['classes'] {
  if (!s.has('class_embed_type'))
    return s.has('num_class_embeds') ? { kind: 'table', count: s.whole('num_class_embeds', 1) } : undefined
  s.word('class_embed_type', 'timestep', ['timestep'])
  return { kind: 'timestep' }
}

function middleOf(s: Settings, isShifted: boolean, groups: number): Unet2dOptions['middle'] {
  if (s.fields['mid_block_type'] === null) return undefined
  s.word('mid_block_type', 'UNetMidBlock2D', ['UNetMidBlock2D'])
  const attentionGroups = s.has('attn_norm_num_groups')
    ? s.whole('attn_norm_num_groups', groups)
    : isShifted
      ? undefined
      : groups
  return {
    attention: s.flag('add_attention', true),
    scale: s.number('mid_block_scale_factor', 1),
    attentionGroups,
  }
}

function sizeOf(s: Settings): UnetConfig['size'] {
  const own = s.fields['sample_size']
  if (own === undefined || own === null) return undefined
  const pair = isSize(own) ? [own, own] : own
  if (Array.isArray(pair) && pair.length === 2 && pair.every(isSize)) return pair as [number, number]
  return fail(
    'TL_BAD_FILE',
    `${s.label}: "sample_size" should be a whole number or a pair [height, width], got ${JSON.stringify(own)}`,
  )
}

/** Sizes that a network cannot be built with, refused before it is tried. */
function check(s: Settings, { channels, down, up, groups, headFeatures, middle }: Unet2dOptions): void {
  if (down.length !== channels.length || up.length !== channels.length)
    fail(
      'TL_BAD_FILE',
      `${s.label}: expected as many "down_block_types" and "up_block_types" as "block_out_channels", got ${down.length}, ${up.length} and ${channels.length}`,
    )
  const odd = channels.find((width) => width % groups !== 0)
  if (odd !== undefined)
    fail(
      'TL_BAD_FILE',
      `${s.label}: "norm_num_groups" ${groups} does not divide the ${odd} channels of a level`,
    )
  const attending = [
    ...channels.filter((_, i) => down[i]!.attention || up[channels.length - 1 - i]!.attention),
    ...(middle?.attention ? [channels.at(-1)!] : []),
  ]
  const narrow = headFeatures === undefined ? undefined : attending.find((width) => width < headFeatures)
  if (narrow !== undefined)
    fail(
      'TL_BAD_FILE',
      `${s.label}: "attention_head_dim" ${headFeatures} is more than the ${narrow} channels of a level with attention`,
    )
}

/** The network of a configuration. Throws `TL_BAD_FILE`, and `TL_UNSUPPORTED` with the setting's name and what is supported. */
export function parseUnetConfig(value: unknown, label: string): UnetConfig {
  const s = settingsOf(value, label)
  if (!s.has('_class_name')) fail('TL_BAD_FILE', `${label}: no "_class_name": expected UNet2DModel`)
  s.word('_class_name', 'UNet2DModel', ['UNet2DModel'])
  const scaleShift =
    s.word('resnet_time_scale_shift', 'default', ['default', 'scale_shift']) === 'scale_shift'
  if (s.fields['norm_num_groups'] === null) s.refuse('norm_num_groups', 'a whole number')
  const groups = s.whole('norm_num_groups', 32)
  const activation = s.word('act_fn', 'silu', ['silu', 'swish', 'mish', 'gelu', 'relu'])
  const padding = s.whole('downsample_padding', 1, 0)
  if (padding > 1) s.refuse('downsample_padding', '0 or 1')
  const headFeatures = s.fields['attention_head_dim'] === null ? undefined : s.whole('attention_head_dim', 8)
  const middle = middleOf(s, scaleShift, groups)
  const classes = classesOf(s)
  const channels = s.list('block_out_channels', [224, 448, 672, 896], isSize)
  const network: Unet2dOptions = {
    inputs: s.whole('in_channels', 3),
    outputs: s.whole('out_channels', 3),
    channels,
    down: levelsOf(s, 'Down'),
    up: levelsOf(s, 'Up'),
    layers: s.whole('layers_per_block', 2),
    ...(middle && { middle }),
    timeFeatures: timeFeaturesOf(s),
    time: s.whole('time_embedding_dim', 4 * channels[0]!),
    ...(classes && { classes }),
    ...{ groups, scaleShift },
    epsilon: s.number('norm_eps', 1e-5),
    activation: activation === 'swish' ? 'silu' : activation,
    ...(headFeatures !== undefined && { headFeatures }),
    downPadding: padding as 0 | 1,
    centred: s.flag('center_input_sample', false),
    init: 'zeros',
  }
  check(s, network)
  if (network.inputs !== network.outputs)
    fail(
      'TL_UNSUPPORTED',
      `${label}: ${network.inputs} channels in and ${network.outputs} out: expected as many ("out_channels" twice "in_channels" means learned variances, which are not supported)`,
    )
  const size = sizeOf(s)
  return { network, ...(size && { size }) }
}
