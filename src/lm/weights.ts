/** @file The weights of a model, read from its file when a program is built: the embedding, each block, the head. */
import { fail } from '../base/index.ts'
import {
  type Checkpoint,
  type CheckpointTensor,
  elements,
  isGguf as isGgufFile,
} from '../checkpoint/index.ts'
import { type Tensor, tensor } from '../tensor/index.ts'
import { type TensorNames, tensorPairs } from './architectures.ts'
import type { Part } from './blocks.ts'
import type { ModelConfig } from './config.ts'
import { areSmallBlocks, blockMatrix, denseMatrix, exactHead, type Linear } from './matrix.ts'
import type { Precision } from './precision.ts'

export interface Norm {
  readonly weight: Tensor
  readonly bias?: Tensor
}

export interface BlockWeights {
  readonly norm1: Norm
  /** Queries, keys and values side by side: outputs (H + 2G) · D. */
  readonly qkv: Linear
  /** Scales [D] of normalized queries and keys (Qwen3). */
  readonly headNorms?: { readonly query: Tensor; readonly key: Tensor }
  readonly out: Linear
  readonly norm2: Norm
  /** Gate and value side by side, or the one first map. */
  readonly up: Linear
  readonly down: Linear
}

export interface HeadWeights {
  readonly norm: Norm
  readonly head: Linear
}

/** Nothing is kept in memory: rows of the embedding and weights are read anew at each call, and belong to the caller. */
export interface ModelWeights {
  readonly precision: Precision
  /** Rows of the embedding of tokens at positions, one after the other: [T, width]. */
  embed(ids: ArrayLike<number>, positions: ArrayLike<number>): Float32Array
  block(layer: number): BlockWeights
  head(): HeadWeights
  /** The embedding [vocabulary, width] in f32, and where positions are learned their rows [context, width]. */
  tables(): { readonly tokens: Tensor; readonly positions?: Tensor }
  /**
   * The same numbers as a program wants them that is only run: in f32, 4-bit blocks of the file stay packed (a token then
   * reads a sixth of the bytes), so do 8-bit blocks of the head, and a dense head is not transposed.
   */
  forRunning(): { block(layer: number): BlockWeights; head(): HeadWeights }
  /** Factors that divide the rotary frequencies (`rope_freqs` of GGUF). */
  readonly frequencyFactors?: Float32Array
  /** What a user should know of the file: where its parts contradict each other, and which one is believed. */
  readonly notes: readonly string[]
}

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

