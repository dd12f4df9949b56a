/** @file What every weight file is to its readers: named tensors, opened lazily, whatever the format on disk. */
import { fail } from '../base/index.ts'
import { decodeF32, isConvertible } from './convertDtype.ts'
import { quoted } from './header.ts'

/** One tensor of an open checkpoint. Nothing of it is in memory until `bytes` or `f32` is called. */
export interface CheckpointTensor {
  readonly name: string
  /** As the file names it, in the words of safetensors where it has one: 'F32', 'BF16', 'F8_E4M3'; 'Q4_1' of GGUF. */
  readonly dtype: string
  /** Sizes, slowest dimension first (row-major); empty for a scalar. */
  readonly shape: readonly number[]
  /** Bytes that it takes in the file. */
  readonly byteLength: number
  /** The stored bytes, row-major and little-endian, in memory of their own. Throws `TL_BAD_FILE`, `TL_IO`. */
  bytes(): Uint8Array
  /**
   * Elements `[start, start + count)` of the flattened tensor as f32 (default: all that follow), in memory of their own.
   * Throws `TL_BAD_ARGUMENT` for a range outside the tensor, `TL_UNSUPPORTED` for a dtype that has no number values here.
   */
  f32(start?: number, count?: number): Float32Array
  /** Where the stored bytes can be had at any place: fill `into` with those from byte `begin` on. */
  readInto?(begin: number, into: Uint8Array): void
  /** Where the stored bytes lie in a file one after the other, if they do: who knows it can do without the header. */
  readonly place?: TensorPlace
}

/** A run of bytes in a file. */
export interface TensorPlace {
  readonly path: string
  /** Of the first byte. */
  readonly offset: number
}

/** An open checkpoint: a file or a folder of shards. Only headers are in memory; call `close()` when done. */
export interface Checkpoint {
  /** The file or folder. */
  readonly path: string
  /** 'safetensors', 'safetensors (3 shards)', 'gguf', 'pytorch', 'npz', 'npy', …: for people. */
  readonly format: string
  readonly tensors: ReadonlyMap<string, CheckpointTensor>
  /** What the file says beside its tensors. */
  readonly metadata: Readonly<Record<string, unknown>>
  close(): void
}

/** Number of elements of a shape that was checked when the file was opened. */
export const elements = (shape: readonly number[]): number =>
  shape.reduce((product, size) => product * size, 1)

/** Check an element range against a tensor; returns its end. Throws `TL_BAD_ARGUMENT`. */
export function rangeEnd(tensor: { name: string; shape: readonly number[] }, start: number, count?: number) {
  const total = elements(tensor.shape)
  const end = count === undefined ? total : start + count
  if (!(Number.isInteger(start) && Number.isInteger(end) && start >= 0 && start <= end && end <= total))
    fail('TL_BAD_ARGUMENT', `tensor ${quoted(tensor.name)}: elements [${start}, ${end}), it has ${total}`)
  return end
}

/** A tensor of unpacked numbers, made of its header and a way to read bytes `[begin, end)` of its data. */
export function plainTensor(
  header: { name: string; dtype: string; shape: readonly number[]; byteLength: number },
  read: (begin: number, end: number) => Uint8Array,
  readInto?: (begin: number, into: Uint8Array) => void,
  place?: TensorPlace,
): CheckpointTensor {
  const { name, dtype, shape, byteLength } = header
  return {
    name,
    dtype,
    shape,
    byteLength,
    bytes: () => read(0, byteLength),
    ...(readInto ? { readInto } : {}),
    ...(place ? { place } : {}),
    f32(start = 0, count) {
      if (!isConvertible(dtype))
        fail(
          'TL_UNSUPPORTED',
          `tensor ${quoted(name)}: values of dtype ${dtype} cannot be decoded, only copied`,
        )
      const end = rangeEnd(header, start, count)
      const width = byteLength / Math.max(1, elements(shape))
      return decodeF32(read(start * width, end * width), dtype)
    },
  }
}
