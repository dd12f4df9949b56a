/**
 * @file NumPy's `.npy` arrays and `.npz` archives as checkpoints: numbers and truth values only. Object arrays hold pickles,
 * which can run programs, and are refused. Format: numpy.lib.format, versions 1.0 to 3.0.
 */
import { fail } from '../base/index.ts'
import { type Checkpoint, type CheckpointTensor, elements, rangeEnd } from './checkpoint.ts'
import { decodeF32, elementBytes, isConvertible } from './convertDtype.ts'
import { elementCount } from './dtypes.ts'
import { quoted } from './header.ts'
import { type ByteSource, fileSource } from './source.ts'
import { readZip, readZipEntry, type ZipEntry } from './zip.ts'

/** NumPy's own bound on a header it reads without being asked to trust the file is 10,000; ours allows long dtypes. */
const MAX_HEADER = 1 << 16
const MAX_RANK = 64

/** NumPy's type letters and sizes, and our names. */
const DTYPES: Readonly<Record<string, string>> = {
  f8: 'F64',
  f4: 'F32',
  f2: 'F16',
  i8: 'I64',
  i4: 'I32',
  i2: 'I16',
  i1: 'I8',
  u8: 'U64',
  u4: 'U32',
  u2: 'U16',
  u1: 'U8',
  b1: 'BOOL',
  c8: 'C64',
}

/** In words, NumPy's kinds of which some or all are not read. */
const KINDS: Readonly<Record<string, string>> = {
  U: 'text',
  S: 'text',
  M: 'dates',
  m: 'times',
  c: 'complex numbers',
  f: 'numbers',
  V: 'raw bytes',
}

/** Where an array's numbers lie in its file, and how. */
interface NpyHeader {
  readonly dtype: string
  readonly shape: readonly number[]
  readonly isFortran: boolean
  readonly isBigEndian: boolean
  /** Bytes of one element. */
  readonly width: number
  /** Byte at which the numbers begin. */
  readonly dataStart: number
}

/** True when these first bytes are those of a `.npy` file. */
export const isNpy = (lead: Uint8Array): boolean =>
  Buffer.from(lead.subarray(0, 6)).equals(Buffer.from('\x93NUMPY', 'latin1'))

/** Read the header of an array of `size` bytes; `read` gives bytes `[begin, end)`. Throws `TL_BAD_FILE`, `TL_UNSUPPORTED`. */
export function readNpyHeader(
  label: string,
  size: number,
  read: (begin: number, end: number) => Uint8Array,
): NpyHeader {
  const wrong = (what: string): never => fail('TL_BAD_FILE', `${label}: ${what}`)
  if (size < 10) return wrong(`${size} bytes, a .npy file has at least 10 (truncated?)`)
  const lead = Buffer.from(read(0, Math.min(12, size)))
  if (!isNpy(lead)) return wrong('no NumPy array: it does not begin with \\x93NUMPY')
  const version = lead[6]!
  if (version < 1 || version > 3) return wrong(`format version ${version}, expected 1, 2 or 3`)
  const lengthBytes = version === 1 ? 2 : 4
  if (lead.length < 8 + lengthBytes) return wrong('the header is cut')
  const length = version === 1 ? lead.readUInt16LE(8) : lead.readUInt32LE(8)
  const dataStart = 8 + lengthBytes + length
  if (length > MAX_HEADER || dataStart > size)
    return wrong(`a header of ${length} bytes announced, the file has ${size - 8 - lengthBytes} (truncated?)`)
  const text = Buffer.from(read(8 + lengthBytes, dataStart)).toString('latin1')
  const header = { ...parseDescription(text, label), dataStart }
  const count = elementCount(header.shape)
  if (count === undefined || count > (size - dataStart) / header.width)
    return wrong(
      `shape [${header.shape.join(', ')}] of ${header.dtype} needs more than the ${size - dataStart} bytes there are (truncated?)`,
    )
  if (count * header.width !== size - dataStart)
    return wrong(`${size - dataStart - count * header.width} bytes after the last element`)
  return header
}

/** The Python dictionary of the header: three known keys in any order, nothing evaluated. */
function parseDescription(text: string, label: string): Omit<NpyHeader, 'dataStart'> {
  const wrong = (what: string): never =>
    fail('TL_BAD_FILE', `${label}: header ${quoted(text.trim())}: ${what}`)
  const inner = text.match(/^\s*\{([^{}]*)\}\s*$/)?.[1]
  if (inner === undefined) return wrong('expected a dictionary')
  const descr = inner.match(/'descr'\s*:\s*(?:'([^']*)'|(\[))/)
  const order = inner.match(/'fortran_order'\s*:\s*(True|False)\b/)
  const shapeText = inner.match(/'shape'\s*:\s*\(([\d,\sL]*)\)/)
  if (!descr || !order || !shapeText) return wrong("expected 'descr', 'fortran_order' and 'shape'")
  if (descr[2] !== undefined)
    return fail('TL_UNSUPPORTED', `${label}: a record array; save its fields as arrays of their own`)
  const type = descr[1]!.match(/^([<>|=])?([a-zA-Z])(\d*)$/)
  if (!type) return wrong(`unknown type ${quoted(descr[1]!)}`)
  const kind = `${type[2]}${type[3]}`
  if (type[2] === 'O')
    return fail(
      'TL_UNSUPPORTED',
      `${label}: an object array, which is a pickle: it could run a program, so it is not read`,
    )
  const dtype = Object.hasOwn(DTYPES, kind) ? DTYPES[kind] : undefined
  if (dtype === undefined)
    return fail(
      'TL_UNSUPPORTED',
      `${label}: ${KINDS[type[2]!] ?? 'values'} of NumPy type ${quoted(descr[1]!)}: not read; expected ${Object.keys(DTYPES).join(', ')}: leave it out, or convert it with .astype`,
    )
  const shape = shapeText[1]!
    .split(',')
    .map((size) => size.trim().replace(/L$/, ''))
    .filter((size) => size !== '')
    .map(Number)
  if (shape.length > MAX_RANK || shape.some((size) => !Number.isSafeInteger(size)))
    return wrong('a shape too large for any file')
  const width = isConvertible(dtype) ? elementBytes(dtype) : 8
  return { dtype, shape, isFortran: order[1] === 'True', isBigEndian: type[1] === '>', width }
}

