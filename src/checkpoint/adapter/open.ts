/** @file An adapter's folder: its tensors sorted by what they are. A name that fits nothing is an error, not skipped. */
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { fail, isObject } from '../../base/index.ts'
import type { Checkpoint, CheckpointTensor } from '../checkpoint.ts'
import { quoted } from '../header.ts'
import { openCheckpoint } from '../open.ts'
import { isFileIn, readJson } from '../safetensorsCheckpoint.ts'
import { type Factors, factorSizes, type LowRankDelta, lowRank } from './lowRank.ts'
import { type AdapterSettings, readSettings } from './settings.ts'

/** An open adapter. Only headers are in memory; call `close()` when done. Names are those of the model that it was trained on. */
export interface Adapter {
  readonly path: string
  readonly config: Readonly<Record<string, unknown>>
  readonly settings: AdapterSettings
  /** Low-rank factors by module. */
  readonly factors: ReadonlyMap<string, Factors>
  /** What the factors change, by tensor, as far as it is known without the base model (DoRA: before its magnitudes). */
  readonly deltas: ReadonlyMap<string, LowRankDelta>
  /** DoRA's magnitudes by module. */
  readonly magnitudes: ReadonlyMap<string, CheckpointTensor>
  /** `lora_bias`: the bias of B by module. */
  readonly biases: ReadonlyMap<string, CheckpointTensor>
  /** Tensors that the adapter replaces whole (`modules_to_save`, trained biases), by name. */
  readonly replaced: ReadonlyMap<string, CheckpointTensor>
  /** Weights that the factors are added to, saved beside them (embeddings and heads), by name. They are no change. */
  readonly saved: ReadonlyMap<string, CheckpointTensor>
  /** Rows of embeddings that replace the base's, by module. */
  readonly tokens: ReadonlyMap<string, { readonly ids: readonly number[]; readonly rows: CheckpointTensor }>
  close(): void
}

const MAX_CONFIG = 10_000_000
const FILES = ['adapter_model.safetensors', 'adapter_model.bin']

/** `base_model.model.` is PEFT's own wrapping; what follows is the name in the model. */
const PREFIX = /^base_model\.model\./

/** PEFT wraps what a module was as `base_layer`. */
const unwrapped = (name: string): string => name.replace(/\.base_layer(?=\.|$)/g, '')

/** A part of a module's change: which one it is. An adapter's own name may stand before `weight`. */
function partOf(name: string): { module: string; part: string } | undefined {
  const match =
    /^(.*)\.(lora_(?:embedding_)?[AB]|lora_magnitude_vector)(?:\.(?!bias$)[^.]+)?(?:\.weight)?$/.exec(name) ??
    /^(.*)\.(lora_B)(?:\.[^.]+)?\.(bias)$/.exec(name) ??
    /^(.*?)(?:\.token_adapter)?\.(trainable_tokens_delta)(?:\.[^.]+)?$/.exec(name)
  if (!match) return undefined
  return { module: match[1]!, part: match[3] === undefined ? match[2]! : 'bias' }
}

/** Is it a kind of tensor that other methods store? */
const isForeign = (name: string): boolean =>
  /(^|\.)(lora_|hada_|lokr_|oft_|boft_|ia3_|vera_|adamss_|prompt_|trainable_tokens|token_adapter)/.test(name)

/** Is there an adapter in the folder? */
export const isAdapterFolder = (path: string): boolean =>
  (statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false) && isFileIn(path, 'adapter_config.json')

/** Open a folder with `adapter_config.json` and the adapter's weights. Throws `TL_BAD_FILE`, `TL_UNSUPPORTED`, `TL_IO`. */
export function openAdapter(folder: string): Adapter {
  const configPath = join(folder, 'adapter_config.json')
  const config = readJson(configPath, MAX_CONFIG)
  if (!isObject(config)) return fail('TL_BAD_FILE', `${configPath}: expected an object`)
  const settings = readSettings(configPath, config)
  const file = FILES.find((name) => isFileIn(folder, name))
  if (file === undefined)
    return fail('TL_IO', `${folder}: no ${FILES.join(' or ')} beside adapter_config.json`)
  const weights = openCheckpoint(join(folder, file))
  try {
    return { path: folder, config, settings, ...sortTensors(weights, settings), close: weights.close }
  } catch (error) {
    weights.close()
    throw error
  }
}

type Parts = Map<string, Map<string, CheckpointTensor>>

interface Sorted {
  readonly parts: Parts
  readonly replaced: Map<string, CheckpointTensor>
  readonly saved: Map<string, CheckpointTensor>
}

