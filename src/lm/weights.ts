/** @file The weights of a model, read from its file when a program is built: the embedding, each block, the head. */
import { fail } from '../base/index.ts'
import type { Checkpoint, CheckpointTensor } from '../checkpoint/index.ts'
import { type Tensor, tensor } from '../tensor/index.ts'
import type { Part } from './blocks.ts'
import type { ModelConfig } from './config.ts'
import {
  areSmallBlocks,
  blockMatrix,
  denseMatrix,
  exactHead,
  type Linear,
  type Memory,
  turnedMatrix,
} from './matrix.ts'
import type { Precision } from './precision.ts'
import {
  attentionOf,
  find,
  hasOwnHead,
  type MapSource,
  need,
  refuseUnknown,
  type Source,
  sourceOf,
  vector,
} from './weightSource.ts'

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
  /** Matrices are made in `memory`, here as below. */
  block(layer: number, memory?: Memory): BlockWeights
  /** `turned`: dense as the file has it, [vocabulary, width], which takes no time to turn round. */
  head(memory?: Memory, turned?: boolean): HeadWeights
  /** The embedding [vocabulary, width] in f32, and where positions are learned their rows [context, width]. */
  tables(): { readonly tokens: Tensor; readonly positions?: Tensor }
  /**
   * The same numbers as a program wants them that is only run: in f32, 4-bit blocks of the file stay packed (a token then
   * reads a sixth of the bytes), so do 8-bit blocks of the head, and a dense head is not transposed.
   */
  forRunning(memory?: Memory): { block(layer: number): BlockWeights; head(): HeadWeights }
  /** Factors that divide the rotary frequencies (`rope_freqs` of GGUF). */
  readonly frequencyFactors?: Float32Array
  /** What a user should know of the file: where its parts contradict each other, and which one is believed. */
  readonly notes: readonly string[]
}

type Bias = 'none' | 'optional' | 'required'

/** How a matrix is held, by its parts. */
type Hold = (parts: readonly Part[]) => Linear['weight']

const normOf = (source: Source, name: string, layer?: number): Norm => {
  const { width, architecture } = source.config
  return {
    weight: vector(source, `${name}.weight`, width, layer),
    ...(architecture.norm === 'layer' && { bias: vector(source, `${name}.bias`, width, layer) }),
  }
}

function part(
  source: Source,
  { name, outputs, order }: MapSource,
  inputs: number,
  layer?: number,
  turned = false,
): Part {
  return {
    source: need(source, `${name}.weight`, turned ? [inputs, outputs] : [outputs, inputs], layer),
    inputs,
    outputs,
    transposed: turned,
    ...(order && { order }),
  }
}

const inBlocks = (
  { precision }: Source,
  parts: readonly Part[],
  bits: 4 | 8,
  memory?: Memory,
): Linear['weight'] => blockMatrix(parts, bits, precision === 'q8' ? 'fine' : 'rounded', memory)

const holding =
  (source: Source, memory?: Memory): Hold =>
  (parts) =>
    source.precision === 'f32'
      ? denseMatrix(parts, memory)
      : inBlocks(source, parts, source.precision === 'q4' ? 4 : 8, memory)

const holdingForRunning =
  (source: Source, memory?: Memory): Hold =>
  (parts) =>
    source.precision === 'f32' && areSmallBlocks(parts)
      ? blockMatrix(parts, 4, 'exact', memory)
      : holding(source, memory)(parts)

