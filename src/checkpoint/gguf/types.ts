/** @file Element types of GGUF, one row each: code in the file, weights and bytes of a block, how blocks become f32. */
import { fail } from '../../base/index.ts'
import { decodeF32 } from '../convertDtype.ts'
import { decodeQ4_0, decodeQ4_1, decodeQ5_0, decodeQ5_1, decodeQ8_0 } from './smallBlocks.ts'
import { decodeQ2K, decodeQ3K, decodeQ4K, decodeQ5K, decodeQ6K } from './superBlocks.ts'

/** Decode `blocks` whole blocks of `raw` into the beginning of `out`. */
type BlockDecoder = (raw: Uint8Array, blocks: number, out: Float32Array) => void

/** One element type. Blocks run along a row. Without `decode` the bytes can be copied but not turned into numbers. */
export type GgufType = {
  name: string
  code: number
  /** Weights in a block. */
  blockSize: number
  /** Bytes of a block. */
  blockBytes: number
  decode?: BlockDecoder
}

/** An unpacked type: a block is one element, converted as everywhere else. */
const plain =
  (dtype: string): BlockDecoder =>
  (raw, _blocks, out) =>
    out.set(decodeF32(raw, dtype))

type Row = [name: string, code: number, blockSize: number, blockBytes: number, decode?: BlockDecoder]

// Codes and sizes: ggml.h and ggml-common.h of ggml-org/ggml. 4, 5 and 31 to 33, 36 to 38 were withdrawn.
const ROWS: Row[] = [
  ['F32', 0, 1, 4, plain('F32')],
  ['F16', 1, 1, 2, plain('F16')],
  ['Q4_0', 2, 32, 18, decodeQ4_0],
  ['Q4_1', 3, 32, 20, decodeQ4_1],
  ['Q5_0', 6, 32, 22, decodeQ5_0],
  ['Q5_1', 7, 32, 24, decodeQ5_1],
  ['Q8_0', 8, 32, 34, decodeQ8_0],
  ['Q8_1', 9, 32, 36],
  ['Q2_K', 10, 256, 84, decodeQ2K],
  ['Q3_K', 11, 256, 110, decodeQ3K],
  ['Q4_K', 12, 256, 144, decodeQ4K],
  ['Q5_K', 13, 256, 176, decodeQ5K],
  ['Q6_K', 14, 256, 210, decodeQ6K],
  ['Q8_K', 15, 256, 292],
  ['IQ2_XXS', 16, 256, 66],
  ['IQ2_XS', 17, 256, 74],
  ['IQ3_XXS', 18, 256, 98],
  ['IQ1_S', 19, 256, 50],
  ['IQ4_NL', 20, 32, 18],
  ['IQ3_S', 21, 256, 110],
  ['IQ2_S', 22, 256, 82],
  ['IQ4_XS', 23, 256, 136],
  ['I8', 24, 1, 1, plain('I8')],
  ['I16', 25, 1, 2, plain('I16')],
  ['I32', 26, 1, 4, plain('I32')],
  ['I64', 27, 1, 8, plain('I64')],
  ['F64', 28, 1, 8, plain('F64')],
  ['IQ1_M', 29, 256, 56],
  ['BF16', 30, 1, 2, plain('BF16')],
  ['TQ1_0', 34, 256, 54],
  ['TQ2_0', 35, 256, 66],
  ['MXFP4', 39, 32, 17],
]

/** Every element type that a file may name. */
export const ggufTypes: readonly GgufType[] = ROWS.map(([name, code, blockSize, blockBytes, decode]) => ({
  name,
  code,
  blockSize,
  blockBytes,
  decode,
}))

const byCode = new Map(ggufTypes.map((type) => [type.code, type]))
const byName = new Map(ggufTypes.map((type) => [type.name, type]))

export const typeOfCode = (code: number): GgufType | undefined => byCode.get(code)
export const typeOfName = (name: string): GgufType | undefined => byName.get(name)

/** Bytes of raw blocks read at a time: what a decoded range needs beside its result. */
const CHUNK_BYTES = 1 << 20

/**
 * Elements `[start, end)` as f32. `read(begin, end)` gives bytes of the tensor; blocks cut by the range are decoded whole
 * and the part is kept. Throws `TL_UNSUPPORTED` when the type has no decoder.
 */
export function dequantize(
  type: GgufType,
  start: number,
  end: number,
  read: (begin: number, end: number) => Uint8Array,
): Float32Array {
  const { name, blockSize, blockBytes, decode } = type
  if (!decode) {
    const known = ggufTypes.flatMap((row) => (row.decode ? [row.name] : [])).join(', ')
    return fail(
      'TL_UNSUPPORTED',
      `${name} cannot be decoded (known: ${known}); requantize the file to one of those`,
    )
  }
  const out = new Float32Array(end - start)
  const chunkBlocks = Math.floor(CHUNK_BYTES / blockBytes)
  const lastBlock = Math.ceil(end / blockSize)
  for (let block = Math.floor(start / blockSize); block < lastBlock && start < end; block += chunkBlocks) {
    const blocks = Math.min(chunkBlocks, lastBlock - block)
    const raw = read(block * blockBytes, (block + blocks) * blockBytes)
    const from = block * blockSize
    const to = from + blocks * blockSize
    if (from >= start && to <= end) {
      decode(raw, blocks, out.subarray(from - start, to - start))
      continue
    }
    const whole = new Float32Array(to - from)
    decode(raw, blocks, whole)
    const first = Math.max(from, start)
    out.set(whole.subarray(first - from, Math.min(to, end) - from), first - start)
  }
  return out
}
