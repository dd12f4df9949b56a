/**
 * @file Zip archives, read by random access: entries stored or deflated, zip64, no encryption. Everything the directory
 * says is checked against the file's size before memory is taken.
 * Format: PKWARE APPNOTE 6.3 (4.3.7 local header, 4.3.12 central directory, 4.3.14–16 its end, 4.5.3 zip64).
 */
import { constants, inflateRawSync } from 'node:zlib'
import { fail } from '../../base/index.ts'
import { quoted } from '../header.ts'
import type { ByteSource } from '../source.ts'

/** One file in the archive. Sizes in bytes. */
export type ZipEntry = {
  name: string
  size: number
  compressedSize: number
  deflated: boolean
  header: number
}

/** An open archive; it does not own its source. */
export type ZipArchive = {
  entries: ReadonlyMap<string, ZipEntry>
  /** Bytes `[begin, end)` of an entry (whole by default), in memory of their own. Throws `TL_BAD_FILE`. */
  read(entry: ZipEntry, begin?: number, end?: number): Uint8Array<ArrayBuffer>
}

const END = 0x06054b50
const END64_LOCATOR = 0x07064b50
const END64 = 0x06064b50
const CENTRAL = 0x02014b50
const LOCAL = 0x04034b50
/** Deflate cannot expand further than this (258 bytes from 2 bits). */
const MAX_RATIO = 1032

/** Does the file begin as every zip archive that is not empty does? */
export const looksLikeZip = (lead: Uint8Array): boolean =>
  lead[0] === 0x50 && lead[1] === 0x4b && lead[2] === 3 && lead[3] === 4

/** Read the directory of an archive. Throws `TL_BAD_FILE`, and `TL_UNSUPPORTED` for encryption and rare compressions. */
export function openZip(source: ByteSource): ZipArchive {
  const { label } = source
  const wrong = (problem: string): never => fail('TL_BAD_FILE', `${label}: ${problem}`)
  const directory = findDirectory(source, wrong)
  const entries = new Map<string, ZipEntry>()
  const view = Buffer.alloc(directory.size)
  source.readInto(directory.offset, view)
  let at = 0
  for (let i = 0; i < directory.count; i++) {
    if (at + 46 > view.length || view.readUInt32LE(at) !== CENTRAL)
      wrong(`zip directory: entry ${i} of ${directory.count} is missing or damaged`)
    const end = at + 46 + view.readUInt16LE(at + 28) + view.readUInt16LE(at + 30) + view.readUInt16LE(at + 32)
    if (end > view.length) wrong(`zip directory: entry ${i} reaches beyond the directory's end`)
    const entry = directoryEntry(view, at, label)
    if (entries.has(entry.name)) wrong(`zip entry ${quoted(entry.name)} stands there twice`)
    if (entry.header + 30 + entry.compressedSize > directory.offset)
      wrong(`zip entry ${quoted(entry.name)} reaches into the directory (truncated or damaged?)`)
    entries.set(entry.name, entry)
    at = end
  }
  let lastInflated: { entry: ZipEntry; data: Uint8Array } | undefined
  return {
    entries,
    read(entry, begin = 0, end = entry.size) {
      if (!(begin >= 0 && begin <= end && end <= entry.size))
        fail(
          'TL_BAD_ARGUMENT',
          `${label}: ${quoted(entry.name)}: bytes [${begin}, ${end}), it has ${entry.size}`,
        )
      const start = dataStart(source, entry, directory.offset)
      if (!entry.deflated) {
        const target = new Uint8Array(end - begin)
        source.readInto(start + begin, target)
        return target
      }
      if (lastInflated?.entry !== entry) lastInflated = { entry, data: inflate(source, entry, start) }
      return new Uint8Array(lastInflated.data.subarray(begin, end))
    },
  }
}

type Directory = { offset: number; size: number; count: number }

