/**
 * @file Weight matrices as programs take them: dense [inputs, outputs] in f32, or quantized blocks kept as a GGUF file stores
 * them. Matrices that share their input are put side by side, so that one product serves them all.
 */
import { fail } from '../base/index.ts'
import { type CheckpointTensor, decodeF32 } from '../checkpoint/index.ts'
import {
  add,
  linear,
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
  readonly bias?: Tensor
}

const isDense = (weight: Linear['weight']): weight is Tensor => !('bits' in weight)

/** x [..., K] ↦ [..., N] */
export function applyLinear({ weight, bias }: Linear, x: Tensor): Tensor {
  const y = isDense(weight) ? linear(x, weight) : quantizedMatmul(x, weight)
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

/** Rows of integers with a scale and an offset for each block: w = scale · q + offset, q from 0 to 2^bits − 1. */
interface Blocks {
  readonly bits: 4 | 8
  /** [N, K], one a byte. */
  readonly q: Uint8Array
  readonly scales: Float32Array
  readonly offsets: Float32Array
  /** Whether offset = −z · scale everywhere. */
  readonly isCentred: boolean
}

/** Block formats that are kept as they are: bytes of a block, and whether it has an offset of its own. */
const kept: Readonly<Record<string, { bytes: number; bits: 4 | 8; hasOffset: boolean }>> = {
  Q4_0: { bytes: 18, bits: 4, hasOffset: false },
  Q4_1: { bytes: 20, bits: 4, hasOffset: true },
  Q8_0: { bytes: 34, bits: 8, hasOffset: false },
}
/** Types that hold rounded weights already: made of eight bits, little is lost. */
const isFloatType = (dtype: string): boolean => ['F64', 'F32', 'F16', 'BF16'].includes(dtype)

function storedBlocks({ source }: Part, { bytes, bits, hasOffset }: (typeof kept)[string]): Blocks {
  const raw = source.bytes()
  const count = raw.length / bytes
  const halves = new Uint8Array(count * (hasOffset ? 4 : 2))
  const head = hasOffset ? 4 : 2
  const q = new Uint8Array(count * quantizedBlock)
  for (let b = 0; b < count; b++) {
    const at = b * bytes
    for (let i = 0; i < head; i++) halves[b * head + i] = raw[at + i]!
    const to = b * quantizedBlock
    if (bits === 8) for (let j = 0; j < 32; j++) q[to + j] = raw[at + head + j]! ^ 128
    else
      for (let j = 0; j < 16; j++) {
        const byte = raw[at + head + j]!
        q[to + j] = byte & 15
        q[to + j + 16] = byte >> 4
      }
  }
  const numbers = decodeF32(halves, 'F16')
  if (!hasOffset) {
    const zero = bits === 8 ? 128 : 8
    return { bits, q, scales: numbers, offsets: numbers.map((d) => -zero * d), isCentred: true }
  }
  const scales = new Float32Array(count)
  const offsets = new Float32Array(count)
  for (let b = 0; b < count; b++) {
    scales[b] = numbers[2 * b]!
    offsets[b] = numbers[2 * b + 1]!
  }
  return { bits, q, scales, offsets, isCentred: false }
}

/** Rounded here: 8 bits about 0, or 4 bits between the least and the greatest weight of a block. */
function roundedBlocks({ source, inputs, outputs, transposed }: Part, bits: 4 | 8): Blocks {
  const values = source.f32()
  const rows = new Float32Array(values.length)
  if (transposed)
    for (let r = 0; r < outputs; r++)
      for (let k = 0; k < inputs; k++) rows[r * inputs + k] = values[k * outputs + r]!
  else rows.set(values)
  const count = rows.length / quantizedBlock
  const q = new Uint8Array(rows.length)
  const scales = new Float32Array(count)
  const offsets = new Float32Array(count)
  for (let b = 0; b < count; b++) {
    const block = rows.subarray(b * quantizedBlock, (b + 1) * quantizedBlock)
    let [low, high] = [Infinity, -Infinity]
    for (const w of block) {
      low = Math.min(low, w)
      high = Math.max(high, w)
    }
    const scale = bits === 8 ? Math.max(-low, high, 0) / 127 : (high - low) / 15
    const [zero, offset] = bits === 8 ? [128, -128 * scale] : [0, low]
    const origin = bits === 8 ? 0 : low
    for (let j = 0; j < quantizedBlock; j++)
      q[b * quantizedBlock + j] = scale > 0 ? Math.round((block[j]! - origin) / scale) + zero : zero
    scales[b] = scale
    offsets[b] = offset
  }
  return { bits, q, scales, offsets, isCentred: bits === 8 }
}

/**
 * Matrices side by side in blocks: Q4_0, Q4_1 and Q8_0 exactly as stored; weights in floats rounded to `bits` (4: with an
 * offset for each block, as Q4_1); other block formats rounded to 8 bits.
 */
export function blockMatrix(parts: readonly Part[], bits: 4 | 8): QuantizedMatrix {
  const { inputs } = parts[0]!
  if (inputs % quantizedBlock !== 0)
    fail(
      'TL_UNSUPPORTED',
      `tensor "${parts[0]!.source.name}": ${inputs} inputs are no multiple of ${quantizedBlock}, so its weights cannot be quantized in blocks: load with precision "f32"`,
    )
  const perRow = inputs / quantizedBlock
  const all = parts.map((part) => {
    const format = kept[part.source.dtype]
    return format
      ? storedBlocks(part, format)
      : roundedBlocks(part, isFloatType(part.source.dtype) ? bits : 8)
  })
  const wide = all.some((blocks) => blocks.bits === 8) ? 8 : 4
  const hasOffsets = all.some(({ isCentred }) => !isCentred)
  const outputs = parts.reduce((n, part) => n + part.outputs, 0)
  const rowBytes = wide === 8 ? inputs : inputs / 2
  const packed = new Uint8Array(outputs * rowBytes)
  const scales = new Float32Array(outputs * perRow)
  const offsets = hasOffsets ? new Float32Array(perRow * outputs) : undefined
  let row = 0
  for (const [p, blocks] of all.entries()) {
    const { order } = parts[p]!
    // four bits among eight: the same numbers about another zero
    const shift = wide === 8 && blocks.bits === 4 ? 120 : 0
    for (let r = 0; r < parts[p]!.outputs; r++, row++) {
      const from = order ? order[r]! : r
      const q = blocks.q.subarray(from * inputs, (from + 1) * inputs)
      if (wide === 8) for (let k = 0; k < inputs; k++) packed[row * rowBytes + k] = q[k]! + shift
      else for (let k = 0; k < rowBytes; k++) packed[row * rowBytes + k] = q[2 * k]! | (q[2 * k + 1]! << 4)
      for (let b = 0; b < perRow; b++) {
        const scale = blocks.scales[from * perRow + b]!
        scales[row * perRow + b] = scale
        const zero = blocks.bits === 8 ? 128 : 8
        if (offsets && !blocks.isCentred)
          offsets[b * outputs + row] = blocks.offsets[from * perRow + b]! + zero * scale
      }
    }
  }
  return quantizedMatrix({ bits: wide, inputs, outputs, packed, scales, ...(offsets && { offsets }) })
}
