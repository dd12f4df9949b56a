/**
 * @file Where the parts of an image model are: a pipeline's folder as the `diffusers` library writes it (model_index.json, unet/,
 * scheduler/), the same files beside each other, or a bare model. Only this file of the room reads a disk.
 */
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { explainSystemError } from '../../base/files.ts'
import { fail, type JsonObject } from '../../base/index.ts'
import { readObject } from '../../base/read.ts'
import { type Checkpoint, openCheckpoint } from '../../checkpoint/index.ts'

/** What was found of an image model; nothing of it is judged yet. */
export interface ImageModelFiles {
  /** The network's config.json with its path; absent for models that have none. */
  readonly config?: readonly [value: JsonObject, path: string]
  readonly scheduler?: readonly [value: JsonObject, path: string]
  readonly weights: Checkpoint
}

const CONFIG = 'config.json'
const SCHEDULER = 'scheduler_config.json'
const INDEX = 'model_index.json'

const isFolder = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() === true

/** A part of a pipeline is in a folder of its own, or beside the others in old ones. */
const partOf = (folder: string, name: string): string =>
  isFolder(join(folder, name)) ? join(folder, name) : folder

/** Refuse pipelines of other kinds by the class of their network. */
function checkIndex(index: JsonObject, label: string): void {
  const unet = index['unet']
  const kind = Array.isArray(unet) ? unet[1] : undefined
  const latent = ['vae', 'vqvae'].find((part) => index[part] !== undefined)
  if (latent)
    fail(
      'TL_UNSUPPORTED',
      `${label}: the pipeline ${JSON.stringify(index['_class_name'])} denoises what "${latent}" encodes, which is not supported: expected a pipeline of images, "unet" UNet2DModel and "scheduler" DDPMScheduler or DDIMScheduler`,
    )
  if (kind !== 'UNet2DModel')
    fail(
      'TL_UNSUPPORTED',
      `${label}: "unet" is ${JSON.stringify(kind ?? unet ?? null)}, which is not supported: expected UNet2DModel`,
    )
}

/** An optional JSON file with its path. */
function withPath(path: string): readonly [JsonObject, string] | undefined {
  const value = readObject(path)
  return value && [value, path]
}

/** Find the parts of a model; close the weights when done. Throws `TL_IO`, `TL_BAD_FILE`, `TL_UNSUPPORTED`. */
export function findImageModel(folder: string): ImageModelFiles {
  let names: string[]
  try {
    names = readdirSync(folder)
  } catch (error) {
    return explainSystemError(error, `cannot read ${folder}`)
  }
  if (names.length === 0)
    fail('TL_BAD_FILE', `${folder}: the folder is empty: expected a pipeline of diffusers, or a model`)
  const index = withPath(join(folder, INDEX))
  if (index) checkIndex(...index)
  const unet = partOf(folder, 'unet')
  const config = withPath(join(unet, CONFIG))
  if (index && !config) fail('TL_BAD_FILE', `${folder}: has ${INDEX} and no ${CONFIG} of its network`)
  const scheduler = withPath(join(partOf(folder, 'scheduler'), SCHEDULER))
  return { ...(config && { config }), ...(scheduler && { scheduler }), weights: openCheckpoint(unet) }
}

/** A scheduler's configuration that a user names: its file, or a folder that holds it. */
export function readScheduler(path: string): readonly [JsonObject, string] {
  const file = isFolder(path) ? join(partOf(path, 'scheduler'), SCHEDULER) : path
  return withPath(file) ?? fail('TL_IO', `cannot read ${file}: no such file: name a ${SCHEDULER}`)
}