/** The record at the file's end, behind which only a comment of at most 65,535 bytes may stand. */
function findDirectory(source: ByteSource, wrong: (problem: string) => never): Directory {
  const tail = Buffer.alloc(Math.min(source.byteLength, 22 + 65535 + 20))
  const tailStart = source.byteLength - tail.length
  source.readInto(tailStart, tail)
  let at = tail.length - 22
  while (at >= 0 && !(tail.readUInt32LE(at) === END && at + 22 + tail.readUInt16LE(at + 20) === tail.length))
    at--
  if (at < 0) return wrong('no zip directory at its end: not a zip archive, or a truncated one')
  let count = tail.readUInt16LE(at + 10)
  let size = tail.readUInt32LE(at + 12)
  let offset = tail.readUInt32LE(at + 16)
  let limit = tailStart + at
  const disks = tail.readUInt16LE(at + 4) + tail.readUInt16LE(at + 6)
  if (disks !== 0 && disks !== 2 * 0xffff) wrong('a zip archive in several parts: join them first')
  if (count === 0xffff || size === 0xffffffff || offset === 0xffffffff) {
    if (at < 20 || tail.readUInt32LE(at - 20) !== END64_LOCATOR)
      return wrong('the zip64 directory is missing')
    const place = tail.readBigUInt64LE(at - 20 + 8)
    if (place > BigInt(limit - 20 - 56))
      return wrong(`the zip64 directory's end is at byte ${place}, beyond the file`)
    limit = Number(place)
    const record = Buffer.alloc(56)
    source.readInto(limit, record)
    if (record.readUInt32LE(0) !== END64) return wrong('the zip64 directory is damaged')
    count = Number(record.readBigUInt64LE(32))
    size = Number(record.readBigUInt64LE(40))
    offset = Number(record.readBigUInt64LE(48))
  }
  if (offset + size > limit)
    wrong(`a zip directory of ${size} bytes at byte ${offset}, beyond the file (truncated?)`)
  if (count * 46 > size) wrong(`${count} zip entries in a directory of ${size} bytes`)
  return { offset, size, count }
}

function directoryEntry(view: Buffer, at: number, label: string): ZipEntry {
  const nameLength = view.readUInt16LE(at + 28)
  const name = view.toString('utf8', at + 46, at + 46 + nameLength)
  const what = `${label}: zip entry ${quoted(name)}`
  const fields = [view.readUInt32LE(at + 24), view.readUInt32LE(at + 20), view.readUInt32LE(at + 42)]
  const extra = at + 46 + nameLength
  const [size, compressedSize, header] = widened(
    fields,
    view.subarray(extra, extra + view.readUInt16LE(at + 30)),
    what,
  )
  const method = view.readUInt16LE(at + 10)
  if (view.readUInt16LE(at + 8) & 1)
    fail('TL_UNSUPPORTED', `${what} is encrypted: unpack and repack it without`)
  if (method !== 0 && method !== 8)
    fail(
      'TL_UNSUPPORTED',
      `${what}: compression method ${method}, expected 0 (stored) or 8 (deflate): repack it`,
    )
  if (method === 0 && size !== compressedSize)
    fail('TL_BAD_FILE', `${what}: stored, but ${compressedSize} bytes are to be ${size}`)
  if (size! > compressedSize! * MAX_RATIO)
    fail('TL_BAD_FILE', `${what}: ${compressedSize} deflated bytes cannot become ${size}`)
  return { name, size: size!, compressedSize: compressedSize!, deflated: method === 8, header: header! }
}

/** Replace the fields that are all ones by the 64-bit ones of extra field 1, which come in the same order. */
function widened(fields: number[], extra: Buffer, what: string): number[] {
  if (!fields.includes(0xffffffff)) return fields
  let at = 0
  while (at + 4 <= extra.length && extra.readUInt16LE(at) !== 1) at += 4 + extra.readUInt16LE(at + 2)
  const end = at + 4 <= extra.length ? Math.min(extra.length, at + 4 + extra.readUInt16LE(at + 2)) : 0
  at += 4
  return fields.map((field) => {
    if (field !== 0xffffffff) return field
    if (at + 8 > end) return fail('TL_BAD_FILE', `${what}: its zip64 sizes are missing`)
    at += 8
    return Number(extra.readBigUInt64LE(at - 8))
  })
}

/** Where an entry's bytes begin: behind its own header, whose lengths may differ from the directory's. */
function dataStart(source: ByteSource, entry: ZipEntry, limit: number): number {
  const header = Buffer.alloc(30)
  source.readInto(entry.header, header)
  const start = entry.header + 30 + header.readUInt16LE(26) + header.readUInt16LE(28)
  if (header.readUInt32LE(0) !== LOCAL || start + entry.compressedSize > limit)
    fail('TL_BAD_FILE', `${source.label}: zip entry ${quoted(entry.name)} is not where the directory says`)
  return start
}

function inflate(source: ByteSource, entry: ZipEntry, start: number): Uint8Array {
  const what = `${source.label}: zip entry ${quoted(entry.name)}`
  const packed = Buffer.alloc(entry.compressedSize)
  source.readInto(start, packed)
  let data: Uint8Array
  try {
    data = inflateRawSync(packed, {
      maxOutputLength: Math.max(1, entry.size),
      finishFlush: constants.Z_FINISH,
    })
  } catch (error) {
    return fail(
      'TL_BAD_FILE',
      `${what} cannot be inflated: its ${entry.compressedSize} bytes are damaged`,
      error,
    )
  }
  if (data.byteLength !== entry.size)
    fail('TL_BAD_FILE', `${what}: ${data.byteLength} bytes came out of it, ${entry.size} were announced`)
  return data
}
