/**
 * @file The safetensors header: parsed strictly, byte by byte, and checked against the file's size before any
 * tensor is read. A general JSON parser would let a repeated name win silently and build whatever nesting it meets;
 * this one knows the two shapes a header may hold and stops at the first byte that fits neither.
 * Format: https://huggingface.co/docs/safetensors (8 bytes length, JSON header, data).
 */
import { bytes, didYouMean, fail } from '../base/index.ts'
import { elementCount, isStoredDtype, type StoredDtype, storedBytes, storedDtypes } from './dtypes.ts'

/** The longest header the `safetensors` library itself accepts, in bytes. */
export const MAX_HEADER_BYTES = 100_000_000

/** More dimensions than any tensor has; a bound for messages and memory. */
const MAX_RANK = 64

/** Where one tensor lies. Offsets are bytes from the start of the file's data section, `[begin, end)`. */
export type TensorEntry = { name: string; dtype: StoredDtype; shape: number[]; begin: number; end: number }

/** What a header says: tensors in the order of their offsets, free-form metadata, and where the data begin. */
export type SafetensorsHeader = {
  tensors: Map<string, TensorEntry>
  metadata: Record<string, string>
  /** Byte of the file at which offset 0 lies. */
  dataStart: number
  /** Bytes of the data section. */
  dataBytes: number
}

/** A name fit for a one-line message. */
export const quoted = (name: string): string =>
  JSON.stringify(name.length > 80 ? `${name.slice(0, 80)}…` : name)

/** Length of the header in bytes, checked against the file; `lead` holds the file's first 8 bytes. */
export function headerLength(lead: Uint8Array, fileBytes: number, label: string): number {
  if (fileBytes < 8 || lead.byteLength < 8)
    fail('TL_BAD_FILE', `${label}: ${fileBytes} bytes, a safetensors file has at least 8 (truncated?)`)
  const length = new DataView(lead.buffer, lead.byteOffset, 8).getBigUint64(0, true)
  if (length > BigInt(MAX_HEADER_BYTES))
    fail(
      'TL_BAD_FILE',
      `${label}: header length ${length} is above ${MAX_HEADER_BYTES}: not a safetensors file, or a damaged one`,
    )
  if (length > BigInt(fileBytes - 8))
    fail(
      'TL_BAD_FILE',
      `${label}: header of ${length} bytes announced, the file has ${fileBytes - 8} after the length (truncated?)`,
    )
  if (length < 2n) fail('TL_BAD_FILE', `${label}: header length ${length}, expected at least 2 (the text {})`)
  return Number(length)
}

type RawEntry = { dtype?: string; shape?: number[]; offsets?: number[] }

/** Read the header's text; `text` are its bytes, `fileBytes` the size of the whole file. Throws `TL_BAD_FILE`. */
export function parseHeader(text: Uint8Array, fileBytes: number, label: string): SafetensorsHeader {
  let source: string
  try {
    source = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(text)
  } catch {
    return fail(
      'TL_BAD_FILE',
      `${label}: the header is not UTF-8 text: not a safetensors file, or a damaged one`,
    )
  }
  const dataStart = 8 + text.byteLength
  const dataBytes = fileBytes - dataStart
  const scan = scanner(source, label)
  const entries = new Map<string, TensorEntry>()
  let metadata: Record<string, string> | undefined
  if (source[0] !== '{') scan.wrong('"{" as the first character')
  scan.object((name) => {
    if (name === '__metadata__') {
      if (metadata) fail('TL_BAD_FILE', `${label}: __metadata__ stands in the header twice`)
      const pairs = new Map<string, string>()
      scan.object((key) => {
        if (pairs.has(key))
          fail('TL_BAD_FILE', `${label}: metadata key ${quoted(key)} stands in the header twice`)
        pairs.set(key, scan.string())
      })
      metadata = Object.fromEntries(pairs)
      return
    }
    if (entries.has(name)) fail('TL_BAD_FILE', `${label}: tensor ${quoted(name)} stands in the header twice`)
    entries.set(name, checkedEntry(name, rawEntry(scan, name, label), dataBytes, label))
  })
  scan.end()
  return { tensors: withoutGaps(entries, dataBytes, label), metadata: metadata ?? {}, dataStart, dataBytes }
}

function rawEntry(scan: Scanner, name: string, label: string): RawEntry {
  const raw: RawEntry = {}
  scan.object((key) => {
    const twice = () => fail('TL_BAD_FILE', `${label}: tensor ${quoted(name)}: "${key}" stands there twice`)
    if (key === 'dtype') raw.dtype = raw.dtype === undefined ? scan.string() : twice()
    else if (key === 'shape') raw.shape = raw.shape ? twice() : scan.integers(MAX_RANK)
    else if (key === 'data_offsets') raw.offsets = raw.offsets ? twice() : scan.integers(2)
    else
      fail(
        'TL_BAD_FILE',
        `${label}: tensor ${quoted(name)}: unknown field ${quoted(key)} (valid: dtype, shape, data_offsets)`,
      )
  })
  return raw
}

