/** @file The pretrained encoder of a config: given, or trained once and kept in the cache under what it is a function of. */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { defaultCacheDirectory } from '../../../base/cacheFolder.ts'
import { fail } from '../../../base/index.ts'
import { contentHash, fetchListeners, type Preparing } from '../../../lab/index.ts'
import { loadParameters, saveParameters } from '../../../nn/index.ts'
import { random } from '../../../tensor/index.ts'
import {
  type EncoderParameters,
  type PictureEncoder,
  pictureEncoder,
  trainEncoder,
} from '../../../vision/index.ts'
import type { PictureConfig } from './fields.ts'
import { checkTaskNames, drawnPool, openSets, realPool, setsOf } from './sources.ts'

/** Raised when the same config would give another encoder than before. */
const version = 1

/** A trained encoder, and what its numbers are. */
export interface ReadyEncoder {
  readonly path: string
  readonly sha256: string
}

export const encoderOf = ({ encoder }: Pick<PictureConfig, 'encoder'>): PictureEncoder => {
  const { width, heads, layers, features, patch, side } = encoder
  return pictureEncoder({ side, patch, features: width, heads, layers, outputs: features })
}

/** Read a kept encoder. Throws TL_BAD_FILE where it is of other sizes, TL_IO. */
export const readEncoder = (config: Pick<PictureConfig, 'encoder'>, path: string): EncoderParameters =>
  loadParameters(path, encoderOf(config).init(random.key(0)))

const hashed = (path: string): ReadyEncoder => ({
  path,
  sha256: createHash('sha256').update(readFileSync(path)).digest('hex'),
})

/** Pretrain on the pool: every class of every set has its prototype, and all of them are told apart. */
async function pretrain(
  { encoder: sizes, pool }: PictureConfig,
  path: string,
  { threads, signal, progress, ...preparing }: Preparing,
): Promise<void> {
  const sets = await openSets(
    setsOf([], pool.sets),
    sizes.side,
    pool.sets,
    fetchListeners({ signal, progress, ...preparing }),
  )
  const parts = [...drawnPool(pool.drawn, 1, sizes.side), ...realPool(sets)]
  const classes = [...new Set(parts.flatMap((part) => part.classes))]
  const encoder = encoderOf({ encoder: sizes })
  const parameters = await trainEncoder(encoder, {
    parameters: encoder.init(random.key(version)),
    classes,
    parts: parts.map(({ pictures, classes: own, isPhotograph }) => ({
      pictures,
      classes: own.map((name) => classes.indexOf(name)),
      share: isPhotograph ? 2 : 1,
      shift: 2,
      mirror: isPhotograph,
    })),
    ...{ steps: pool.steps, batchSize: pool.batchSize, learningRate: pool.learningRate, seed: version },
    ...{ threads, signal, state: `${path}.state` },
    onProgress: (share, loss) =>
      progress({ done: share, total: 1, detail: `pretraining the encoder, loss ${loss.toFixed(3)}` }),
  })
  saveParameters(path, parameters, { treeline: JSON.stringify({ encoder: sizes, pool }) })
  rmSync(`${path}.state`, { force: true })
}

/**
 * The encoder that a config asks for: a file of the user's, or one in the cache, which is trained when it is not there; a training
 * that was cut goes on. Throws TL_BAD_CONFIG, TL_BAD_FILE, TL_IO.
 */
export async function readyEncoder(config: PictureConfig, preparing: Preparing): Promise<ReadyEncoder> {
  checkTaskNames(config.tasks)
  if (config.model) {
    if (!existsSync(config.model))
      fail('TL_IO', `config.model: ${config.model} is not there: expected the safetensors file of an encoder`)
    readEncoder(config, config.model)
    return hashed(config.model)
  }
  const { encoder, pool } = config
  const folder = join(defaultCacheDirectory(), 'encoders')
  const path = join(folder, `${contentHash({ version, encoder, pool }).slice(0, 16)}.safetensors`)
  if (!existsSync(path)) {
    mkdirSync(folder, { recursive: true })
    preparing.log(`no encoder of this config yet: pretraining one, which is kept in ${path}`)
    await pretrain(config, path, preparing)
  }
  return hashed(path)
}
