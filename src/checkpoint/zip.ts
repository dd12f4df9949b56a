/**
 * @file Zip archives as weight files use them: a directory of stored or deflated entries, each read alone. Everything the
 * directory says is checked against the file before memory is taken. No writing, no encryption, no spanned archives.
 * Format: PKWARE APPNOTE 6.3.10, sections 4.3–4.5.
 */
import { constants, inflateRawSync } from 'node:zlib'
import { bytes, fail } from '../base/index.ts'
import { quoted } from './header.ts'
import type { ByteSource } from './source.ts'

/** One entry. Offsets and sizes are bytes of the archive; `size` is that of the unpacked entry. */
export interface ZipEntry {
  readonly name: string
  readonly isDeflated: boolean
  readonly size: number
  readonly packedSize: number
  /** Where its packed bytes begin. */
  readonly start: number
  readonly crc32: number
}

/** End-of-directory records are looked for in this many last bytes: their own size and the longest comment. */
const TAIL = 22 + 65_535
/** Deflate cannot pack tighter than this. */
const TIGHTEST = 1032

/** The entries of an archive by name, in the order of the directory. Throws `TL_BAD_FILE`, `TL_IO`. */
export function readZip(source: ByteSource): Map<string, ZipEntry> {
  const { label } = source
  const wrong = (what: string): never =>
    fail('TL_BAD_FILE', `${label}: ${what} (damaged or truncated zip archive?)`)
  const end = directoryEnd(source, wrong)
  const directory = take(source, end.offset, end.size)
  const entries = new Map<string, ZipEntry>()
  let at = 0
  for (let i = 0; i < end.count; i++) {
    if (at + 46 > directory.length || directory.readUInt32LE(at) !== 0x02014b50)
      wrong(`directory entry ${i} of ${end.count} is missing`)
    const lengths = [28, 30, 32].map((offset) => directory.readUInt16LE(at + offset))
    const next = at + 46 + lengths[0]! + lengths[1]! + lengths[2]!
    if (next > directory.length) wrong(`directory entry ${i} of ${end.count} is cut`)
    const entry = parseEntry(
      source,
      directory.subarray(at, next),
      lengths[0]!,
      lengths[1]!,
      end.offset,
      wrong,
    )
    if (entries.has(entry.name)) wrong(`entry ${quoted(entry.name)} stands in the directory twice`)
    entries.set(entry.name, entry)
    at = next
  }
  checkOverlaps(entries, wrong)
  return entries
}

type Wrong = (what: string) => never

function take(source: ByteSource, offset: number, size: number): Buffer {
  const target = Buffer.alloc(size)
  source.readInto(offset, target)
  return target
}

/** Where the directory lies, from the record at the file's end, or from its 64-bit companion. */
function directoryEnd(source: ByteSource, wrong: Wrong): { offset: number; size: number; count: number } {
  const tailStart = Math.max(0, source.byteLength - TAIL)
  const tail = take(source, tailStart, source.byteLength - tailStart)
  let at = tail.length - 22
  while (
    at >= 0 &&
    !(tail.readUInt32LE(at) === 0x06054b50 && at + 22 + tail.readUInt16LE(at + 20) === tail.length)
  )
    at--
  if (at < 0) return wrong('no end-of-directory record')
  let record = {
    count: tail.readUInt16LE(at + 10),
    size: tail.readUInt32LE(at + 12),
    offset: tail.readUInt32LE(at + 16),
  }
  let limit = tailStart + at
  if (at >= 20 && tail.readUInt32LE(at - 20) === 0x07064b50) {
    const place = safe(tail.readBigUInt64LE(at - 12))
    if (place + 56 > limit) wrong('the 64-bit directory record lies outside the file')
    const wide = take(source, place, 56)
    if (wide.readUInt32LE(0) !== 0x06064b50) wrong('no 64-bit directory record where one is announced')
    record = {
      count: safe(wide.readBigUInt64LE(32)),
      size: safe(wide.readBigUInt64LE(40)),
      offset: safe(wide.readBigUInt64LE(48)),
    }
    limit = place
  }
  if (record.offset + record.size > limit) wrong('the directory lies outside the file')
  if (record.count * 46 > record.size)
    wrong(`${record.count} entries announced, in a directory of ${record.size} bytes`)
  return record
}

/** A 64-bit size; what is beyond exact numbers is beyond every file too. */
const safe = (value: bigint): number =>
  value > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(value)

