/** @file A model's tensors in its file: by their names there, with the shapes that the configuration says, in the order of the program. */
import { fail } from '../base/index.ts'
import {
  type Checkpoint,
  type CheckpointTensor,
  elements,
  isGguf as isGgufFile,
} from '../checkpoint/index.ts'
import { type Tensor, tensor } from '../tensor/index.ts'
import { type TensorNames, tensorPairs } from './architectures.ts'
import type { ModelConfig } from './config.ts'
import type { Precision } from './precision.ts'

/** Elements compared at a time. */
const PIECE = 1 << 18

/** Have two tensors of one shape the same values? Read only up to the first difference. */
function areEqual(a: CheckpointTensor, b: CheckpointTensor): boolean {
  const total = elements(a.shape)
  for (let at = 0; at < total; at += PIECE) {
    const [x, y] = [a, b].map((t) => t.f32(at, Math.min(PIECE, total - at))) as [Float32Array, Float32Array]
    if (x.some((value, i) => !Object.is(value, y[i]))) return false
  }
  return true
}

/**
 * For each slot of some heads the row of the file that stands there, −1 for zeros. GGUF's order for rotary pairs 2i and 2i + 1
 * is undone: pairs are i and i + half the slots.
 */
function slotRows(heads: number, { headWidth, headSlots }: ModelConfig, isInterleaved: boolean): Int32Array {
  const [half, room] = [headWidth / 2, headSlots / 2]
  return Int32Array.from({ length: heads * headSlots }, (_, slot) => {
    const [head, at] = [Math.floor(slot / headSlots), slot % headSlots]
    if (headSlots === headWidth && !isInterleaved) return slot
    const [second, i] = [at >= room ? 1 : 0, at % room]
    if (i >= half) return -1
    return head * headWidth + (isInterleaved ? 2 * i + second : second * half + i)
  })
}

/** Is a head that is stored beside the embedding the model's head? Where it is said to be the embedding, values decide. */
export const hasOwnHead = (
  { tied }: ModelConfig,
  embedding: CheckpointTensor,
  head: CheckpointTensor,
): boolean => tied !== true || !areEqual(embedding, head)

/** A map of a block by its name in the file. */
export interface MapSource {
  readonly name: string
  readonly outputs: number
  /** Rows of the file in the order of the program. */
  readonly order?: Int32Array
}

/** Everything that reading a model's tensors depends on. */
export interface Source {
  readonly path: string
  readonly checkpoint: Checkpoint
  readonly config: ModelConfig
  readonly precision: Precision
  readonly isGguf: boolean
  readonly names: TensorNames
  /** `transformer.` where the file has it. */
  readonly prefix: string
}

export function sourceOf(
  path: string,
  checkpoint: Checkpoint,
  config: ModelConfig,
  precision: Precision,
): Source {
  const isGguf = isGgufFile(checkpoint)
  const { gguf, huggingFace } = config.architecture.names
  const names: TensorNames = isGguf ? gguf : huggingFace
  const prefix = checkpoint.tensors.has(`transformer.${names.embedding}.weight`) ? 'transformer.' : ''
  return { path, checkpoint, config, precision, isGguf, names, prefix }
}

export function find(
  { checkpoint, prefix }: Source,
  name: string,
  layer?: number,
): CheckpointTensor | undefined {
  const { tensors } = checkpoint
  const own = name.replace('{}', String(layer))
  // a model that was saved without its head has names without the first word
  return tensors.get(prefix + own) ?? tensors.get(own) ?? tensors.get(own.replace(/^model\./, ''))
}

/** A tensor that must be there, with this shape. */
export function need(
  source: Source,
  name: string,
  shape: readonly number[],
  layer?: number,
): CheckpointTensor {
  const { path, config } = source
  const found = find(source, name, layer)
  if (!found)
    return fail(
      'TL_BAD_FILE',
      `${path}: no tensor "${name.replace('{}', String(layer))}", which a ${config.architecture.name} model has`,
    )
  if (found.shape.join() !== shape.join())
    fail(
      'TL_BAD_FILE',
      `${path}: tensor "${found.name}" is [${found.shape}], the configuration says [${shape}]`,
    )
  return found
}

export const vector = (source: Source, name: string, size: number, layer?: number): Tensor =>
  tensor(need(source, name, [size], layer).f32())

/** Queries, keys and values as the file has them, and the slots of what attention mixes. */
export function attentionOf({ path, config, precision, isGguf, names }: Source) {
  const { architecture, heads, keyValueHeads, headWidth, headSlots } = config
  const [wide, narrow] = [heads * headWidth, keyValueHeads * headWidth]
  const isPadded = headSlots !== headWidth
  if (isPadded && (names.headNorms || precision !== 'f32'))
    fail(
      'TL_UNSUPPORTED',
      `${path}: heads of ${headWidth} features, no multiple of 16: ${names.headNorms ? `not supported for ${architecture.name}` : 'load with precision "f32"'}`,
    )
  const isInterleaved = isGguf && architecture.ggufInterleaved
  const rows = (n: number, turned = true): Int32Array | undefined =>
    isPadded || (isInterleaved && turned) ? slotRows(n, config, isInterleaved && turned) : undefined
  const orders = [rows(heads), rows(keyValueHeads), rows(keyValueHeads, false)]
  const maps = names.attention.map(
    (name, i): MapSource => ({
      name,
      outputs: names.attention.length === 1 ? wide + 2 * narrow : i === 0 ? wide : narrow,
      ...(orders[i] && names.attention.length > 1 && { order: orders[i] }),
    }),
  )
  return { maps, wide, mixed: isPadded ? slotRows(heads, config, false) : undefined }
}

/** Refuse tensors that nothing here adds to a result, as llama.cpp does: a bias, an expert, an adapter. */
export function refuseUnknown({ path, checkpoint, config }: Source): void {
  const { architecture } = config
  const known = new Set(tensorPairs(architecture, config).map(({ gguf }) => gguf))
  const unknown = [...checkpoint.tensors.keys()].find(
    (name) => !known.has(name) && name !== 'rope_freqs.weight',
  )
  if (unknown !== undefined)
    fail(
      'TL_UNSUPPORTED',
      `${path}: a tensor "${unknown}", which a ${architecture.name} model has not: its numbers would be missing from every result`,
    )
}
