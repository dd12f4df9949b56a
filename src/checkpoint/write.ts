/** @file Writing safetensors: everything is checked first, then streamed into a temporary file and renamed. */
import { writeAtomically } from '../base/files.ts'
import { didYouMean, fail } from '../base/index.ts'
import {
  arrayConstructor,
  dtypeRank,
  isStoredDtype,
  type StoredDtype,
  storedBytes,
  storedDtypes,
} from './dtypes.ts'
import { MAX_HEADER_BYTES, quoted } from './header.ts'

/**
 * A tensor to write. `data` is the typed array of `dtype`, or its raw little-endian bytes in a `Uint8Array`, or a
 * function that yields those bytes in chunks when their turn comes (so a file can exceed memory).
 */
export type TensorToWrite = {
  dtype: StoredDtype
  shape: readonly number[]
  data: ArrayBufferView | (() => Iterable<Uint8Array>)
}

/** Tensors by name, in any of the usual containers. Their order does not matter: the file's is canonical. */
export type TensorsToWrite =
  | ReadonlyMap<string, TensorToWrite>
  | Iterable<readonly [string, TensorToWrite]>
  | { readonly [name: string]: TensorToWrite }

/**
 * Write tensors and text metadata to `path` atomically, over what is there, in chunks of at most 8 MiB. The same tensors give the same
 * bytes, in the order the `safetensors` library uses (widest dtype first, then by name).
 * Throws `TL_BAD_ARGUMENT` or `TL_DTYPE_MISMATCH` before the file is touched, `TL_IO` when writing fails.
 */
export function writeSafetensors(
  path: string,
  tensors: TensorsToWrite,
  metadata: Record<string, string> = {},
): void {
  writeAtomically(path, safetensorsChunks(tensors, metadata))
}

/** The same file in chunks, for another way to write it. Throws as `writeSafetensors` does before the first. */
export const safetensorsChunks = (
  tensors: TensorsToWrite,
  metadata: Record<string, string> = {},
): Iterable<Uint8Array> => fileChunks(planFile(tensors, metadata))

/** The same file as bytes in memory. */
export function encodeSafetensors(
  tensors: TensorsToWrite,
  metadata: Record<string, string> = {},
): Uint8Array {
  const plan = planFile(tensors, metadata)
  const size = plan.tensors.reduce((sum, tensor) => sum + tensor.size, plan.head.byteLength)
  const whole = new Uint8Array(size)
  let at = 0
  for (const chunk of fileChunks(plan)) {
    whole.set(chunk, at)
    at += chunk.byteLength
  }
  return whole
}

type Planned = TensorToWrite & { name: string; size: number }
type Plan = { head: Uint8Array; tensors: Planned[] }

function planFile(tensors: TensorsToWrite, metadata: Record<string, string>): Plan {
  const list: Planned[] = []
  const seen = new Set<string>()
  for (const [name, tensor] of Symbol.iterator in tensors ? tensors : Object.entries(tensors)) {
    if (seen.has(name)) fail('TL_BAD_ARGUMENT', `tensor ${quoted(name)} is given twice`)
    seen.add(name)
    list.push({ ...tensor, name, size: checkedSize(name, tensor) })
  }
  list.sort((a, b) => dtypeRank(b.dtype) - dtypeRank(a.dtype) || compareUtf8(a.name, b.name))
  return { head: encodeHead(list, metadata), tensors: list }
}

/** The library compares names by their UTF-8 bytes, which differs from JavaScript's order beyond the BMP. */
const compareUtf8 = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b))

/** Bytes that a tensor takes, after all that can be wrong with it was refused. */
export function checkedSize(name: string, { dtype, shape, data }: TensorToWrite): number {
  const what = `tensor ${quoted(name)}`
  if (name === '__metadata__')
    fail('TL_BAD_ARGUMENT', `${what}: the format keeps this name for itself; rename it`)
  if (/\p{Surrogate}/u.test(name)) fail('TL_BAD_ARGUMENT', `${what}: the name is not valid Unicode`)
  if (!isStoredDtype(dtype))
    fail('TL_BAD_ARGUMENT', `${what}: unknown dtype "${dtype}", ${didYouMean(String(dtype), storedDtypes)}`)
  const bad = shape.find((size) => !Number.isSafeInteger(size) || size < 0)
  if (bad !== undefined)
    fail('TL_BAD_ARGUMENT', `${what}: shape [${shape.join(', ')}], expected integers >= 0`)
  const size = storedBytes(dtype, shape)
  if (size === undefined)
    return fail(
      'TL_BAD_ARGUMENT',
      `${what}: shape [${shape.join(', ')}] of ${dtype} does not fill whole bytes, or too many`,
    )
  if (typeof data === 'function') return size
  const expected = arrayConstructor(dtype)
  if (!(data instanceof expected) && !(data instanceof Uint8Array))
    fail(
      'TL_DTYPE_MISMATCH',
      `${what}: ${dtype} takes a ${expected.name} (or raw bytes in a Uint8Array), got a ${data?.constructor?.name}`,
    )
  if (data.byteLength !== size)
    fail(
      'TL_SHAPE_MISMATCH',
      `${what}: shape [${shape.join(', ')}] of ${dtype} takes ${size} bytes, the data have ${data.byteLength}`,
    )
  return size
}

/** Length and JSON text, padded with spaces so that the data begin at a multiple of 8. */
export function encodeHead(
  tensors: readonly { name: string; dtype: StoredDtype; shape: readonly number[]; size: number }[],
  metadata: Record<string, string>,
): Uint8Array {
  const pieces: string[] = []
  const pairs = Object.entries(metadata)
  for (const [key, value] of pairs)
    if (typeof value !== 'string' || /\p{Surrogate}/u.test(key + value))
      fail(
        'TL_BAD_ARGUMENT',
        `metadata ${quoted(key)}: expected text, got ${typeof value === 'string' ? 'invalid Unicode' : typeof value}`,
      )
  if (pairs.length)
    pieces.push(
      `"__metadata__":{${pairs.map(([k, v]) => `${JSON.stringify(k)}:${JSON.stringify(v)}`).join(',')}}`,
    )
  let offset = 0
  for (const { name, dtype, shape, size } of tensors) {
    pieces.push(
      `${JSON.stringify(name)}:{"dtype":"${dtype}","shape":[${shape.join(',')}],"data_offsets":[${offset},${offset + size}]}`,
    )
    offset += size
  }
  const text = new TextEncoder().encode(`{${pieces.join(',')}}`)
  const padded = Math.ceil(text.byteLength / 8) * 8
  if (padded > MAX_HEADER_BYTES)
    fail(
      'TL_BAD_ARGUMENT',
      `the header takes ${padded} bytes, the format allows ${MAX_HEADER_BYTES}: write several files`,
    )
  const head = new Uint8Array(8 + padded).fill(0x20)
  new DataView(head.buffer).setBigUint64(0, BigInt(padded), true)
  head.set(text, 8)
  return head
}

function* fileChunks({ head, tensors }: Plan, chunkBytes = 1 << 23): Generator<Uint8Array> {
  yield head
  for (const { name, data, size } of tensors) {
    if (typeof data !== 'function') {
      const view = new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
      for (let at = 0; at < size; at += chunkBytes) yield view.subarray(at, at + chunkBytes)
      continue
    }
    let written = 0
    for (const chunk of data()) {
      written += chunk.byteLength
      if (written > size) break
      yield chunk
    }
    if (written !== size)
      fail(
        'TL_SHAPE_MISMATCH',
        `tensor ${quoted(name)}: ${size} bytes announced, its chunks gave ${written > size ? 'more' : written}`,
      )
  }
}
