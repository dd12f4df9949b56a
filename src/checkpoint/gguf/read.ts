/**
 * @file GGUF, the file format of llama.cpp: versions 2 and 3, little-endian. The header is checked against the file's
 * size before any tensor is read; tensors are read and decoded when asked for.
 * Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
 */
import { fail } from '../../base/index.ts'
import { type Checkpoint, type CheckpointTensor, rangeEnd } from '../checkpoint.ts'
import { elementCount } from '../dtypes.ts'
import { quoted } from '../header.ts'
import { type ByteSource, fileSource, memorySource } from '../source.ts'
import { type Cursor, cursorOf } from './cursor.ts'
import { fieldReader, type GgufField, plainValues } from './fields.ts'
import { dequantize, type GgufType, ggufTypes, typeOfCode } from './types.ts'

/** An open GGUF file. `metadata` holds plain values (arrays of numbers as typed arrays), `fields` the same with types. */
export interface GgufFile extends Checkpoint {
  readonly version: number
  /** Tensors begin at multiples of this many bytes. */
  readonly alignment: number
  /** Byte of the file at which the tensors' data begin. */
  readonly dataStart: number
  readonly fields: ReadonlyMap<string, GgufField>
}

/** Dimensions of a tensor; ggml itself stops at 4. */
const MAX_RANK = 8
/** More tensors or metadata keys than any model has; each takes more memory than it does in the file. */
const MAX_ENTRIES = 1 << 18
const DEFAULT_ALIGNMENT = 32
const MAGIC = 0x46554747

type Place = { name: string; type: GgufType; shape: number[]; offset: number; size: number }

/** Is this open checkpoint a GGUF file, whole or in parts? */
export const isGguf = (checkpoint: Checkpoint): checkpoint is GgufFile => 'fields' in checkpoint

/** Open one file: header only, whatever its size. Shapes are row-major. Throws `TL_BAD_FILE`, `TL_UNSUPPORTED`, `TL_IO`. */
export function openGgufPart(path: string): GgufFile {
  const source = fileSource(path)
  try {
    return openSource(source)
  } catch (error) {
    source.close()
    throw error
  }
}

/** The same from bytes in memory; `label` names them in messages. */
export const parseGguf = (bytes: Uint8Array, label = 'gguf'): GgufFile =>
  openSource(memorySource(bytes, label))

function openSource(source: ByteSource): GgufFile {
  const { label } = source
  const cursor = cursorOf(source)
  const version = checkedVersion(cursor, label)
  const tensorCount = entries(cursor, 'the number of tensors', label)
  const fieldCount = entries(cursor, 'the number of metadata keys', label)
  const fields = readFields(cursor, fieldCount, label)
  const places: Place[] = []
  for (let i = 0; i < tensorCount; i++) places.push(readPlace(cursor, label))
  const alignment = alignmentOf(fields, label)
  const dataStart = Math.ceil(cursor.at() / alignment) * alignment
  checkPlaces(places, alignment, source.byteLength - dataStart, label)
  return {
    path: label,
    format: 'gguf',
    version,
    alignment,
    dataStart,
    fields,
    metadata: plainValues(fields),
    tensors: new Map(places.map((place) => [place.name, lazyTensor(source, place, dataStart)])),
    close: source.close,
  }
}

function checkedVersion(cursor: Cursor, label: string): number {
  if (cursor.left() < 24) fail('TL_BAD_FILE', `${label}: ${cursor.left()} bytes, a GGUF file has at least 24`)
  if (cursor.u32('the magic') !== MAGIC)
    fail('TL_BAD_FILE', `${label}: does not begin with "GGUF": not a GGUF file`)
  const version = cursor.u32('the version')
  if (version === 2 || version === 3) return version
  if (version > 0 && (version & 0xffff) === 0)
    return fail(
      'TL_UNSUPPORTED',
      `${label}: a big-endian GGUF file: convert it to little-endian (gguf-convert-endian)`,
    )
  return fail(
    'TL_UNSUPPORTED',
    `${label}: GGUF version ${version}, expected 2 or 3: convert the file with a current llama.cpp`,
  )
}

/** A 64-bit count from the file's head. Each thing counted takes at least 13 bytes, a key with one byte of value. */
function entries(cursor: Cursor, what: string, label: string): number {
  const found = cursor.count(what, 13)
  if (found > MAX_ENTRIES)
    fail('TL_BAD_FILE', `${label}: ${what} is ${found}, expected at most ${MAX_ENTRIES}`)
  return found
}