/** Reverse the bytes of every part of `width` bytes, in place. */
function swapBytes(data: Uint8Array, width: number): Uint8Array {
  for (let at = 0; at < data.length; at += width) data.subarray(at, at + width).reverse()
  return data
}

/** Column-major elements in row-major order. */
function rowMajor(data: Uint8Array, shape: readonly number[], width: number): Uint8Array {
  const target = new Uint8Array(data.length)
  const strides = shape.map((_, axis) => elements(shape.slice(0, axis)))
  const index = shape.map(() => 0)
  let from = 0
  for (let to = 0; to < data.length; to += width) {
    for (let byte = 0; byte < width; byte++) target[to + byte] = data[from * width + byte]!
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      from += strides[axis]!
      if (++index[axis]! < shape[axis]!) break
      from -= strides[axis]! * shape[axis]!
      index[axis] = 0
    }
  }
  return target
}

function npyTensor(
  name: string,
  header: NpyHeader,
  read: (begin: number, end: number) => Uint8Array,
): CheckpointTensor {
  const { dtype, shape, width, dataStart, isBigEndian, isFortran } = header
  const byteLength = elements(shape) * width
  // a scalar or a vector reads the same in both orders
  const isTransposed = isFortran && shape.filter((size) => size !== 1).length > 1
  const native = (begin: number, end: number): Uint8Array => {
    const data = read(dataStart + begin, dataStart + end)
    // each half of a complex number is swapped on its own
    return isBigEndian ? swapBytes(data, dtype === 'C64' ? 4 : width) : data
  }
  const bytes = (): Uint8Array =>
    isTransposed ? rowMajor(native(0, byteLength), shape, width) : native(0, byteLength)
  return {
    name,
    dtype,
    shape,
    byteLength,
    bytes,
    f32(start = 0, count) {
      if (!isConvertible(dtype))
        fail(
          'TL_UNSUPPORTED',
          `tensor ${quoted(name)}: values of dtype ${dtype} cannot be decoded, only copied`,
        )
      const end = rangeEnd({ name, shape }, start, count)
      const data = isTransposed
        ? bytes().slice(start * width, end * width)
        : native(start * width, end * width)
      return decodeF32(data, dtype)
    },
  }
}

/** An array file: a checkpoint of one tensor, named `name`. Throws `TL_BAD_FILE`, `TL_UNSUPPORTED`, `TL_IO`. */
export function openNpy(path: string, name = 'array'): Checkpoint {
  const source = fileSource(path)
  try {
    const read = (begin: number, end: number): Uint8Array => {
      const target = new Uint8Array(end - begin)
      source.readInto(begin, target)
      return target
    }
    const header = readNpyHeader(path, source.byteLength, read)
    const tensors = new Map([[name, npyTensor(name, header, read)]])
    return { path, format: 'npy', tensors, metadata: {}, close: source.close }
  } catch (error) {
    source.close()
    throw error
  }
}

/** The arrays of an archive, by the names they were saved under. Throws `TL_BAD_FILE`, `TL_UNSUPPORTED`, `TL_IO`. */
export function openNpz(path: string): Checkpoint {
  const source = fileSource(path)
  try {
    return parseNpz(source)
  } catch (error) {
    source.close()
    throw error
  }
}

/** The same from any source of bytes. */
export function parseNpz(source: ByteSource): Checkpoint {
  const tensors = new Map<string, CheckpointTensor>()
  // a packed array can only be unpacked whole; whoever reads it in parts gets them from the last one
  let last: { entry: ZipEntry; whole: Uint8Array } | undefined
  for (const entry of readZip(source).values()) {
    if (!entry.name.endsWith('.npy'))
      fail(
        'TL_BAD_FILE',
        `${source.label}: entry ${quoted(entry.name)} is no .npy array: not an archive of NumPy`,
      )
    const name = entry.name.slice(0, -4)
    const read = (begin: number, end: number): Uint8Array => {
      if (!entry.isDeflated || end <= MAX_HEADER) return readZipEntry(source, entry, begin, end)
      if (last?.entry !== entry) last = { entry, whole: readZipEntry(source, entry) }
      return last.whole.slice(begin, end)
    }
    const header = readNpyHeader(`${source.label}: ${quoted(entry.name)}`, entry.size, read)
    tensors.set(name, npyTensor(name, header, read))
  }
  return { path: source.label, format: 'npz', tensors, metadata: {}, close: source.close }
}
