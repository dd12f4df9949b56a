/**
 * @file Blocks of 32 weights with a scale: as a GGUF file stores them, rounded from floats, and turned from one form into another.
 */
import { type CheckpointTensor, decodeF32 } from '../checkpoint/index.ts'
import { quantizedBlock } from '../tensor/index.ts'

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

/** Rows of integers with a scale for each block: w = scale · (q − zero) + offset, zero 8 or 128 unless blocks have their own. */
export interface Blocks {
  readonly bits: 4 | 8
  /** As programs take them (`QuantizedMatrix`). */
  readonly packed: Uint8Array
  readonly scales: Float32Array
  readonly zeros?: Uint8Array
  /** Absent where all are 0. */
  readonly offsets?: Float32Array
  /** Weights of the sums of blocks, in rows of ⌈blocks of a row / 32⌉ blocks of their own. */
  readonly sums?: Blocks
}

/** Block formats that are kept as they are: bytes of a block, and whether it has an offset of its own. */
export const kept: Readonly<Record<string, { bytes: number; bits: 4 | 8; hasOffset: boolean }>> = {
  Q4_0: { bytes: 18, bits: 4, hasOffset: false },
  Q4_1: { bytes: 20, bits: 4, hasOffset: true },
  Q8_0: { bytes: 34, bits: 8, hasOffset: false },
}
/** Types that hold weights not rounded before. */
export const isFloatType = (dtype: string): boolean => ['F64', 'F32', 'F16', 'BF16'].includes(dtype)

/** f16 numbers by their bits. */
let halves: Float32Array | undefined
function halfTable(): Float32Array {
  halves ??= decodeF32(new Uint8Array(Uint16Array.from({ length: 65536 }, (_, i) => i).buffer), 'F16')
  return halves
}

/** Bytes of a file two by two, wherever they begin. */
function inPairs(bytes: Uint8Array): Uint16Array {
  const own = bytes.byteOffset % 2 ? bytes.slice() : bytes
  return new Uint16Array(own.buffer, own.byteOffset, own.byteLength / 2)
}

/** Bits of two bytes side by side, weights j and j + 16 in each: the lower halves as one byte. */
const lower = (pair: number): number => (pair & 15) | ((pair >> 4) & 240)
const upper = (pair: number): number => ((pair >> 4) & 15) | ((pair >> 8) & 240)

/** A part's rows in their order. Everything is read and written in pairs of bytes. */
export function storedBlocks(part: Part, { bytes, bits, hasOffset }: (typeof kept)[string]): Blocks {
  const { source, inputs, outputs, order } = part
  const raw = inPairs(source.bytes())
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

/** Rounded here: 8 bits about 0, or 4 bits between the least and the greatest weight of a block, with 0 among the 16 numbers. */
export function roundedBlocks({ source, inputs, outputs, transposed, order }: Part, bits: 4 | 8): Blocks {
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
  return roundedRows(rows, inputs, bits)
}

/** Rows [rows, width] in blocks, the last of a row filled with zeros. */
function roundedRows(rows: Float32Array, width: number, bits: 4 | 8): Blocks {
  const perRow = Math.ceil(width / quantizedBlock)
  const count = (rows.length / width) * perRow
  const packed = new Uint8Array((count * quantizedBlock * bits) / 8)
  const scales = new Float32Array(count)
  const zeros = bits === 4 ? new Uint8Array(count) : undefined
  for (let b = 0; b < count; b++) {
    const first = (b % perRow) * quantizedBlock
    const from = Math.floor(b / perRow) * width + first
    const size = Math.min(quantizedBlock, width - first)
    let [low, high] = [0, 0]
    for (let j = from; j < from + size; j++) {
      low = Math.min(low, rows[j]!)
      high = Math.max(high, rows[j]!)
    }
    const scale = bits === 8 ? Math.max(-low, high) / 127 : (high - low) / 15
    const zero = bits === 8 ? 128 : scale > 0 ? Math.round(-low / scale) : 8
    scales[b] = scale
    if (zeros) zeros[b] = zero
    const level = (j: number): number =>
      scale > 0 && j < size
        ? Math.min(2 ** bits - 1, Math.max(0, Math.round(rows[from + j]! / scale) + zero))
        : zero
    const to = b * quantizedBlock
    if (bits === 8) for (let j = 0; j < quantizedBlock; j++) packed[to + j] = level(j)
    else
      for (let j = 0; j < quantizedBlock / 2; j++) packed[to / 2 + j] = level(2 * j) | (level(2 * j + 1) << 4)
  }
  return { bits, packed, scales, ...(zeros && { zeros }) }
}

/** Four bits among eight: the same numbers about the other zero. */
export function widened(blocks: Blocks): Blocks {
  const packed = new Uint8Array(blocks.packed.length * 2)
  for (const [i, byte] of blocks.packed.entries()) {
    packed[2 * i] = (byte & 15) + 120
    packed[2 * i + 1] = (byte >> 4) + 120
  }
  return {
    ...blocks,
    bits: 8,
    packed,
    ...(blocks.zeros && { zeros: blocks.zeros.map((zero) => zero + 120) }),
    ...(blocks.sums && { sums: widened(blocks.sums) }),
  }
}

/**
 * Offsets of 4-bit blocks without a product of their own: of each the nearest whole number of steps becomes the block's zero, and
 * what is left, half a step at most where the zero is among 0 … 15, a weight of the block's sum. Those are rounded to 4 bits:
 * an offset is then off by a 15th of the largest step among the row's 32 blocks at most, mostly by far less.
 */
export function splitOffsets(blocks: Blocks, perRow: number): Blocks {
  const { packed, scales, offsets } = blocks
  if (!offsets) return blocks
  const zeros = new Uint8Array(scales.length)
  const left = new Float32Array(scales.length)
  for (let b = 0; b < scales.length; b++) {
    const [scale, offset] = [scales[b]!, offsets[b]!]
    const zero = scale === 0 ? 8 : Math.min(15, Math.max(0, Math.round(8 - offset / scale)))
    zeros[b] = zero
    left[b] = offset - scale * (8 - zero)
  }
  return { bits: 4, packed, scales, zeros, sums: roundedRows(left, perRow, 4) }
}
