/**
 * @file Weight matrices as programs take them: dense [inputs, outputs] in f32, or quantized blocks kept as a GGUF file stores
 * them. Matrices that share their input are put side by side, so that one product serves them all.
 */
import { fail } from '../base/index.ts'
import { type CheckpointTensor, decodeF32 } from '../checkpoint/index.ts'
import {
  add,
  linear,
  matmul,
  type QuantizedMatrix,
  quantizedBlock,
  quantizedMatmul,
  quantizedMatrix,
  type Tensor,
  tensor,
} from '../tensor/index.ts'

/** A map of the last axis: dense [K, N] or quantized, and a bias [N]. */
export interface Linear {
  readonly weight: Tensor | QuantizedMatrix
  /** Dense and stored [N, K], for inputs of two axes. */
  readonly isTurned?: boolean
  readonly bias?: Tensor
}

const isDense = (weight: Linear['weight']): weight is Tensor => !('bits' in weight)

/** x [..., K] ↦ [..., N] */
export function applyLinear({ weight, isTurned, bias }: Linear, x: Tensor): Tensor {
  const product = (w: Tensor): Tensor => (isTurned ? matmul(x, w, { transposeB: true }) : linear(x, w))
  const y = isDense(weight) ? product(weight) : quantizedMatmul(x, weight)
  return bias ? add(y, bias) : y
}

/** Where a matrix comes from: a tensor of a file, how it is stored, and an order of its rows. */
export interface Part {
  readonly source: CheckpointTensor
  readonly inputs: number
  readonly outputs: number
  /** Stored [inputs, outputs]. */
  readonly transposed: boolean
  /** Row r of the result is row order[r] of the file; −1 is a row of zeros (dense matrices only). */
  readonly order?: Int32Array
  /** The same for inputs (dense matrices only). */
  readonly slots?: Int32Array
}

/** Outputs of a part once its rows are in their order. */
const width = ({ outputs, order }: Part): number => order?.length ?? outputs

/** Matrices side by side, as f32 [K, ΣN]. */
export function denseMatrix(parts: readonly Part[]): Tensor {
  const [first] = parts as [Part]
  const rows = first.slots?.length ?? first.inputs
  const columns = parts.reduce((n, part) => n + width(part), 0)
  if (parts.length === 1 && first.transposed && !first.slots)
    return tensor(first.source.f32(), { shape: [rows, columns] })
  const out = new Float32Array(rows * columns)
  let column = 0
  for (const part of parts) {
    place(out, columns, column, part)
    column += width(part)
  }
  return tensor(out, { shape: [rows, columns] })
}

/** Rows of the file become columns: in tiles, so that neither side leaves the cache. */
function place(out: Float32Array, columns: number, column: number, part: Part): void {
  const { source, inputs, outputs, transposed, order, slots } = part
  const values = source.f32()
  if (transposed) {
    for (let k = 0; k < inputs; k++)
      out.set(values.subarray(k * outputs, (k + 1) * outputs), k * columns + column)
    return
  }
  const [rows, count] = [width(part), slots?.length ?? inputs]
  const tile = 32
  for (let r0 = 0; r0 < rows; r0 += tile)
    for (let k0 = 0; k0 < count; k0 += tile)
      for (let r = r0, rEnd = Math.min(rows, r0 + tile); r < rEnd; r++) {
        const row = order ? order[r]! : r
        if (row < 0) continue
        const from = row * inputs
        for (let k = k0, kEnd = Math.min(count, k0 + tile); k < kEnd; k++) {
          const at = slots ? slots[k]! : k
          if (at >= 0) out[k * columns + column + r] = values[from + at]!
        }
      }
}

/** Rows of integers with a scale and an offset for each block: w = scale · (q − zero) + offset, zero 8 or 128. */
interface Blocks {
  readonly bits: 4 | 8
  /** As programs take them (`QuantizedMatrix`). */
  readonly packed: Uint8Array
  readonly scales: Float32Array
  /** Absent where all are 0. */
  readonly offsets?: Float32Array
}

