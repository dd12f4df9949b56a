/** @file Tensors under another name and in another order of rows or elements, made as they are read: nothing is kept. */
import { fail } from '../../base/index.ts'
import {
  type CheckpointTensor,
  elementBytes,
  elements,
  isConvertible,
  rangeEnd,
} from '../../checkpoint/index.ts'

/** The same tensor by another name. */
export const renamed = (source: CheckpointTensor, name: string): CheckpointTensor => ({
  ...source,
  name,
  // `f32` and `bytes` of a source may be methods that know it
  bytes: () => source.bytes(),
  f32: (start, count) => source.f32(start, count),
})

/**
 * Rows of each head in another order: row r of a head is row `order[r]` of the same head in the source. Rows are whole blocks
 * in every format, so the stored bytes move unchanged.
 */
export function withRowsOf(
  source: CheckpointTensor,
  name: string,
  heads: number,
  order: readonly number[],
): CheckpointTensor {
  const { shape, dtype, byteLength } = source
  const rows = shape[0] ?? 0
  const headRows = order.length
  if (rows !== heads * headRows)
    return fail(
      'TL_BAD_FILE',
      `tensor "${source.name}": ${rows} rows, expected ${heads} heads of ${headRows}: the configuration is of another model`,
    )
  const width = elements(shape) / rows
  const perHead = headRows * width
  function f32(start = 0, count?: number): Float32Array {
    const end = rangeEnd({ name, shape }, start, count)
    const out = new Float32Array(end - start)
    for (let head = Math.floor(start / perHead); head * perHead < end; head++) {
      const own = source.f32(head * perHead, perHead)
      for (const [row, from] of order.entries()) {
        const at = head * perHead + row * width
        const [first, last] = [Math.max(at, start), Math.min(at + width, end)]
        if (first >= last) continue
        const shift = from * width - at
        out.set(own.subarray(first + shift, last + shift), first - start)
      }
    }
    return out
  }
  function bytes(): Uint8Array {
    const stored = source.bytes()
    const out = new Uint8Array(stored.byteLength)
    const rowBytes = stored.byteLength / rows
    for (let head = 0; head < heads; head++)
      for (const [row, from] of order.entries()) {
        const at = (head * headRows + from) * rowBytes
        out.set(stored.subarray(at, at + rowBytes), (head * headRows + row) * rowBytes)
      }
    return out
  }
  return { name, dtype, shape, byteLength, f32, bytes }
}

/** The one matrix that was transposed last: a tensor is read a piece at a time, and each piece needs all of it. */
export interface Transposed {
  name?: string
  values?: Float32Array
}

/** A matrix with its axes exchanged. Blocks run along rows, so packed ones become f32. */
export function transposed(source: CheckpointTensor, name: string, last: Transposed): CheckpointTensor {
  const [rows, columns] = source.shape as [number, number]
  const shape = [columns, rows]
  const dtype = isConvertible(source.dtype) ? source.dtype : 'F32'
  const size = elementBytes(dtype)
  const whole = (): Float32Array => {
    if (last.name === name && last.values) return last.values
    last.name = name
    last.values = turned(source.f32(), rows, columns, 1, Float32Array)
    return last.values
  }
  return {
    name,
    dtype,
    shape,
    byteLength: rows * columns * size,
    f32: (start = 0, count) => whole().slice(start, rangeEnd({ name, shape }, start, count)),
    bytes: () => {
      if (dtype === source.dtype) return turned(source.bytes(), rows, columns, size, Uint8Array)
      const { buffer, byteOffset, byteLength } = whole()
      return new Uint8Array(buffer, byteOffset, byteLength).slice()
    },
  }
}

/** Elements of `size` entries each, in tiles, so that neither side leaves the cache. */
function turned<A extends Float32Array | Uint8Array>(
  from: A,
  rows: number,
  columns: number,
  size: number,
  make: new (n: number) => A,
): A {
  const out = new make(from.length)
  const tile = 32
  for (let r0 = 0; r0 < rows; r0 += tile)
    for (let c0 = 0; c0 < columns; c0 += tile)
      for (let r = r0; r < Math.min(rows, r0 + tile); r++)
        for (let c = c0; c < Math.min(columns, c0 + tile); c++)
          for (let k = 0; k < size; k++) out[(c * rows + r) * size + k] = from[(r * columns + c) * size + k]!
  return out
}

/** The same numbers stored as F32. */
export const asF32 = (source: CheckpointTensor): CheckpointTensor => ({
  name: source.name,
  dtype: 'F32',
  shape: source.shape,
  byteLength: 4 * elements(source.shape),
  f32: (start, count) => source.f32(start, count),
  bytes: () => {
    const { buffer, byteOffset, byteLength } = source.f32()
    return new Uint8Array(buffer, byteOffset, byteLength)
  },
})

/** A tensor of values that no file holds. */
export const ofValues = (name: string, values: Float32Array): CheckpointTensor => ({
  name,
  dtype: 'F32',
  shape: [values.length],
  byteLength: values.byteLength,
  f32: (start = 0, count) => values.slice(start, rangeEnd({ name, shape: [values.length] }, start, count)),
  bytes: () => new Uint8Array(values.slice().buffer),
})