function parseEntry(
  source: ByteSource,
  record: Buffer,
  nameLength: number,
  extraLength: number,
  directoryStart: number,
  wrong: Wrong,
): ZipEntry {
  const rawName = record.subarray(46, 46 + nameLength)
  const name = rawName.toString('utf8')
  const what = `entry ${quoted(name)}`
  const method = record.readUInt16LE(10)
  if (record.readUInt16LE(8) & 1) fail('TL_UNSUPPORTED', `${source.label}: ${what} is encrypted`)
  if (method !== 0 && method !== 8)
    fail(
      'TL_UNSUPPORTED',
      `${source.label}: ${what} is packed by method ${method}; stored (0) and deflate (8) are read`,
    )
  const [packedSize, size, header] = widened(
    record,
    record.subarray(46 + nameLength, 46 + nameLength + extraLength),
  )
  if (header + 30 > directoryStart) wrong(`${what} lies outside the file`)
  const local = take(source, header, 30)
  if (local.readUInt32LE(0) !== 0x04034b50) wrong(`${what}: no local header at byte ${header}`)
  const localName = local.readUInt16LE(26)
  const start = header + 30 + localName + local.readUInt16LE(28)
  if (start + packedSize > directoryStart) wrong(`${what} of ${bytes(packedSize)} lies outside the file`)
  if (localName !== nameLength || !take(source, header + 30, localName).equals(rawName))
    wrong(`${what} has another name in its local header`)
  if (method === 0 && packedSize !== size) wrong(`${what} is stored, but its two sizes differ`)
  if (size > packedSize * TIGHTEST + 64) wrong(`${what} claims ${bytes(size)} out of ${bytes(packedSize)}`)
  return { name, isDeflated: method === 8, size, packedSize, start, crc32: record.readUInt32LE(16) }
}

/** Packed size, size and header offset, from the 64-bit extra field where the record's own are all ones. */
function widened(record: Buffer, extra: Buffer): [number, number, number] {
  let at = 0
  let wide: Buffer | undefined
  while (at + 4 <= extra.length) {
    const length = extra.readUInt16LE(at + 2)
    if (extra.readUInt16LE(at) === 1) wide = extra.subarray(at + 4, at + 4 + length)
    at += 4 + length
  }
  let used = 0
  const field = (offset: number): number => {
    const value = record.readUInt32LE(offset)
    if (value !== 0xffff_ffff || !wide || used + 8 > wide.length) return value
    used += 8
    return safe(wide.readBigUInt64LE(used - 8))
  }
  // the extra field holds them in this order: size, packed size, offset
  const size = field(24)
  const packedSize = field(20)
  return [packedSize, size, field(42)]
}

/** Entries that share bytes are how small archives claim to be huge. */
function checkOverlaps(entries: ReadonlyMap<string, ZipEntry>, wrong: Wrong): void {
  let reached = 0
  for (const { name, start, packedSize } of [...entries.values()].sort((a, b) => a.start - b.start)) {
    if (start < reached) wrong(`entry ${quoted(name)} overlaps the one before it`)
    reached = start + packedSize
  }
}

const crcTable = Uint32Array.from({ length: 256 }, (_, n) => {
  let value = n
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1
  return value
})

/** CRC-32 of ISO 3309, as zip stores it. */
function crc32(data: Uint8Array): number {
  let crc = 0xffff_ffff
  for (let i = 0; i < data.length; i++) crc = crcTable[(crc ^ data[i]!) & 0xff]! ^ (crc >>> 8)
  return (crc ^ 0xffff_ffff) >>> 0
}

/** What so many first packed bytes unpack to; what comes after them is not looked at. */
function inflateStart(source: ByteSource, entry: ZipEntry, packedBytes: number): Uint8Array {
  const packed = take(source, entry.start, Math.min(packedBytes, entry.packedSize))
  return inflateRawSync(packed, { finishFlush: constants.Z_SYNC_FLUSH })
}

/** An unpacked beginning this long is read without unpacking the rest: headers. */
const PREVIEW = 4096

/**
 * Bytes `[begin, end)` of an entry. A stored entry is read there and nowhere else; a deflated one is unpacked whole
 * and its checksum compared, unless only its beginning is asked for. Throws `TL_BAD_FILE`, `TL_IO`, `TL_BAD_ARGUMENT`.
 */
export function readZipEntry(source: ByteSource, entry: ZipEntry, begin = 0, end = entry.size): Uint8Array {
  const what = `${source.label}: entry ${quoted(entry.name)}`
  if (!(begin >= 0 && begin <= end && end <= entry.size))
    fail('TL_BAD_ARGUMENT', `${what}: bytes [${begin}, ${end}), it has ${entry.size}`)
  if (!entry.isDeflated) {
    const target = new Uint8Array(end - begin)
    source.readInto(entry.start + begin, target)
    return target
  }
  let whole: Uint8Array
  // a Buffer's slice() would share memory
  const plain = (data: Uint8Array): Uint8Array =>
    new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
  try {
    if (end <= PREVIEW && end < entry.size) {
      const start = plain(inflateStart(source, entry, 2 * PREVIEW))
      if (start.byteLength >= end) return start.slice(begin, end)
    }
    whole = plain(
      inflateRawSync(take(source, entry.start, entry.packedSize), {
        maxOutputLength: Math.max(1, entry.size),
      }),
    )
  } catch (error) {
    return fail('TL_BAD_FILE', `${what} cannot be unpacked: ${(error as Error).message}`, error)
  }
  if (whole.byteLength !== entry.size || crc32(whole) !== entry.crc32)
    fail('TL_BAD_FILE', `${what}: what it unpacks to is not what the directory says (damaged?)`)
  return begin === 0 && end === entry.size ? whole : whole.slice(begin, end)
}