/** Block formats that are kept as they are: bytes of a block, and whether it has an offset of its own. */
const kept: Readonly<Record<string, { bytes: number; bits: 4 | 8; hasOffset: boolean }>> = {
  Q4_0: { bytes: 18, bits: 4, hasOffset: false },
  Q4_1: { bytes: 20, bits: 4, hasOffset: true },
  Q8_0: { bytes: 34, bits: 8, hasOffset: false },
}
/** Types that hold weights not rounded before. */
const isFloatType = (dtype: string): boolean => ['F64', 'F32', 'F16', 'BF16'].includes(dtype)

/** f16 numbers by their bits. */
let halves: Float32Array | undefined
function halfTable(): Float32Array {
  halves ??= decodeF32(new Uint8Array(Uint16Array.from({ length: 65536 }, (_, i) => i).buffer), 'F16')
  return halves
}

/** Bits of two bytes side by side, weights j and j + 16 in each: the lower halves as one byte. */
const lower = (pair: number): number => (pair & 15) | ((pair >> 4) & 240)
const upper = (pair: number): number => ((pair >> 4) & 15) | ((pair >> 8) & 240)

/** A part's rows in their order. Everything is read and written in pairs of bytes. */
function storedBlocks(part: Part, { bytes, bits, hasOffset }: (typeof kept)[string]): Blocks {
  const { source, inputs, outputs, order } = part
  const stored = source.bytes()
  const raw = new Uint16Array(
    stored.byteOffset % 2 ? stored.slice().buffer : stored.buffer,
    stored.byteOffset % 2 ? 0 : stored.byteOffset,
    stored.byteLength / 2,
  )
  const numbers = halfTable()
  const perRow = inputs / quantizedBlock
  const count = outputs * perRow
  const [step, head, size] = [bytes / 2, hasOffset ? 2 : 1, bits === 4 ? 8 : 16]
  const packed = new Uint16Array(count * size)
  const scales = new Float32Array(count)
  const offsets = hasOffset ? new Float32Array(count) : undefined
  for (let r = 0, b = 0, to = 0; r < outputs; r++) {
    let at = (order ? order[r]! : r) * perRow * step
    for (let k = 0; k < perRow; k++, b++, at += step, to += size) {
      const scale = numbers[raw[at]!]!
      scales[b] = scale
      // d · q + m = d · (q − 8) + (m + 8 d)
      if (offsets) offsets[b] = numbers[raw[at + 1]!]! + 8 * scale
      const from = at + head
      // signed bytes as unsigned ones about 128
      if (bits === 8) for (let j = 0; j < 16; j++) packed[to + j] = raw[from + j]! ^ 0x8080
      // the file pairs weights j and j + 16, the kernel 2j and 2j + 1
      else
        for (let j = 0; j < 4; j++) {
          const [first, second] = [raw[from + 2 * j]!, raw[from + 2 * j + 1]!]
          packed[to + j] = lower(first) | (lower(second) << 8)
          packed[to + j + 4] = upper(first) | (upper(second) << 8)
        }
    }
  }
  return { bits, packed: new Uint8Array(packed.buffer), scales, ...(offsets && { offsets }) }
}

