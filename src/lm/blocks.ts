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

/**
 * Rows of integers with a scale for each block: w = scale · (q − zero) + offset, zero 8 or 128. At the end of each row there
 * may be room for some blocks more, of scale 0.
 */
export interface Blocks {
  readonly bits: 4 | 8
  /** As programs take them (`QuantizedMatrix`). */
  readonly packed: Uint8Array
  readonly scales: Float32Array
  /** Absent where all are 0; without the room. */
  readonly offsets?: Float32Array
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

/** Bytes of a file as numbers of several bytes, wherever they begin. */
const aligned = (bytes: Uint8Array, size: number): Uint8Array =>
  bytes.byteOffset % size ? bytes.slice() : bytes

/** Some of a part's rows. */
export interface Rows {
  readonly from: number
  readonly count: number
}

/**
 * Numbers that are read at once: no second copy of a large matrix is ever there, and what is made of them is small enough not to
 * leave holes between the runtime's arrays.
 */
const atOnce = 1 << 17

/** A part's rows in runs, or all of them where they come in another order. */
export function* runsOf({ inputs, outputs, order, transposed }: Part): Generator<Rows> {
  const most = order || transposed ? outputs : Math.max(1, Math.floor(atOnce / inputs))
  for (let from = 0; from < outputs; from += most) yield { from, count: Math.min(most, outputs - from) }
}

const allRows = ({ outputs }: Part): Rows => ({ from: 0, count: outputs })

/** Stored bytes of some rows. */
function bytesOf({ source, outputs }: Part, { from, count }: Rows, perRow: number): Uint8Array {
  if (count === outputs || !source.readInto)
    return source.bytes().subarray(from * perRow, (from + count) * perRow)
  const bytes = new Uint8Array(count * perRow)
  source.readInto(from * perRow, bytes)
  return bytes
}

/** A part's rows in their order, each with room for `room` blocks more. */
export function storedBlocks(
  part: Part,
  { bytes, bits, hasOffset }: (typeof kept)[string],
  room = 0,
  rows = allRows(part),
): Blocks {
  const perRow = part.inputs / quantizedBlock
  const count = rows.count * (perRow + room)
  const packed = new Uint8Array((count * quantizedBlock * bits) / 8)
  const scales = new Float32Array(count)
  const offsets = hasOffset ? new Float32Array(rows.count * perRow) : undefined
  const raw = bytesOf(part, rows, perRow * bytes)
  const own = { ...part, outputs: rows.count }
  if (offsets) unpackWithOffsets(own, aligned(raw, 4), room, new Uint32Array(packed.buffer), scales, offsets)
  else unpack(own, aligned(raw, 2), bytes / 2, bits, room, new Uint16Array(packed.buffer), scales)
  return { bits, packed, scales, ...(offsets && { offsets }) }
}

/** Q4_1: blocks of five words, of which the first is scale and least weight. */
function unpackWithOffsets(
  { inputs, outputs, order }: Part,
  bytes: Uint8Array,
  room: number,
  packed: Uint32Array,
  scales: Float32Array,
  offsets: Float32Array,
): void {
  const raw = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4)
  const numbers = halfTable()
  const perRow = inputs / quantizedBlock
  for (let r = 0, b = 0, o = 0; r < outputs; r++, b += room) {
    let at = (order ? order[r]! : r) * perRow * 5
    for (let k = 0; k < perRow; k++, b++, at += 5) {
      const ends = raw[at]!
      const scale = numbers[ends & 0xffff]!
      scales[b] = scale
      // d · q + m = d · (q − 8) + (m + 8 d)
      offsets[o++] = numbers[ends >>> 16]! + 8 * scale
      // the file pairs weights j and j + 16, the kernel 2j and 2j + 1
      // as signed numbers: unsigned ones of 32 bits would be objects
      const first = raw[at + 1]! | 0
      const second = raw[at + 2]! | 0
      const third = raw[at + 3]! | 0
      const fourth = raw[at + 4]! | 0
      packed[4 * b] = lowHalves(first) | (lowHalves(second) << 16)
      packed[4 * b + 1] = lowHalves(third) | (lowHalves(fourth) << 16)
      packed[4 * b + 2] = lowHalves(first >>> 4) | (lowHalves(second >>> 4) << 16)
      packed[4 * b + 3] = lowHalves(third >>> 4) | (lowHalves(fourth >>> 4) << 16)
    }
  }
}

