/** @file From a user's folder to a denoiser: a `diffusers` model of images, or the small DDPM that has no configuration. */
import { fail } from '../../base/index.ts'
import type { Checkpoint } from '../../checkpoint/index.ts'
import { ddpmUnet, unet2d } from '../../nn/index.ts'
import { broadcastTo, random } from '../../tensor/index.ts'
import { type DenoiserOptions, type ImageDenoiser, type ImageNetwork, imageDenoiser } from './denoiser.ts'
import { findImageModel, type ImageModelFiles, readScheduler } from './folder.ts'
import { type ImageScheduler, parseScheduler } from './scheduler.ts'
import { parseUnetConfig } from './unetConfig.ts'
import { checkSize, fillParameters } from './weights.ts'

export interface OpenImageDenoiserOptions extends DenoiserOptions {
  /** A `scheduler_config.json`, or a folder that holds one, in place of the model's own. */
  readonly scheduler?: string
  /** [height, width] of images in place of the `sample_size` of the model. */
  readonly size?: readonly [number, number]
}

/** Labels of a network that embeds them as numbers have no end; this is enough for any. */
const anyLabel = 2 ** 20

/** Memory of one image through the network is several times its pixels times channels; a larger image is a mistake. */
const mostPixels = 4096 * 4096

function unetOf(
  { weights }: ImageModelFiles,
  [value, path]: NonNullable<ImageModelFiles['config']>,
  wanted: OpenImageDenoiserOptions['size'],
): ImageNetwork {
  const { network: options, size = wanted } = parseUnetConfig(value, path)
  const [height, width] =
    wanted ??
    size ??
    fail('TL_BAD_FILE', `${path}: no "sample_size": name the images' [height, width] in the option size`)
  const unit = 2 ** (options.channels.length - 1)
  if (
    ![height, width].every((n) => Number.isSafeInteger(n) && n >= 1 && n % unit === 0) ||
    height * width > mostPixels
  )
    fail(
      'TL_BAD_FILE',
      `${path}: images of ${height} × ${width}: expected multiples of ${unit}, the ${options.channels.length - 1} halvings of its levels`,
    )
  checkSize(weights, options, path)
  const layer = unet2d(options)
  const parameters = layer.init(random.key(0))
  fillParameters(parameters, weights)
  const { classes } = options
  return {
    shape: [options.inputs, height, width],
    ...(classes && { classes: classes.kind === 'table' ? classes.count : anyLabel }),
    // the logarithm of t = 0 is no number
    firstTime: options.timeFeatures.kind === 'fourier' ? 1 : 0,
    apply: (x, t, labels) => layer.apply(parameters, x, t, classes ? labels : undefined),
  }
}

/** The tensor that tells the small DDPM, its table of times. */
const table = 'network.time_embed.weight'

/** β from 1e-4 to 0.02, variances β: how these checkpoints were trained and are sampled (BrianPulfer/PapersReimplementations). */
const smallDdpmScheduler = (steps: number): ImageScheduler =>
  parseScheduler(
    { _class_name: 'DDPMScheduler', num_train_timesteps: steps, variance_type: 'fixed_large' },
    'the schedule of a small DDPM',
  )

function smallDdpmOf(weights: Checkpoint): { network: ImageNetwork; scheduler: ImageScheduler } {
  const shapeOf = (name: string, rank: number): readonly number[] => {
    const shape = weights.tensors.get(name)?.shape
    return shape?.length === rank
      ? shape
      : fail('TL_BAD_FILE', `${weights.path}: tensor "${name}" of a small DDPM is missing or of another rank`)
  }
  const [steps, time] = shapeOf(table, 2) as [number, number]
  const [, side] = shapeOf('network.b1.0.ln.weight', 3) as [number, number]
  const [channels] = shapeOf('network.b1.0.conv1.weight', 4) as [number]
  const layer = ddpmUnet({ side, channels, time, steps })
  const parameters = layer.init(random.key(0))
  fillParameters(parameters, weights)
  return {
    network: {
      shape: [1, side, side],
      firstTime: 0,
      apply: (x, t) => layer.apply(parameters, x, broadcastTo(t, [x.shape[0]!])),
    },
    scheduler: smallDdpmScheduler(steps),
  }
}

/** Every part of a model. The weights are open. */
function partsOf(folder: string, files: ImageModelFiles, options: OpenImageDenoiserOptions) {
  const named = options.scheduler === undefined ? files.scheduler : readScheduler(options.scheduler)
  const { config, weights } = files
  if (config) {
    if (!named)
      return fail(
        'TL_BAD_FILE',
        `${folder}: a model without its scheduler: expected scheduler/scheduler_config.json or scheduler_config.json, which says what noise it was trained with; copy it there, or name it in the option scheduler`,
      )
    // a wrong scheduler is said before the weights are read
    const scheduler = parseScheduler(...named)
    return { network: unetOf(files, config, options.size), scheduler }
  }
  if (!weights.tensors.has(table))
    return fail(
      'TL_UNSUPPORTED',
      `${folder}: weights without a config.json, and no small DDPM ("${table}"): expected a folder as diffusers writes it`,
    )
  const { network, scheduler } = smallDdpmOf(weights)
  return { network, scheduler: named ? parseScheduler(...named) : scheduler }
}

/**
 * Open a diffusion model of images: a folder as the `diffusers` library writes it (`UNet2DModel` with a `DDPMScheduler` or
 * `DDIMScheduler`), or one of the small DDPMs (see `ddpmUnet`). The weights are read into memory; call `dispose()` when done. Throws
 * `TL_IO`, `TL_BAD_FILE`, and `TL_UNSUPPORTED` with the name of what is not supported.
 */
export async function openImageDenoiser(
  folder: string,
  options: OpenImageDenoiserOptions = {},
): Promise<ImageDenoiser> {
  const files = findImageModel(folder)
  try {
    const { network, scheduler } = partsOf(folder, files, options)
    return imageDenoiser(network, scheduler, options)
  } finally {
    files.weights.close()
  }
}
