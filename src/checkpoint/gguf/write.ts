/** @file Writing GGUF version 3: everything is checked first, then streamed into a temporary file and renamed. */
import { writeAtomically } from '../../base/files.ts'
import { didYouMean, fail } from '../../base/index.ts'
import { elementCount } from '../dtypes.ts'
import { quoted } from '../header.ts'
import { encodeField, encodeText, fieldOf, type GgufField, u32, u64 } from './fields.ts'
import { type BlockEncoder, encoders } from './quantize.ts'
import { type GgufType, ggufTypes, typeOfName } from './types.ts'

/**
 * A tensor to write, its shape row-major. Either f32 `values`, at once or by element range (the `f32` of an open
 * checkpoint's tensor fits), encoded as F32, F16, BF16 or Q8_0; or `bytes` that are already of `dtype`, whatever it is.
 */
export type GgufTensor = {
  name: string
  dtype: string
  shape: readonly number[]
} & (
  | { values: Float32Array | ((start: number, count: number) => Float32Array) }
  | { bytes: Uint8Array | (() => Uint8Array) }
)

/** Metadata to write: fields with their types (`fields` of an open file), or plain values (see `fieldOf` for their types). */
export type GgufMetadata = ReadonlyMap<string, GgufField> | Readonly<Record<string, unknown>>

type Planned = GgufTensor & { type: GgufType; count: number; size: number; offset: number }

/** Elements encoded at a time; a multiple of every block. */
const CHUNK = 1 << 18

/**
 * Write a GGUF file atomically, over what is there, tensors in the order given, a megabyte at a time. `general.alignment` in the metadata is
 * obeyed. The same input gives the same bytes. Throws `TL_BAD_ARGUMENT`, `TL_SHAPE_MISMATCH`, `TL_NOT_FINITE`, `TL_IO`.
 */
export function writeGguf(path: string, tensors: Iterable<GgufTensor>, metadata: GgufMetadata = {}): void {
  writeAtomically(path, ggufChunks(tensors, metadata))
}

/** The same file in chunks, for another way to write it. Throws as `writeGguf` does before the first. */
export const ggufChunks = (
  tensors: Iterable<GgufTensor>,
  metadata: GgufMetadata = {},
): Iterable<Uint8Array> => fileChunks(plan(tensors, metadata))

/** The same file as bytes in memory. */
export const encodeGguf = (tensors: Iterable<GgufTensor>, metadata: GgufMetadata = {}): Uint8Array =>
  new Uint8Array(Buffer.concat([...fileChunks(plan(tensors, metadata))]))

type Plan = { head: Uint8Array; tensors: Planned[]; alignment: number }

const padded = (size: number, alignment: number): number => Math.ceil(size / alignment) * alignment

function plan(tensors: Iterable<GgufTensor>, metadata: GgufMetadata): Plan {
  const pairs: [string, GgufField][] =
    metadata instanceof Map
      ? [...metadata]
      : Object.entries(metadata).map(([key, value]) => [key, fieldOf(value, `metadata ${quoted(key)}`)])
  const alignment = checkedAlignment(pairs)
  const list: Planned[] = []
  const names = new Set<string>()
  let offset = 0
  for (const tensor of tensors) {
    if (names.has(tensor.name)) fail('TL_BAD_ARGUMENT', `tensor ${quoted(tensor.name)} is given twice`)
    names.add(tensor.name)
    const planned = { ...tensor, ...sizeOf(tensor), offset }
    list.push(planned)
    offset += padded(planned.size, alignment)
  }
  const parts = [
    new TextEncoder().encode('GGUF'),
    u32(3),
    u64(list.length),
    u64(pairs.length),
    ...pairs.flatMap(([key, field]) => [encodeText(key), ...encodeField(field, `metadata ${quoted(key)}`)]),
    ...list.flatMap(({ name, shape, type, offset }) => [
      encodeText(name),
      u32(shape.length),
      ...[...shape].reverse().map(u64),
      u32(type.code),
      u64(offset),
    ]),
  ]
  const text = Buffer.concat(parts)
  const head = new Uint8Array(padded(text.byteLength, alignment))
  head.set(text)
  return { head, tensors: list, alignment }
}