function sortNames({ path: label, tensors }: Checkpoint): Sorted {
  const parts: Parts = new Map()
  const [replaced, saved] = [new Map<string, CheckpointTensor>(), new Map<string, CheckpointTensor>()]
  for (const tensor of tensors.values()) {
    const name = tensor.name.replace(PREFIX, '')
    const found = partOf(name)
    if (found && /\.base_layer\./.test(name))
      fail(
        'TL_UNSUPPORTED',
        `${label}: tensor ${quoted(tensor.name)}: factors within a wrapped module (MultiheadAttention of torch, whose out_proj PEFT 0.21 changes twice, or stacked experts) are not read; merge it with PEFT first`,
      )
    if (found) {
      const own = parts.get(found.module) ?? new Map<string, CheckpointTensor>()
      if (own.has(found.part))
        fail('TL_BAD_FILE', `${label}: ${quoted(found.module)} has two factors ${found.part}`)
      parts.set(found.module, own.set(found.part, tensor))
      continue
    }
    if (/\.(base_layer|original_module)\.([^.]+\.)?weight$/.test(name))
      saved.set(
        unwrapped(name)
          .replace(/\.(token_adapter|original_module)\./g, '.')
          .replace(/\.modules_to_save\.[^.]+\./, '.'),
        tensor,
      )
    else if (isForeign(name))
      fail(
        'TL_UNSUPPORTED',
        `${label}: tensor ${quoted(tensor.name)} is of a kind of adapter that is not read; merge it with PEFT first`,
      )
    else replaced.set(unwrapped(name).replace(/\.modules_to_save(\.[^.]+)?\./, '.'), tensor)
  }
  return { parts, replaced, saved }
}

/** The factors of a module, checked against each other and the configuration. */
function factorsOf(
  label: string,
  module: string,
  own: ReadonlyMap<string, CheckpointTensor>,
  settings: AdapterSettings,
): Factors | undefined {
  const isEmbedding = own.has('lora_embedding_A') || own.has('lora_embedding_B')
  const [a, b] = ['A', 'B'].map((side) => own.get(isEmbedding ? `lora_embedding_${side}` : `lora_${side}`))
  const others = [...own.keys()].filter(
    (part) => part.startsWith('lora_') && part !== 'lora_magnitude_vector',
  )
  if (others.length === 0 && !own.has('bias') && !own.has('lora_magnitude_vector')) return undefined
  if (!a || !b || others.length !== 2)
    return fail(
      'TL_BAD_FILE',
      `${label}: ${quoted(module)} has ${[...own.keys()].join(', ')}, expected both factors A and B`,
    )
  const { rank } = factorSizes(label, module, a, b)
  const wanted = settings.rankOf(module)
  if (rank !== wanted)
    fail(
      'TL_BAD_FILE',
      `${label}: ${quoted(module)}: the factors have rank ${rank}, the configuration says ${wanted}`,
    )
  return { module, a, b, isEmbedding, scale: settings.scaleOf(module, rank) }
}

/** Heads are linear layers, whatever the layers of the model are. */
export const isHeadModule = (module: string): boolean =>
  /(^|\.)(lm_head|score|classifier|embed_out|qa_outputs)$/.test(module)

function sortTensors(weights: Checkpoint, settings: AdapterSettings) {
  const { path: label } = weights
  const { parts, replaced, saved } = sortNames(weights)
  const factors = new Map<string, Factors>()
  const deltas = new Map<string, LowRankDelta>()
  const [magnitudes, biases] = [new Map<string, CheckpointTensor>(), new Map<string, CheckpointTensor>()]
  const tokens = new Map<string, { ids: readonly number[]; rows: CheckpointTensor }>()
  for (const [module, own] of parts) {
    const found = factorsOf(label, module, own, settings)
    if (found) {
      factors.set(module, found)
      const isTransposed = found.isEmbedding || (settings.isTransposed && !isHeadModule(module))
      deltas.set(`${module}.weight`, lowRank(label, found, `${module}.weight`, isTransposed))
    }
    const magnitude = own.get('lora_magnitude_vector')
    if (magnitude) magnitudes.set(module, magnitude)
    if (found && (magnitude !== undefined) !== settings.isDora)
      fail(
        'TL_BAD_FILE',
        `${label}: ${quoted(module)} has ${magnitude ? 'a' : 'no'} lora_magnitude_vector, and use_dora is ${settings.isDora}`,
      )
    const bias = own.get('bias')
    if (bias) biases.set(module, bias)
    const rows = own.get('trainable_tokens_delta')
    if (rows) tokens.set(module, { ids: tokenIds(label, module, rows, settings), rows })
  }
  for (const name of replaced.keys())
    if (deltas.has(name) || tokens.has(name.replace(/\.weight$/, '')))
      fail('TL_BAD_FILE', `${label}: ${quoted(name)} is changed and replaced at once`)
  return { factors, deltas, magnitudes, biases, replaced, saved, tokens }
}

function tokenIds(
  label: string,
  module: string,
  rows: CheckpointTensor,
  settings: AdapterSettings,
): readonly number[] {
  const ids = settings.tokensOf(module)
  if (!ids || rows.shape.length !== 2 || rows.shape[0] !== ids.length)
    return fail(
      'TL_BAD_FILE',
      `${label}: ${quoted(module)}: trained rows of shape [${rows.shape.join(', ')}], the configuration names ${ids ? `${ids.length} tokens` : 'none'}`,
    )
  return ids
}