/** Rounded here: 8 bits about 0, or 4 bits between the least and the greatest weight of a block. */
function roundedBlocks({ source, inputs, outputs, transposed, order }: Part, bits: 4 | 8): Blocks {
  const values = source.f32()
  let rows = values
  if (transposed || order) {
    rows = new Float32Array(values.length)
    for (let r = 0; r < outputs; r++) {
      const from = order ? order[r]! : r
      if (transposed) for (let k = 0; k < inputs; k++) rows[r * inputs + k] = values[k * outputs + from]!
      else rows.set(values.subarray(from * inputs, (from + 1) * inputs), r * inputs)
    }
  }
  const count = rows.length / quantizedBlock
  const packed = new Uint8Array((rows.length * bits) / 8)
  const scales = new Float32Array(count)
  const offsets = bits === 4 ? new Float32Array(count) : undefined
  for (let b = 0; b < count; b++) {
    const from = b * quantizedBlock
    let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
    for (let j = from; j < from + quantizedBlock; j++) {
      low = Math.min(low, rows[j]!)
      high = Math.max(high, rows[j]!)
    }
    const scale = bits === 8 ? Math.max(-low, high, 0) / 127 : (high - low) / 15
    scales[b] = scale
    if (offsets) offsets[b] = low + 8 * scale
    const levels = (j: number): number =>
      scale > 0 ? Math.round((rows[j]! - (offsets ? low : 0)) / scale) : 0
    if (bits === 8) for (let j = 0; j < quantizedBlock; j++) packed[from + j] = levels(from + j) + 128
    else
      for (let j = 0; j < quantizedBlock / 2; j++)
        packed[from / 2 + j] = levels(from + 2 * j) | (levels(from + 2 * j + 1) << 4)
  }
  return { bits, packed, scales, ...(offsets && { offsets }) }
}

/** Four bits among eight: the same numbers about the other zero. */
function widened(blocks: Blocks): Blocks {
  const packed = new Uint8Array(blocks.packed.length * 2)
  for (const [i, byte] of blocks.packed.entries()) {
    packed[2 * i] = (byte & 15) + 120
    packed[2 * i + 1] = (byte >> 4) + 120
  }
  return { ...blocks, bits: 8, packed }
}

/** Are these 4-bit blocks that can stay as they are stored? */
export const areSmallBlocks = (parts: readonly Part[]): boolean =>
  parts.every(
    ({ source, inputs, slots, order }) =>
      kept[source.dtype]?.bits === 4 && inputs % quantizedBlock === 0 && !slots && !order?.includes(-1),
  )

/**
 * Matrices side by side in blocks: Q4_0, Q4_1 and Q8_0 exactly as stored; weights in floats rounded to `bits` (4: with an
 * offset for each block, as Q4_1); other block formats rounded to 8 bits. `exact`: activations stay f32.
 */
export function blockMatrix(parts: readonly Part[], bits: 4 | 8, exact = false): QuantizedMatrix {
  const { inputs } = parts[0]!
  if (inputs % quantizedBlock !== 0)
    fail(
      'TL_UNSUPPORTED',
      `tensor "${parts[0]!.source.name}": ${inputs} inputs are no multiple of ${quantizedBlock}, so its weights cannot be quantized in blocks: load with precision "f32"`,
    )
  const perRow = inputs / quantizedBlock
  const found = parts.map((part) => {
    const format = kept[part.source.dtype]
    return format
      ? storedBlocks(part, format)
      : roundedBlocks(part, isFloatType(part.source.dtype) ? bits : 8)
  })
  const wide = found.some((blocks) => blocks.bits === 8) ? 8 : 4
  const all = found.map((blocks) => (blocks.bits < wide ? widened(blocks) : blocks))
  const hasOffsets = all.some(({ offsets }) => offsets !== undefined)
  const outputs = parts.reduce((n, part) => n + part.outputs, 0)
  const rowBytes = (inputs * wide) / 8
  const packed = new Uint8Array(outputs * rowBytes)
  const scales = new Float32Array(outputs * perRow)
  const offsets = hasOffsets ? new Float32Array(perRow * outputs) : undefined
  let row = 0
  for (const [p, blocks] of all.entries()) {
    packed.set(blocks.packed, row * rowBytes)
    scales.set(blocks.scales, row * perRow)
    const own = blocks.offsets
    const count = parts[p]!.outputs
    if (offsets && own)
      for (let b = 0; b < perRow; b++)
        for (let r = 0, to = b * outputs + row; r < count; r++) offsets[to + r] = own[r * perRow + b]!
    row += count
  }
  return quantizedMatrix({
    ...{ bits: wide, inputs, outputs, packed, scales, exact },
    ...(offsets && { offsets }),
  })
}