function checkedAlignment(pairs: [string, GgufField][]): number {
  const field = pairs.find(([key]) => key === 'general.alignment')?.[1]
  if (!field) return 32
  const { type, value } = field
  if (
    type === 'uint32' &&
    typeof value === 'number' &&
    value >= 8 &&
    value <= 65536 &&
    (value & (value - 1)) === 0
  )
    return value
  return fail(
    'TL_BAD_ARGUMENT',
    `metadata "general.alignment": expected a power of two from 8 to 65536, got ${value}`,
  )
}

function sizeOf(tensor: GgufTensor): { type: GgufType; count: number; size: number } {
  const { name, dtype, shape } = tensor
  const what = `tensor ${quoted(name)}`
  const type = typeOfName(dtype)
  if (!type || ('values' in tensor && !Object.hasOwn(encoders, dtype))) {
    const choices = 'values' in tensor ? Object.keys(encoders) : ggufTypes.map((row) => row.name)
    return fail('TL_BAD_ARGUMENT', `${what}: cannot be written as "${dtype}", ${didYouMean(dtype, choices)}`)
  }
  if (shape.some((size) => !Number.isSafeInteger(size) || size < 0) || shape.length > 4)
    fail('TL_BAD_ARGUMENT', `${what}: shape [${shape.join(', ')}], expected at most 4 integers >= 0`)
  const row = shape.at(-1) ?? 1
  if (row % type.blockSize !== 0)
    fail(
      'TL_BAD_ARGUMENT',
      `${what}: rows of ${row} elements, ${dtype} comes in blocks of ${type.blockSize}: write this one as F16 or F32`,
    )
  const count = elementCount(shape)
  if (count === undefined || count > 2 ** 46)
    return fail('TL_BAD_ARGUMENT', `${what}: shape [${shape.join(', ')}] is too large for any file`)
  const size = (count / type.blockSize) * type.blockBytes
  if ('values' in tensor && typeof tensor.values !== 'function' && tensor.values.length !== count)
    fail(
      'TL_SHAPE_MISMATCH',
      `${what}: shape [${shape.join(', ')}] has ${count} elements, ${tensor.values.length} values were given`,
    )
  if ('bytes' in tensor && typeof tensor.bytes !== 'function') checkBytes(tensor.bytes, size, what)
  return { type, count, size }
}

function checkBytes(bytes: Uint8Array, size: number, what: string): Uint8Array {
  if (bytes.byteLength !== size)
    fail('TL_SHAPE_MISMATCH', `${what}: takes ${size} bytes, ${bytes.byteLength} were given`)
  return bytes
}

function* fileChunks({ head, tensors, alignment }: Plan): Generator<Uint8Array> {
  yield head
  for (const tensor of tensors) {
    yield* tensorChunks(tensor)
    const padding = padded(tensor.size, alignment) - tensor.size
    if (padding > 0) yield new Uint8Array(padding)
  }
}

function* tensorChunks(tensor: Planned): Generator<Uint8Array> {
  const what = `tensor ${quoted(tensor.name)}`
  if ('bytes' in tensor) {
    const { bytes, size } = tensor
    yield checkBytes(typeof bytes === 'function' ? bytes() : bytes, size, what)
    return
  }
  const encode: BlockEncoder = encoders[tensor.type.name as keyof typeof encoders]
  const { values, count } = tensor
  for (let at = 0; at < count; at += CHUNK) {
    const wanted = Math.min(CHUNK, count - at)
    const part = typeof values === 'function' ? values(at, wanted) : values.subarray(at, at + wanted)
    if (part.length !== wanted)
      fail('TL_SHAPE_MISMATCH', `${what}: ${wanted} values were asked for at ${at}, ${part.length} came`)
    yield encode(part, what)
  }
}