/** The lower halves of four bytes as two bytes. */
function lowHalves(word: number): number {
  const halves = word & 0x0f0f0f0f
  const pairs = (halves | (halves >>> 4)) & 0x00ff00ff
  return (pairs | (pairs >>> 8)) & 0xffff
}

/** Q4_0 and Q8_0, in pairs of bytes, of which the first is the scale. */
function unpack(
  { inputs, outputs, order }: Part,
  bytes: Uint8Array,
  step: number,
  bits: 4 | 8,
  room: number,
  packed: Uint16Array,
  scales: Float32Array,
): void {
  const raw = new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 2)
  const numbers = halfTable()
  const perRow = inputs / quantizedBlock
  const size = bits === 4 ? 8 : 16
  for (let r = 0, b = 0; r < outputs; r++, b += room) {
    let at = (order ? order[r]! : r) * perRow * step
    for (let k = 0; k < perRow; k++, b++, at += step) {
      scales[b] = numbers[raw[at]!]!
      const [from, to] = [at + 1, b * size]
      // signed bytes as unsigned ones about 128
      if (bits === 8) for (let j = 0; j < 16; j++) packed[to + j] = raw[from + j]! ^ 0x8080
      else
        for (let j = 0; j < 4; j++) {
          const word = raw[from + 2 * j]! | (raw[from + 2 * j + 1]! << 16)
          packed[to + j] = lowHalves(word)
          packed[to + j + 4] = lowHalves(word >>> 4)
        }
    }
  }
}

/** Numbers of some of a part's rows [rows, inputs], in their order. */
function numbersOf({ source, inputs, outputs, transposed, order }: Part, rows: Rows): Float32Array {
  const values = rows.count === outputs ? source.f32() : source.f32(rows.from * inputs, rows.count * inputs)
  if (!transposed && !order) return values
  const out = new Float32Array(values.length)
  for (let r = 0; r < outputs; r++) {
    const from = order ? order[r]! : r
    if (transposed) for (let k = 0; k < inputs; k++) out[r * inputs + k] = values[k * outputs + from]!
    else out.set(values.subarray(from * inputs, (from + 1) * inputs), r * inputs)
  }
  return out
}

/** A part's numbers [outputs, inputs], rows in their order, in the array given. */
export function numbersInto(out: Float32Array, part: Part): Float32Array {
  for (const rows of runsOf(part)) out.set(numbersOf(part, rows), rows.from * part.inputs)
  return out
}

/** Rounded here to 8 bits about 0: a block's largest weight is 127 steps. Rows have room for `room` blocks more. */
export function roundedBlocks(part: Part, room = 0, rows = allRows(part)): Blocks {
  const values = numbersOf(part, rows)
  const perRow = part.inputs / quantizedBlock
  const count = rows.count * (perRow + room)
  const packed = new Uint8Array(count * quantizedBlock)
  const scales = new Float32Array(count)
  for (let r = 0, b = 0, from = 0; r < rows.count; r++, b += room)
    for (let k = 0; k < perRow; k++, b++, from += quantizedBlock) {
      let most = 0
      for (let j = from; j < from + quantizedBlock; j++) most = Math.max(most, Math.abs(values[j]!))
      const scale = most / 127
      scales[b] = scale
      const perStep = scale > 0 ? 1 / scale : 0
      for (let j = 0; j < quantizedBlock; j++)
        packed[b * quantizedBlock + j] = 128 + Math.round(values[from + j]! * perStep)
    }
  return { bits: 8, packed, scales }
}

/** Times that levels are chosen for a scale and an offset, and these for the levels; once more costs more than it gains. */
const fits = 2

/**
 * Rounded here to 4 bits: the scale and offset of each block are those of least squares, from its least and greatest weight on.
 * Rows have room for `room` blocks more.
 */
