/** @file One door for every format: what a file is is told by its first bytes, never by its name. */
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { explainSystemError } from '../base/files.ts'
import { fail } from '../base/index.ts'
import type { Checkpoint } from './checkpoint.ts'
import { areParts, openGguf } from './gguf/index.ts'
import { type Kind, kindOf, looksLikeWeights } from './kinds.ts'
import { openNpy, openNpz } from './npy.ts'
import { openPytorch } from './pytorch/index.ts'
import { isFileIn, openSafetensorsCheckpoint, openShards } from './safetensorsCheckpoint.ts'
import { fileSource } from './source.ts'

const INDEX = 'model.safetensors.index.json'
const OLD_INDEX = 'pytorch_model.bin.index.json'

/** Weights of a model of the diffusers library, the first that is there; variants (fp16) may stand beside them. */
const ofDiffusers = ['safetensors', 'safetensors.index.json', 'bin'].map(
  (end) => `diffusion_pytorch_model.${end}`,
)

/**
 * Open a weight file or a model folder: safetensors, shards with an index, GGUF, PyTorch, .npz, .npy. Only headers are read.
 * Throws `TL_IO`, `TL_BAD_FILE`, `TL_UNSUPPORTED`; the message says what was found.
 */
export function openCheckpoint(path: string): Checkpoint {
  let isFolder: boolean
  try {
    isFolder = statSync(path).isDirectory()
  } catch (error) {
    return explainSystemError(error, `cannot read ${path}`)
  }
  return isFolder ? openFolder(path) : openFile(path)
}

function openFile(path: string, mayBeIndex = true): Checkpoint {
  const source = fileSource(path)
  let kind: Kind
  try {
    kind = kindOf(source)
  } finally {
    source.close()
  }
  if (kind === 'index' && !mayBeIndex) fail('TL_BAD_FILE', `${path}: an index where a shard was expected`)
  switch (kind) {
    case 'gguf':
      return openGguf(path)
    case 'npy':
      return openNpy(path)
    case 'npz':
      return openNpz(path)
    case 'pytorch':
      return openPytorch(path)
    case 'index':
      return openShards(path, path, openShard)
    case 'safetensors':
      return openSafetensorsCheckpoint(path)
  }
}

/** One shard, which cannot be an index again. */
function openShard(path: string): Checkpoint {
  return openFile(path, false)
}

/** The weights of a model folder or pipeline, as Hugging Face names them; any other single weight file of the folder otherwise. */
function openFolder(path: string): Checkpoint {
  const [hasIndex, hasFile] = [isFileIn(path, INDEX), isFileIn(path, 'model.safetensors')]
  if (hasIndex && hasFile)
    fail(
      'TL_BAD_FILE',
      `${path}: has both model.safetensors and ${INDEX}; remove the stale one, or name the file that you mean`,
    )
  if (hasIndex) return openShards(join(path, INDEX), path)
  if (hasFile) return { ...openFile(join(path, 'model.safetensors')), path }
  if (isFileIn(path, 'pytorch_model.bin')) return { ...openFile(join(path, 'pytorch_model.bin')), path }
  if (isFileIn(path, OLD_INDEX)) return openShards(join(path, OLD_INDEX), path, openShard)
  const own = ofDiffusers.find((name) => isFileIn(path, name))
  if (own !== undefined) return { ...openFile(join(path, own)), path }
  // a pipeline of that library: the network is the model
  const network = join(path, 'unet')
  if (isFileIn(path, 'model_index.json') && statSync(network, { throwIfNoEntry: false })?.isDirectory())
    return { ...openFolder(network), path }
  if (isFileIn(path, 'adapter_config.json'))
    fail(
      'TL_UNSUPPORTED',
      `${path}: a LoRA adapter, not a whole model: name its adapter_model.safetensors to see the factors, or merge it with its base`,
    )
  const names = readdirSync(path)
  const indexes = names.filter((name) => name.endsWith('.safetensors.index.json'))
  if (indexes.length === 1) return openShards(join(path, indexes[0]!), path)
  const candidates = names.filter((name) => isFileIn(path, name) && looksLikeWeights(join(path, name))).sort()
  const best = candidates.filter((name) => /\.safetensors$/i.test(name))
  const only = best.length > 0 ? best : candidates
  if (only.length === 1 || areParts(only)) return { ...openFile(join(path, only[0]!)), path }
  return fail(
    'TL_BAD_FILE',
    only.length === 0
      ? `${path}: no weights: expected model.safetensors, ${INDEX}, or one other weight file`
      : `${path}: ${only.length} weight files (${only.slice(0, 4).join(', ')}${only.length > 4 ? ', …' : ''}) and no ${INDEX}: name the one that you mean`,
  )
}
