/** @file Reading safetensors: the header alone, one tensor at a time, a byte range, or everything. */
import { didYouMean, fail } from '../base/index.ts'
import { type ArrayOf, type StoredDtype, viewAs } from './dtypes.ts'
import { headerLength, parseHeader, quoted, type SafetensorsHeader, type TensorEntry } from './header.ts'
import { allocate, type ByteSource, fileSource, memorySource } from './source.ts'

/**
 * A tensor in memory: elements in row-major order, `data` the typed array of `dtype` (raw bytes for types we do not
 * compute with). Testing `dtype` narrows `data`.
 */
export type StoredTensor = {
  [D in StoredDtype]: { dtype: D; shape: number[]; data: ArrayOf<D> }
}[StoredDtype]

/** Tensors by name, and the file's free-form text metadata. */
export type StoredTensors = { tensors: Map<string, StoredTensor>; metadata: Record<string, string> }

/** An open safetensors file. Nothing but the header is in memory until asked for; call `close()` when done. */
export type SafetensorsFile = {
  path: string
  header: SafetensorsHeader
  metadata: Record<string, string>
  /** Names in the order of the data. */
  names: string[]
  /** Dtype, shape and place of one tensor. Throws `TL_BAD_ARGUMENT`, with the nearest name, when there is none. */
  entry(name: string): TensorEntry
  /** Read one tensor into memory of its own. */
  read(name: string): StoredTensor
  /** Read bytes `[begin, end)` of one tensor's data (whole by default). */
  readBytes(name: string, begin?: number, end?: number): Uint8Array<ArrayBuffer>
  /** Fill `into` with bytes of one tensor's data from `begin` on. */
  readInto(name: string, begin: number, into: Uint8Array): void
  /** One tensor's bytes in pieces of at most `chunkBytes` (1 MiB), for copying without holding it whole. */
  chunks(name: string, chunkBytes?: number): Generator<Uint8Array<ArrayBuffer>>
  close(): void
}

/** Read and check a file's header only: a few kilobytes whatever the file's size. Throws `TL_BAD_FILE`, `TL_IO`. */
export function readSafetensorsHeader(path: string): SafetensorsHeader {
  const source = fileSource(path)
  try {
    return headerOf(source)
  } finally {
    source.close()
  }
}

/** Open a file for reading tensor by tensor. The header is checked first. Throws `TL_BAD_FILE`, `TL_IO`. */
export function openSafetensors(path: string): SafetensorsFile {
  const source = fileSource(path)
  try {
    return openSource(source)
  } catch (error) {
    source.close()
    throw error
  }
}

/** Read every tensor of a file, each into memory of its own. Throws `TL_BAD_FILE`, `TL_IO`. */
export function readSafetensors(path: string): StoredTensors {
  const file = openSafetensors(path)
  try {
    return everything(file)
  } finally {
    file.close()
  }
}

/** The same from bytes in memory; `label` names them in messages. */
export const parseSafetensors = (bytes: Uint8Array, label = 'safetensors'): StoredTensors =>
  everything(openSource(memorySource(bytes, label)))

function headerOf(source: ByteSource): SafetensorsHeader {
  const lead = new Uint8Array(Math.min(8, source.byteLength))
  source.readInto(0, lead)
  const text = new Uint8Array(headerLength(lead, source.byteLength, source.label))
  source.readInto(8, text)
  return parseHeader(text, source.byteLength, source.label)
}

function openSource(source: ByteSource): SafetensorsFile {
  const header = headerOf(source)
  const { label } = source

  function entry(name: string): TensorEntry {
    const found = header.tensors.get(name)
    if (found) return found
    const names = [...header.tensors.keys()]
    const few = names.length > 12 ? [...names.slice(0, 12), `… ${names.length - 12} more`] : names
    return fail('TL_BAD_ARGUMENT', `${label}: no tensor ${quoted(name)} ${didYouMean(name, few)}`)
  }
  function checkRange(name: string, begin: number, end: number): void {
    const size = entry(name).end - entry(name).begin
    if (!(Number.isInteger(begin) && Number.isInteger(end) && begin >= 0 && begin <= end && end <= size))
      fail('TL_BAD_ARGUMENT', `${label}: tensor ${quoted(name)}: bytes [${begin}, ${end}), it has ${size}`)
  }
  function readInto(name: string, begin: number, into: Uint8Array): void {
    checkRange(name, begin, begin + into.byteLength)
    source.readInto(header.dataStart + entry(name).begin + begin, into)
  }
  function readBytes(name: string, begin = 0, end?: number): Uint8Array<ArrayBuffer> {
    const place = entry(name)
    const stop = end ?? place.end - place.begin
    checkRange(name, begin, stop)
    const target = allocate(stop - begin, `${label}: tensor ${quoted(name)}`)
    source.readInto(header.dataStart + place.begin + begin, target)
    return target
  }
  function read(name: string): StoredTensor {
    const { dtype, shape } = entry(name)
    const data = viewAs(dtype, readBytes(name))
    if (dtype === 'BOOL') {
      const bad = (data as Uint8Array).findIndex((value) => value > 1)
      if (bad >= 0)
        fail(
          'TL_BAD_FILE',
          `${label}: tensor ${quoted(name)}: BOOL element ${bad} is ${data[bad]}, expected 0 or 1`,
        )
    }
    return { dtype, shape: [...shape], data } as StoredTensor
  }
  function* chunks(name: string, chunkBytes = 1 << 20) {
    const { begin, end } = entry(name)
    if (!(chunkBytes >= 1)) fail('TL_BAD_ARGUMENT', `chunkBytes: expected at least 1, got ${chunkBytes}`)
    for (let at = 0; at < end - begin; at += chunkBytes)
      yield readBytes(name, at, Math.min(at + chunkBytes, end - begin))
  }
  return {
    path: label,
    header,
    metadata: header.metadata,
    names: [...header.tensors.keys()],
    entry,
    read,
    readBytes,
    readInto,
    chunks,
    close: source.close,
  }
}

const everything = (file: SafetensorsFile): StoredTensors => ({
  tensors: new Map(file.names.map((name) => [name, file.read(name)])),
  metadata: file.metadata,
})