export function fittedBlocks(part: Part, room = 0, rows = allRows(part)): Blocks {
  const values = numbersOf(part, rows)
  const perRow = part.inputs / quantizedBlock
  const count = rows.count * (perRow + room)
  const packed = new Uint8Array((count * quantizedBlock) / 2)
  const scales = new Float32Array(count)
  const offsets = new Float32Array(rows.count * perRow)
  const levels = new Uint8Array(quantizedBlock)
  for (let r = 0, b = 0, o = 0, from = 0; r < rows.count; r++, b += room)
    for (let k = 0; k < perRow; k++, b++, o++, from += quantizedBlock) {
      let [low, high, sum] = [values[from]!, values[from]!, 0]
      for (let j = from; j < from + quantizedBlock; j++) {
        const value = values[j]!
        sum += value
        if (value < low) low = value
        else if (value > high) high = value
      }
      let [scale, start] = [(high - low) / 15, low]
      levels.fill(0)
      for (let fit = 0; fit < fits && scale > 0; fit++) {
        const perStep = 1 / scale
        // of levels, their squares, their products with weights
        let [first, second, mixed] = [0, 0, 0]
        for (let j = 0; j < quantizedBlock; j++) {
          const value = values[from + j]!
          const place = (value - start) * perStep + 0.5
          const level = place < 0 ? 0 : place > 15 ? 15 : Math.floor(place)
          levels[j] = level
          first += level
          second += level * level
          mixed += level * value
        }
        const spread = quantizedBlock * second - first * first
        if (spread === 0) break
        scale = (quantizedBlock * mixed - first * sum) / spread
        start = (sum - scale * first) / quantizedBlock
      }
      scales[b] = scale
      offsets[o] = start + 8 * scale
      for (let j = 0; j < quantizedBlock; j += 2)
        packed[(b * quantizedBlock + j) / 2] = levels[j]! | (levels[j + 1]! << 4)
    }
  return { bits: 4, packed, scales, offsets }
}

/** Four bits among eight: the same numbers about the other zero. */
export function widened(blocks: Blocks): Blocks {
  const packed = new Uint8Array(blocks.packed.length * 2)
  for (let i = 0; i < blocks.packed.length; i++) {
    const byte = blocks.packed[i]!
    packed[2 * i] = (byte & 15) + 120
    packed[2 * i + 1] = (byte >> 4) + 120
  }
  return { ...blocks, bits: 8, packed }
}

/**
 * Times that a row of so many blocks has their sums: so often that each comes `again` times behind the blocks where all come
 * first.
 */
export const sumsOf = (perRow: number, again = 1): number =>
  1 + Math.ceil((again * Math.ceil(perRow / quantizedBlock) * quantizedBlock) / perRow)

/** Blocks at the end of a row that hold the weights of its blocks' sums. */
export const roomForSums = (perRow: number, again = 1): number =>
  Math.ceil((sumsOf(perRow, again) * perRow) / quantizedBlock)

/**
 * Offsets of 4-bit blocks without a product of their own: as weights of the blocks' sums, in 4 bits like the others. Each block
 * of them takes what those before have left over, in steps of a seventh of the largest: a fourteenth is left at most. Where
 * sums come once again, a 196th of a row's largest offset is left of any in the end, where twice, a 2744th. Rows have
 * `roomForSums`; the blocks that are given are changed.
 */
export function splitOffsets({ bits, packed, scales, offsets }: Blocks, perRow: number, again = 1): Blocks {
  const columns = sumsOf(perRow, again) * perRow
  const left = new Float64Array(perRow)
  const stride = perRow + roomForSums(perRow, again)
  for (let row = 0, o = 0; row < scales.length; row += stride, o += perRow) {
    left.set(offsets!.subarray(o, o + perRow))
    for (let c = 0, b = row + perRow; c < columns; c += quantizedBlock, b++) {
      const end = Math.min(c + quantizedBlock, columns)
      let most = 0
      for (let j = c; j < end; j++) most = Math.max(most, Math.abs(left[j % perRow]!))
      const scale = Math.fround(most / 7)
      scales[b] = scale
      const perStep = scale > 0 ? 1 / scale : 0
      for (let j = c; j < end; j++) {
        const level = Math.round(left[j % perRow]! * perStep)
        left[j % perRow]! -= level * scale
        packed[(b * quantizedBlock) / 2 + ((j - c) >> 1)]! |= (level + 8) << (j % 2 ? 4 : 0)
      }
    }
  }
  return { bits, packed, scales }
}
