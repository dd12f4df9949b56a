/**
 * @file LoRA adapters of PEFT as low-rank task vectors: ΔW = s·B·A with s = alpha/r, or alpha/√r for rank-stabilized ones
 * (Hu et al. 2021, arXiv:2106.09685; Kalajdzievski 2023, arXiv:2312.03732). Layouts: huggingface/peft, tuners/lora/layer.py.
 */
import { join } from 'node:path'
import { fail } from '../base/index.ts'
import { type Checkpoint, type CheckpointTensor, elements } from './checkpoint.ts'
import { quoted } from './header.ts'
import { openCheckpoint } from './open.ts'
import { isFileIn, readJson } from './safetensorsCheckpoint.ts'

/** The change of one weight, kept as its two factors. */
export interface LowRankDelta {
  /** The base model's tensor that it changes. */
  readonly name: string
  /** Shape of that tensor: `[out, in]`, `[in, out]` with fan_in_fan_out and for embeddings, `[out, in, …kernel]`. */
  readonly shape: readonly number[]
  readonly rank: number
  /** alpha/r or alpha/√r. */
  readonly scale: number
  /** ΔW, row-major, in `shape`; or `count` of its rows from `start`. Sums in double precision, rounded once to f32. */
  delta(start?: number, count?: number): Float32Array
}

/** An open adapter. Only headers are in memory; call `close()` when done. */
export interface Adapter {
  readonly path: string
  readonly config: Readonly<Record<string, unknown>>
  /** Changes by the name of the base model's tensor. */
  readonly deltas: ReadonlyMap<string, LowRankDelta>
  /** Tensors that the adapter replaces whole (`modules_to_save`, trained biases), by the base model's name. */
  readonly replaced: ReadonlyMap<string, CheckpointTensor>
  close(): void
}

interface Settings {
  alpha: number
  r: number
  isRankStabilized: boolean
  isTransposed: boolean
  alphaPattern: Record<string, number>
  rankPattern: Record<string, number>
}

const MAX_CONFIG = 10_000_000
const FILES = ['adapter_model.safetensors', 'adapter_model.bin']

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** The settings that the numbers depend on; a kind of adapter whose numbers mean something else is refused. */
function readSettings(path: string, config: Record<string, unknown>): Settings {
  const wrong = (what: string): never => fail('TL_BAD_FILE', `${path}: ${what}`)
  if (config['peft_type'] !== 'LORA')
    fail(
      'TL_UNSUPPORTED',
      `${path}: peft_type ${quoted(String(config['peft_type']))}: only LORA adapters are read`,
    )
  for (const [key, what] of [
    ['use_dora', 'DoRA changes the norm of the base weights too'],
    ['use_qalora', 'QALoRA factors are not those of a plain product'],
  ] as const)
    if (config[key] === true) fail('TL_UNSUPPORTED', `${path}: ${key}: ${what}; merge it with PEFT first`)
  const number = (key: string): number => {
    const value = config[key]
    if (typeof value === 'number' && Number.isFinite(value) && value > 0) return value
    return wrong(`${key}: expected a number above 0, got ${JSON.stringify(value)?.slice(0, 80)}`)
  }
  const pattern = (key: string): Record<string, number> => {
    const value = config[key] ?? {}
    if (!isRecord(value)) return wrong(`${key}: expected an object`)
    for (const [name, entry] of Object.entries(value)) {
      if (typeof entry !== 'number' || !(entry > 0))
        wrong(`${key}: ${quoted(name)}: expected a number above 0`)
      // patterns are regular expressions there; a hostile one could run for ever
      if (!/^\^?[\w.\\-]*\$?$/.test(name))
        fail(
          'TL_UNSUPPORTED',
          `${path}: ${key}: ${quoted(name)}: only names of modules are read, no regular expressions`,
        )
    }
    return value as Record<string, number>
  }
  return {
    alpha: number('lora_alpha'),
    r: number('r'),
    isRankStabilized: config['use_rslora'] === true,
    isTransposed: config['fan_in_fan_out'] === true,
    alphaPattern: pattern('alpha_pattern'),
    rankPattern: pattern('rank_pattern'),
  }
}

/** The value of the first pattern that names the module or the end of its path. */
function ofPattern(patterns: Record<string, number>, module: string): number | undefined {
  for (const [pattern, value] of Object.entries(patterns)) {
    const name = pattern.replace(/\\\./g, '.').replace(/\$$/, '')
    if (name.startsWith('^') ? module === name.slice(1) : module === name || module.endsWith(`.${name}`))
      return value
  }
  return undefined
}

/** Sizes of both factors, checked against each other. */
function factorSizes(label: string, module: string, a: CheckpointTensor, b: CheckpointTensor, r: number) {
  const [rank = 0, inputs = 0, ...kernel] = a.shape
  const [outputs = 0, columns, ...ones] = b.shape
  if (a.shape.length < 2 || columns !== rank || ones.some((size) => size !== 1))
    fail(
      'TL_BAD_FILE',
      `${label}: ${quoted(module)}: A of shape [${a.shape.join(', ')}] and B of [${b.shape.join(', ')}] do not fit: expected [r, in] and [out, r]`,
    )
  if (rank !== r)
    fail(
      'TL_BAD_FILE',
      `${label}: ${quoted(module)}: the factors have rank ${rank}, the configuration says ${r}`,
    )
  return { rank, inputs, outputs, kernel }
}

/** `[rows, columns]` as `[columns, rows]`. */
function transposed(values: Float32Array, rows: number, columns: number): Float32Array {
  const result = new Float32Array(values.length)
  for (let i = 0; i < rows; i++)
    for (let j = 0; j < columns; j++) result[j * rows + i] = values[i * columns + j]!
  return result
}

