/** @file The IDX format of MNIST and its relatives: magic, big-endian sizes, big-endian elements; gzip accepted. */
import { gunzipSync, constants as zlib } from 'node:zlib'
import { fail } from '../base/index.ts'

/** An IDX array: row-major elements of the type the file names. `u8` data are a view of the input, not a copy. */
export type IdxArray =
  | { dtype: 'u8'; shape: number[]; data: Uint8Array }
  | { dtype: 'i8'; shape: number[]; data: Int8Array }
  | { dtype: 'i16'; shape: number[]; data: Int16Array }
  | { dtype: 'i32'; shape: number[]; data: Int32Array }
  | { dtype: 'f32'; shape: number[]; data: Float32Array }
  | { dtype: 'f64'; shape: number[]; data: Float64Array }

const TYPES: Record<number, { dtype: IdxArray['dtype']; size: number }> = {
  8: { dtype: 'u8', size: 1 },
  9: { dtype: 'i8', size: 1 },
  11: { dtype: 'i16', size: 2 },
  12: { dtype: 'i32', size: 4 },
  13: { dtype: 'f32', size: 4 },
  14: { dtype: 'f64', size: 8 },
}

/** Images are rank 3 or 4; nothing known to us goes beyond. */
const MAX_RANK = 8

/** Deflate never expands more than this, so a header that promises more is wrong. */
const MAX_EXPANSION = 1032

/** Compressed bytes that are sure to hold the header: it takes at most 36 bytes. */
const GZIP_PREFIX = 8192

type IdxHeader = { dtype: IdxArray['dtype']; shape: number[]; headerBytes: number; dataBytes: number }

/**
 * Read one IDX file, plain or gzipped. `label` names it in messages.
 * Sizes are checked against the bytes at hand before memory is taken. Throws `TL_BAD_FILE`.
 * (Format: LeCun, Cortes & Burges, "The MNIST database of handwritten digits".)
 */
export function readIdx(bytes: Uint8Array, label = 'IDX data'): IdxArray {
  const zipped = bytes[0] === 0x1f && bytes[1] === 0x8b
  const plain = zipped ? gunzipIdx(bytes, label) : bytes
  const { dtype, shape, headerBytes, dataBytes } = readHeader(plain, label)
  const have = plain.byteLength - headerBytes
  if (have !== dataBytes)
    fail(
      'TL_BAD_FILE',
      `${label}: ${dtype} [${shape.join(', ')}] takes ${dataBytes} bytes, ` +
        (have < dataBytes ? `only ${have} follow the header (truncated?)` : `${have} follow the header`),
    )
  const body = plain.subarray(headerBytes)
  return { dtype, shape, data: fromBigEndian(dtype, body) } as IdxArray
}

function readHeader(bytes: Uint8Array, label: string): IdxHeader {
  if (bytes.byteLength < 4)
    fail('TL_BAD_FILE', `${label}: ${bytes.byteLength} bytes, an IDX header takes at least 4`)
  const [zero, nought, code, rank] = bytes as unknown as [number, number, number, number]
  const type = TYPES[code]
  if (zero !== 0 || nought !== 0 || !type)
    return fail(
      'TL_BAD_FILE',
      `${label}: begins with ${[...bytes.subarray(0, 4)].map((byte) => byte.toString(16).padStart(2, '0')).join(' ')}, ` +
        'expected 00 00, a type (08, 09, 0b, 0c, 0d or 0e) and a rank: not an IDX file',
    )
  if (rank < 1 || rank > MAX_RANK)
    fail('TL_BAD_FILE', `${label}: ${rank} dimensions, expected 1 to ${MAX_RANK}`)
  const headerBytes = 4 + 4 * rank
  if (bytes.byteLength < headerBytes)
    fail('TL_BAD_FILE', `${label}: ends inside its header of ${headerBytes} bytes (truncated?)`)
  const view = new DataView(bytes.buffer, bytes.byteOffset, headerBytes)
  const shape = Array.from({ length: rank }, (_, axis) => view.getUint32(4 + 4 * axis))
  const dataBytes = shape.includes(0) ? 0 : shape.reduce((product, size) => product * size, type.size)
  if (dataBytes > Number.MAX_SAFE_INTEGER)
    fail('TL_BAD_FILE', `${label}: shape [${shape.join(', ')}] is too large for any file`)
  return { dtype: type.dtype, shape, headerBytes, dataBytes }
}

/** Unzip in two steps: the header first, which bounds what the rest may take. */
function gunzipIdx(bytes: Uint8Array, label: string): Uint8Array {
  try {
    const start = gunzipSync(bytes.subarray(0, GZIP_PREFIX), { finishFlush: zlib.Z_SYNC_FLUSH })
    const { headerBytes, dataBytes, shape } = readHeader(start, label)
    if (dataBytes > bytes.byteLength * MAX_EXPANSION)
      fail(
        'TL_BAD_FILE',
        `${label}: shape [${shape.join(', ')}] takes ${dataBytes} bytes, more than ${bytes.byteLength} gzipped bytes can hold`,
      )
    return gunzipSync(bytes, { maxOutputLength: headerBytes + dataBytes + 1 })
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code?.startsWith('TL_')) throw error
    if (code === 'ERR_BUFFER_TOO_LARGE')
      return fail('TL_BAD_FILE', `${label}: holds more data than its header says`, error)
    const cause =
      code === 'Z_BUF_ERROR' ? 'the gzip data end too soon (truncated?)' : `damaged gzip data (${message})`
    return fail('TL_BAD_FILE', `${label}: ${cause}`, error)
  }
}

function fromBigEndian(dtype: IdxArray['dtype'], body: Uint8Array): IdxArray['data'] {
  if (dtype === 'u8') return body
  const { buffer, byteOffset, byteLength } = new Uint8Array(body) // a copy: swapping must not change the input
  const swap = Buffer.from(buffer, byteOffset, byteLength)
  switch (dtype) {
    case 'i8':
      return new Int8Array(buffer, byteOffset, byteLength)
    case 'i16':
      swap.swap16()
      return new Int16Array(buffer, byteOffset, byteLength / 2)
    case 'i32':
      swap.swap32()
      return new Int32Array(buffer, byteOffset, byteLength / 4)
    case 'f32':
      swap.swap32()
      return new Float32Array(buffer, byteOffset, byteLength / 4)
    case 'f64':
      swap.swap64()
      return new Float64Array(buffer, byteOffset, byteLength / 8)
  }
}