function checkedEntry(name: string, raw: RawEntry, dataBytes: number, label: string): TensorEntry {
  const wrong = (what: string): never => fail('TL_BAD_FILE', `${label}: tensor ${quoted(name)}: ${what}`)
  const { dtype, shape, offsets } = raw
  if (dtype === undefined) return wrong('"dtype" is missing')
  if (!shape) return wrong('"shape" is missing')
  if (!offsets) return wrong('"data_offsets" is missing')
  if (!isStoredDtype(dtype))
    return wrong(`unknown dtype ${quoted(dtype)}, ${didYouMean(dtype.slice(0, 80), storedDtypes)}`)
  const [begin, end] = offsets
  if (begin === undefined || end === undefined || begin > end)
    return wrong(`data_offsets [${offsets.join(', ')}], expected [begin, end] with begin <= end`)
  if (end > dataBytes)
    return wrong(`ends at byte ${end} of the data, of which the file has ${dataBytes} (truncated?)`)
  const size = storedBytes(dtype, shape)
  if (size === undefined)
    return wrong(
      elementCount(shape) === undefined || elementCount(shape)! > 2 ** 40
        ? `shape [${shape.join(', ')}] is too large for any file`
        : `shape [${shape.join(', ')}] of ${dtype} does not fill whole bytes`,
    )
  if (size !== end - begin)
    return wrong(
      `shape [${shape.join(', ')}] of ${dtype} takes ${size} bytes, data_offsets [${begin}, ${end}] give ${end - begin}`,
    )
  return { name, dtype, shape, begin, end }
}

/** The format allows neither overlaps nor bytes that belong to no tensor. Sorts by offset. */
function withoutGaps(entries: Map<string, TensorEntry>, dataBytes: number, label: string) {
  const sorted = [...entries.values()].sort((a, b) => a.begin - b.begin || a.end - b.end)
  let reached = 0
  let before = 'the start of the data'
  for (const { name, begin, end } of sorted) {
    if (begin !== reached)
      fail(
        'TL_BAD_FILE',
        begin < reached
          ? `${label}: tensor ${quoted(name)} begins at byte ${begin}, inside ${before}, which ends at ${reached}`
          : `${label}: ${bytes(begin - reached)} between ${before} and tensor ${quoted(name)} belong to no tensor`,
      )
    reached = end
    before = `tensor ${quoted(name)}`
  }
  if (reached !== dataBytes)
    fail('TL_BAD_FILE', `${label}: ${bytes(dataBytes - reached)} after ${before} belong to no tensor`)
  return new Map(sorted.map((entry) => [entry.name, entry]))
}

type Scanner = ReturnType<typeof scanner>

/** Just enough JSON: objects with callbacks, strings, flat lists of non-negative integers. No recursion of its own. */
function scanner(source: string, label: string) {
  let at = 0
  const skip = () => {
    for (; at < source.length; at++) {
      const code = source.charCodeAt(at)
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return
    }
  }
  const wrong = (expected: string): never => {
    const found = at < source.length ? quoted(source.slice(at, at + 12)) : 'its end'
    return fail('TL_BAD_FILE', `${label}: header, character ${at}: expected ${expected}, found ${found}`)
  }
  const take = (character: string): boolean => {
    skip()
    if (source[at] !== character) return false
    at++
    return true
  }
  const expect = (character: string, expected = `"${character}"`) => {
    if (!take(character)) wrong(expected)
  }
  function string(): string {
    expect('"', 'a string')
    const start = at - 1
    for (; ; at++) {
      if (at >= source.length) return wrong('the closing quote of a string')
      const code = source.charCodeAt(at)
      if (code < 0x20) return wrong('an escape in place of a control character')
      if (code === 0x22) break
      if (code === 0x5c) at++
    }
    at++
    let value: unknown
    try {
      value = JSON.parse(source.slice(start, at))
    } catch {
      // The quotes match, so only an escape can be wrong.
    }
    if (typeof value !== 'string' || /\p{Surrogate}/u.test(value)) {
      at = start
      return wrong('a string with valid escapes')
    }
    return value
  }
  function integers(limit: number): number[] {
    const list: number[] = []
    expect('[', 'a list of integers')
    if (take(']')) return list
    do {
      if (list.length === limit) wrong(`at most ${limit} integers`)
      skip()
      const start = at
      while (at < source.length && isDigit(source.charCodeAt(at)) && at - start < 20) at++
      const digits = source.slice(start, at)
      const value = Number(digits)
      if (!/^(0|[1-9]\d*)$/.test(digits) || !Number.isSafeInteger(value)) {
        at = start
        wrong(`a whole number from 0 to ${Number.MAX_SAFE_INTEGER}`)
      }
      list.push(value)
    } while (take(','))
    expect(']', '"," or "]"')
    return list
  }
  function object(member: (key: string) => void): void {
    expect('{')
    if (take('}')) return
    do {
      const key = string()
      expect(':')
      member(key)
    } while (take(','))
    expect('}', '"," or "}"')
  }
  const end = () => {
    skip()
    if (at < source.length) wrong('nothing but spaces after the header')
  }
  return { object, string, integers, end, wrong }
}

const isDigit = (code: number): boolean => code >= 0x30 && code <= 0x39