/** Open the weights; the first look checks that every tensor is there with its shape. */
export function openWeights(
  path: string,
  checkpoint: Checkpoint,
  config: ModelConfig,
  precision: Precision,
): ModelWeights {
  const { architecture, width, hidden, heads, keyValueHeads, headWidth, headSlots, vocabulary, layers } =
    config
  const isGguf = isGgufFile(checkpoint)
  const names: TensorNames = isGguf ? architecture.names.gguf : architecture.names.huggingFace
  const { tensors } = checkpoint
  const prefix = tensors.has(`transformer.${names.embedding}.weight`) ? 'transformer.' : ''
  const find = (name: string, layer?: number): CheckpointTensor | undefined => {
    const own = name.replace('{}', String(layer))
    // a model that was saved without its head has names without the first word
    return tensors.get(prefix + own) ?? tensors.get(own) ?? tensors.get(own.replace(/^model\./, ''))
  }
  const need = (name: string, shape: readonly number[], layer?: number): CheckpointTensor => {
    const found = find(name, layer)
    if (!found)
      return fail(
        'TL_BAD_FILE',
        `${path}: no tensor "${name.replace('{}', String(layer))}", which a ${architecture.name} model has`,
      )
    if (found.shape.join() !== shape.join())
      fail(
        'TL_BAD_FILE',
        `${path}: tensor "${found.name}" is [${found.shape}], the configuration says [${shape}]`,
      )
    return found
  }
  const vector = (name: string, size: number, layer?: number): Tensor =>
    tensor(need(name, [size], layer).f32())
  const norm = (name: string, layer?: number): Norm => ({
    weight: vector(`${name}.weight`, width, layer),
    ...(architecture.norm === 'layer' && { bias: vector(`${name}.bias`, width, layer) }),
  })
  const transposed = architecture.transposed && !isGguf
  const part = (
    name: string,
    inputs: number,
    outputs: number,
    layer?: number,
    turned = false,
    order?: Int32Array,
  ): Part => ({
    source: need(`${name}.weight`, turned ? [inputs, outputs] : [outputs, inputs], layer),
    inputs,
    outputs,
    transposed: turned,
    ...(order && { order }),
  })
  const inBlocks = (parts: readonly Part[], bits: 4 | 8): Linear['weight'] =>
    blockMatrix(parts, bits, precision === 'q8' ? 'fine' : 'rounded')
  /** How a matrix is held, by its parts. */
  type Hold = (parts: readonly Part[]) => Linear['weight']
  const hold: Hold = (parts) =>
    precision === 'f32' ? denseMatrix(parts) : inBlocks(parts, precision === 'q4' ? 4 : 8)
  const holdForRunning: Hold = (parts) =>
    precision === 'f32' && areSmallBlocks(parts) ? blockMatrix(parts, 4, 'exact') : hold(parts)
  const bias = (
    list: readonly { name: string; outputs: number; order?: Int32Array }[],
    kind: 'none' | 'optional' | 'required',
    layer: number,
  ): Tensor | undefined => {
    const found = list.map(({ name }) => find(`${name}.bias`, layer) !== undefined)
    if (kind === 'none' || (kind === 'optional' && !found.includes(true))) return undefined
    const values = list.map(({ name, outputs, order }) => {
      const own = need(`${name}.bias`, [outputs], layer).f32()
      return order ? Float32Array.from(order, (r) => (r < 0 ? 0 : own[r]!)) : own
    })
    const whole = new Float32Array(values.reduce((n, v) => n + v.length, 0))
    let at = 0
    for (const v of values) {
      whole.set(v, at)
      at += v.length
    }
    return tensor(whole)
  }
  const map = (
    held: Hold,
    list: readonly { name: string; outputs: number; order?: Int32Array }[],
    inputs: number,
    layer: number,
    kind: 'none' | 'optional' | 'required',
    slots?: Int32Array,
  ): Linear => {
    const parts = list.map(({ name, outputs, order }) =>
      part(name, inputs, outputs, layer, transposed, order),
    )
    const weight = held(slots ? parts.map((p) => ({ ...p, slots })) : parts)
    const own = bias(list, kind, layer)
    return { weight, ...(own && { bias: own }) }
  }
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
  const [queryRows, keyRows, valueRows] = [rows(heads), rows(keyValueHeads), rows(keyValueHeads, false)]
  const mixedRows = isPadded ? slotRows(heads, config, false) : undefined
  const orders = [queryRows, keyRows, valueRows]
  const attention = names.attention.map((name, i) => ({
    name,
    outputs: names.attention.length === 1 ? wide + 2 * narrow : i === 0 ? wide : narrow,
    ...(orders[i] && names.attention.length > 1 && { order: orders[i] }),
  }))
  const rest = architecture.biases.rest ? 'required' : 'none'
  const one = (name: string, outputs: number) => [{ name, outputs }]

  const table = need(`${names.embedding}.weight`, [vocabulary, width])
  const positions = names.positions
    ? need(`${names.positions}.weight`, [config.context, width]).f32()
    : undefined
  const factors = find('rope_freqs.weight')
  if (isGguf) {
    // llama.cpp refuses them, too: a bias, an expert or an adapter that nothing here adds makes other numbers
    const known = new Set(tensorPairs(architecture, config).map(({ gguf }) => gguf))
    const unknown = [...tensors.keys()].find((name) => !known.has(name) && name !== 'rope_freqs.weight')
    if (unknown !== undefined)
      fail(
        'TL_UNSUPPORTED',
        `${path}: a tensor "${unknown}", which a ${architecture.name} model has not: its numbers would be missing from every result`,
      )
  }
  const headTensor = find(`${names.head}.weight`)
  if (config.tied === false && !headTensor)
    fail(
      'TL_BAD_FILE',
      `${path}: no tensor "${names.head}.weight", and the configuration says that the head is not tied`,
    )

  const blockOf = (layer: number, held: Hold): BlockWeights => ({
    norm1: norm(names.norm1, layer),
    qkv: map(held, attention, width, layer, architecture.biases.attention),
    ...(names.headNorms && {
      headNorms: {
        query: vector(`${names.headNorms[0]}.weight`, headWidth, layer),
        key: vector(`${names.headNorms[1]}.weight`, headWidth, layer),
      },
    }),
    out: map(
      held,
      one(names.out, width),
      wide,
      layer,
      architecture.biases.attention === 'optional' ? 'optional' : rest,
      mixedRows,
    ),
    norm2: norm(names.norm2, layer),
    up: map(
      held,
      names.up.map((name) => ({ name, outputs: hidden })),
      width,
      layer,
      rest,
    ),
    down: map(held, one(names.down, width), hidden, layer, rest),
  })
  const ownHead = headTensor && need(`${names.head}.weight`, [vocabulary, width])
  const isOwn = ownHead !== undefined && hasOwnHead(config, table, ownHead)
  const notes =
    isOwn && config.tied === true
      ? [
          `${path}: the configuration says that the head is the embedding (tie_word_embeddings), but the file has a "${ownHead.name}" with other values, which is used`,
        ]
      : []
  const headPart = (): Part => part(isOwn ? names.head : names.embedding, width, vocabulary)

  const weights: ModelWeights = {
    precision,
    embed: (ids, at) => {
      const out = new Float32Array(ids.length * width)
      for (let t = 0; t < ids.length; t++) {
        out.set(table.f32(ids[t]! * width, width), t * width)
        if (positions)
          for (let j = 0, p = at[t]! * width; j < width; j++) out[t * width + j]! += positions[p + j]!
      }
      return out
    },
    block: (layer) => blockOf(layer, hold),
    head: () => ({
      norm: norm(names.finalNorm),
      head: { weight: precision === 'f32' ? denseMatrix([headPart()]) : inBlocks([headPart()], 8) },
    }),
    forRunning: () => ({
      block: (layer) => blockOf(layer, holdForRunning),
      head: () => {
        if (precision !== 'f32') return weights.head()
        return { norm: norm(names.finalNorm), head: exactHead(headPart()) }
      },
    }),
    tables: () => ({
      tokens: tensor(table.f32(), { shape: [vocabulary, width] }),
      ...(positions && { positions: tensor(positions, { shape: [config.context, width] }) }),
    }),
    ...(factors && { frequencyFactors: factors.f32() }),
    notes,
  }
  for (const layer of [0, layers - 1])
    for (const name of [names.norm1, ...names.attention, names.out, names.norm2, ...names.up, names.down])
      if (!find(`${name}.weight`, layer)) need(`${name}.weight`, [], layer)
  return weights
}