function lowRank(
  label: string,
  module: string,
  a: CheckpointTensor,
  b: CheckpointTensor,
  settings: Settings,
  isEmbedding: boolean,
): LowRankDelta {
  const r = ofPattern(settings.rankPattern, module) ?? settings.r
  const { rank, inputs, outputs, kernel } = factorSizes(label, module, a, b, r)
  const alpha = ofPattern(settings.alphaPattern, module) ?? settings.alpha
  const scale = settings.isRankStabilized ? alpha / Math.sqrt(rank) : alpha / rank
  const isTransposed = isEmbedding || settings.isTransposed
  const columns = inputs * elements(kernel)
  const shape = isTransposed ? [inputs, outputs] : [outputs, inputs, ...kernel]
  if (isTransposed && kernel.length > 0)
    fail('TL_BAD_FILE', `${label}: ${quoted(module)}: fan_in_fan_out of a convolution has no meaning`)
  const name = `${module}.weight`
  function delta(start = 0, count = shape[0]! - start): Float32Array {
    if (
      !(
        Number.isInteger(start) &&
        Number.isInteger(count) &&
        start >= 0 &&
        count >= 0 &&
        start + count <= shape[0]!
      )
    )
      fail('TL_BAD_ARGUMENT', `tensor ${quoted(name)}: rows [${start}, ${start + count}), it has ${shape[0]}`)
    const [factorA, factorB] = [a.f32(), b.f32()]
    // [rows, rank] times [rank, width]; transposed: (B·A)ᵀ = Aᵀ·Bᵀ
    const left = (i: number, k: number): number =>
      isTransposed ? factorA[k * inputs + i]! : factorB[i * rank + k]!
    const width = isTransposed ? outputs : columns
    const right = isTransposed ? transposed(factorB, outputs, rank) : factorA
    const result = new Float32Array(count * width)
    const row = new Float64Array(width)
    for (let i = 0; i < count; i++) {
      row.fill(0)
      for (let k = 0; k < rank; k++) {
        const factor = left(start + i, k)
        for (let j = 0; j < width; j++) row[j]! += factor * right[k * width + j]!
      }
      for (let j = 0; j < width; j++) result[i * width + j] = scale * row[j]!
    }
    return result
  }
  return { name, shape, rank, scale, delta }
}

/** `base_model.model.` is PEFT's own wrapping; what follows is the base model's name. */
const PREFIX = /^base_model\.model\./

/** A factor's module, and which one it is. An adapter's own name may stand before `weight`. */
function factorOf(name: string): { module: string; factor: string } | undefined {
  const match = name.replace(PREFIX, '').match(/^(.*)\.(lora_(?:embedding_)?[AB])(?:\.[^.]+)?(?:\.weight)?$/)
  return match ? { module: match[1]!, factor: match[2]! } : undefined
}

/** Open a folder with `adapter_config.json` and the adapter's weights. Throws `TL_BAD_FILE`, `TL_UNSUPPORTED`, `TL_IO`. */
export function openAdapter(folder: string): Adapter {
  const configPath = join(folder, 'adapter_config.json')
  const config = readJson(configPath, MAX_CONFIG)
  if (!isRecord(config)) return fail('TL_BAD_FILE', `${configPath}: expected an object`)
  const settings = readSettings(configPath, config)
  const file = FILES.find((name) => isFileIn(folder, name))
  if (file === undefined)
    return fail('TL_IO', `${folder}: no ${FILES.join(' or ')} beside adapter_config.json`)
  const weights = openCheckpoint(join(folder, file))
  try {
    return { path: folder, config, ...sortTensors(weights, settings), close: weights.close }
  } catch (error) {
    weights.close()
    throw error
  }
}

function sortTensors(weights: Checkpoint, settings: Settings) {
  const { path: label, tensors } = weights
  const factors = new Map<string, Map<string, CheckpointTensor>>()
  const replaced = new Map<string, CheckpointTensor>()
  for (const tensor of tensors.values()) {
    const found = factorOf(tensor.name)
    if (found) {
      const own = factors.get(found.module) ?? new Map<string, CheckpointTensor>()
      if (own.has(found.factor))
        fail('TL_BAD_FILE', `${label}: ${quoted(found.module)} has two factors ${found.factor}`)
      factors.set(found.module, own.set(found.factor, tensor))
    } else if (tensor.name.includes('lora_'))
      fail(
        'TL_UNSUPPORTED',
        `${label}: tensor ${quoted(tensor.name)} is of a kind of LoRA that is not read; merge it with PEFT first`,
      )
    else
      replaced.set(
        tensor.name.replace(PREFIX, '').replace(/\.(modules_to_save(\.[^.]+)?|base_layer)\./, '.'),
        tensor,
      )
  }
  const deltas = new Map<string, LowRankDelta>()
  for (const [module, own] of factors) {
    const isEmbedding = own.has('lora_embedding_A') || own.has('lora_embedding_B')
    const [a, b] = ['A', 'B'].map((side) => own.get(isEmbedding ? `lora_embedding_${side}` : `lora_${side}`))
    if (!a || !b || own.size !== 2)
      return fail(
        'TL_BAD_FILE',
        `${label}: ${quoted(module)} has ${[...own.keys()].join(', ')}, expected both factors A and B`,
      )
    const delta = lowRank(label, module, a, b, settings, isEmbedding)
    deltas.set(delta.name, delta)
  }
  return { deltas, replaced }
}