function readFields(cursor: Cursor, count: number, label: string): Map<string, GgufField> {
  const fields = new Map<string, GgufField>()
  const read = fieldReader(cursor, label)
  for (let i = 0; i < count; i++) {
    const key = cursor.text(`metadata key ${i}`)
    if (fields.has(key))
      fail('TL_BAD_FILE', `${label}: metadata key ${quoted(key)} stands in the header twice`)
    fields.set(key, read(key))
  }
  return fields
}

function readPlace(cursor: Cursor, label: string): Place {
  const name = cursor.text('the name of a tensor')
  const what = `tensor ${quoted(name)}`
  const wrong = (problem: string): never => fail('TL_BAD_FILE', `${label}: ${what}: ${problem}`)
  const rank = cursor.u32(`the rank of ${what}`)
  if (rank > MAX_RANK) wrong(`${rank} dimensions, expected at most ${MAX_RANK}`)
  const fastestFirst: number[] = []
  for (let i = 0; i < rank; i++) {
    const size = cursor.u64(`a dimension of ${what}`)
    fastestFirst.push(
      typeof size === 'number' ? size : wrong(`a dimension of ${size}, too large for any file`),
    )
  }
  const code = cursor.u32(`the type of ${what}`)
  const type = typeOfCode(code)
  if (!type)
    return wrong(`unknown element type ${code} (known: ${ggufTypes.map((row) => row.name).join(', ')})`)
  const offset = cursor.u64(`the offset of ${what}`)
  if (typeof offset === 'bigint') return wrong(`an offset of ${offset}, beyond any file`)
  const shape = fastestFirst.reverse()
  const row = shape.at(-1) ?? 1
  if (row % type.blockSize !== 0)
    wrong(`rows of ${row} elements, ${type.name} comes in blocks of ${type.blockSize} along a row`)
  const count = elementCount(shape)
  const size = count === undefined ? Number.NaN : (count / type.blockSize) * type.blockBytes
  if (!Number.isSafeInteger(size)) wrong(`shape [${shape.join(', ')}] is too large for any file`)
  return { name, type, shape, offset, size }
}

function alignmentOf(fields: ReadonlyMap<string, GgufField>, label: string): number {
  const field = fields.get('general.alignment')
  if (!field) return DEFAULT_ALIGNMENT
  const { type, value } = field
  if (
    type === 'uint32' &&
    typeof value === 'number' &&
    value > 0 &&
    value <= 2 ** 30 &&
    (value & (value - 1)) === 0
  )
    return value
  return fail(
    'TL_BAD_FILE',
    `${label}: general.alignment: expected a power of two as uint32, got ${type === 'array' ? 'an array' : `${type} ${value}`}`,
  )
}

/** Each tensor lies in the file, begins where the alignment allows, and shares no byte with another. */
function checkPlaces(places: Place[], alignment: number, dataBytes: number, label: string): void {
  const names = new Set<string>()
  for (const { name, offset, size } of places) {
    const wrong = (problem: string): never =>
      fail('TL_BAD_FILE', `${label}: tensor ${quoted(name)}${problem}`)
    if (names.has(name)) wrong(' stands in the header twice')
    names.add(name)
    if (offset % alignment !== 0) wrong(`: begins at byte ${offset} of the data, no multiple of ${alignment}`)
    if (size > 0 && offset + size > dataBytes)
      wrong(
        `: ends at byte ${offset + size} of the data, of which the file has ${Math.max(0, dataBytes)} (truncated?)`,
      )
  }
  const sorted = places.filter(({ size }) => size > 0).sort((a, b) => a.offset - b.offset)
  for (let i = 1; i < sorted.length; i++) {
    const [before, here] = [sorted[i - 1]!, sorted[i]!]
    if (before.offset + before.size > here.offset)
      fail('TL_BAD_FILE', `${label}: tensors ${quoted(before.name)} and ${quoted(here.name)} overlap`)
  }
}

function lazyTensor(
  source: ByteSource,
  { name, type, shape, offset, size }: Place,
  dataStart: number,
): CheckpointTensor {
  const readInto = (begin: number, into: Uint8Array): void =>
    source.readInto(dataStart + offset + begin, into)
  function read(begin: number, end: number): Uint8Array {
    const target = new Uint8Array(end - begin)
    readInto(begin, target)
    return target
  }
  return {
    name,
    dtype: type.name,
    shape,
    byteLength: size,
    bytes: () => read(0, size),
    readInto,
    f32(start = 0, count) {
      return dequantize(type, start, rangeEnd({ name, shape }, start, count), read)
    },
  }
}