/** Biases of maps side by side; undefined where the model has none. */
function biasOf(source: Source, list: readonly MapSource[], kind: Bias, layer: number): Tensor | undefined {
  const found = list.map(({ name }) => find(source, `${name}.bias`, layer) !== undefined)
  if (kind === 'none' || (kind === 'optional' && !found.includes(true))) return undefined
  const values = list.map(({ name, outputs, order }) => {
    const own = need(source, `${name}.bias`, [outputs], layer).f32()
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

/** Maps side by side with their biases; `slots` say which inputs stand where. */
function mapOf(
  source: Source,
  held: Hold,
  list: readonly MapSource[],
  inputs: number,
  layer: number,
  kind: Bias,
  slots?: Int32Array,
): Linear {
  const turned = source.config.architecture.transposed && !source.isGguf
  const parts = list.map((one) => part(source, one, inputs, layer, turned))
  const weight = held(slots ? parts.map((p) => ({ ...p, slots })) : parts)
  const own = biasOf(source, list, kind, layer)
  return { weight, ...(own && { bias: own }) }
}

/** The head by its part, and what a user should know of it. */
function headOf(source: Source, table: CheckpointTensor): { part: () => Part; notes: readonly string[] } {
  const { path, config, names } = source
  const { vocabulary, width, tied } = config
  const stored = find(source, `${names.head}.weight`)
  if (tied === false && !stored)
    fail(
      'TL_BAD_FILE',
      `${path}: no tensor "${names.head}.weight", and the configuration says that the head is not tied`,
    )
  const own = stored && need(source, `${names.head}.weight`, [vocabulary, width])
  const isOwn = own !== undefined && hasOwnHead(config, table, own)
  const name = isOwn ? names.head : names.embedding
  return {
    part: () => part(source, { name, outputs: vocabulary }, width),
    notes:
      isOwn && tied === true
        ? [
            `${path}: the configuration says that the head is the embedding (tie_word_embeddings), but the file has a "${own.name}" with other values, which is used`,
          ]
        : [],
  }
}

function headMap(source: Source, part: Part, memory?: Memory, turned = false): Linear {
  if (source.precision !== 'f32') return { weight: inBlocks(source, [part], 8, memory) }
  return turned ? turnedMatrix(part, memory) : { weight: denseMatrix([part], memory) }
}

/** Rows of the embedding, and where positions are learned theirs added. */
const embedding =
  (table: CheckpointTensor, positions: Float32Array | undefined, width: number): ModelWeights['embed'] =>
  (ids, at) => {
    const out = new Float32Array(ids.length * width)
    for (let t = 0; t < ids.length; t++) {
      out.set(table.f32(ids[t]! * width, width), t * width)
      if (positions)
        for (let j = 0, p = at[t]! * width; j < width; j++) out[t * width + j]! += positions[p + j]!
    }
    return out
  }

/** Open the weights; the first look checks that every tensor is there with its shape. */
export function openWeights(
  path: string,
  checkpoint: Checkpoint,
  config: ModelConfig,
  precision: Precision,
): ModelWeights {
  const source = sourceOf(path, checkpoint, config, precision)
  const { names } = source
  const { architecture, width, hidden, headWidth, vocabulary, layers, context } = config
  const attention = attentionOf(source)
  const rest: Bias = architecture.biases.rest ? 'required' : 'none'
  const ofAttention = architecture.biases.attention
  const table = need(source, `${names.embedding}.weight`, [vocabulary, width])
  const positions = names.positions
    ? need(source, `${names.positions}.weight`, [context, width]).f32()
    : undefined
  const factors = find(source, 'rope_freqs.weight')
  if (source.isGguf) refuseUnknown(source)
  const head = headOf(source, table)

  const blockOf = (layer: number, held: Hold): BlockWeights => {
    const map = (list: readonly MapSource[], inputs: number, kind: Bias, slots?: Int32Array): Linear =>
      mapOf(source, held, list, inputs, layer, kind, slots)
    return {
      norm1: normOf(source, names.norm1, layer),
      qkv: map(attention.maps, width, ofAttention),
      ...(names.headNorms && {
        headNorms: {
          query: vector(source, `${names.headNorms[0]}.weight`, headWidth, layer),
          key: vector(source, `${names.headNorms[1]}.weight`, headWidth, layer),
        },
      }),
      out: map(
        [{ name: names.out, outputs: width }],
        attention.wide,
        ofAttention === 'optional' ? 'optional' : rest,
        attention.mixed,
      ),
      norm2: normOf(source, names.norm2, layer),
      up: map(
        names.up.map((name) => ({ name, outputs: hidden })),
        width,
        rest,
      ),
      down: map([{ name: names.down, outputs: width }], hidden, rest),
    }
  }

  const wholeHead: ModelWeights['head'] = (memory, turned) => ({
    norm: normOf(source, names.finalNorm),
    head: headMap(source, head.part(), memory, turned),
  })
  const weights: ModelWeights = {
    precision,
    embed: embedding(table, positions, width),
    block: (layer, memory) => blockOf(layer, holding(source, memory)),
    head: wholeHead,
    forRunning: (memory) => ({
      block: (layer) => blockOf(layer, holdingForRunning(source, memory)),
      head: () =>
        precision === 'f32'
          ? { norm: normOf(source, names.finalNorm), head: exactHead(head.part(), memory) }
          : wholeHead(memory),
    }),
    tables: () => ({
      tokens: tensor(table.f32(), { shape: [vocabulary, width] }),
      ...(positions && { positions: tensor(positions, { shape: [context, width] }) }),
    }),
    ...(factors && { frequencyFactors: factors.f32() }),
    notes: head.notes,
  }
  for (const layer of [0, layers - 1])
    for (const name of [names.norm1, ...names.attention, names.out, names.norm2, ...names.up, names.down])
      if (!find(source, `${name}.weight`, layer)) need(source, `${name}.weight`, [], layer)
  return weights
}
