/** @file Reading a header field by field through a small window: never more of the file in memory than a field takes. */
import { fail } from '../../base/index.ts'
import type { ByteSource } from '../source.ts'

/** A place in a file that moves on with each read. Every read is checked against the file's end before memory is taken. */
export type Cursor = {
  /** Byte that is read next. */
  at(): number
  /** Bytes that follow. */
  left(): number
  /** `what` names the field in messages, here as below. */
  u32(what: string): number
  /** An unsigned 64-bit number; above 2^53 it stays a bigint. */
  u64(what: string): number | bigint
  /** A 64-bit count of things that take at least `size` bytes each: refused when the file cannot hold them. */
  count(what: string, size: number): number
  /** UTF-8 text after its 64-bit length. Bytes that are no UTF-8 become U+FFFD. */
  text(what: string): string
  /** So many texts, decoded when they are asked for: a vocabulary of a hundred thousand of them takes time and memory. */
  texts(count: number, what: string): () => readonly string[]
  /** The next bytes, in memory of their own. */
  bytes(size: number, what: string): Uint8Array<ArrayBuffer>
}

const WINDOW = 1 << 16

/** A cursor at the first byte of `source`. All its functions throw `TL_BAD_FILE` when the file ends too soon. */
export function cursorOf(source: ByteSource): Cursor {
  let window = Buffer.alloc(Math.min(WINDOW, source.byteLength))
  let [start, filled, at] = [0, 0, 0]

  const short = (what: string, size: number | bigint): never =>
    fail(
      'TL_BAD_FILE',
      `${source.label}: ${what} takes ${size} bytes from byte ${at} on, the file has ${source.byteLength - at} there (truncated?)`,
    )
  /** Offset in the window at which the next `size` bytes lie. */
  function need(size: number, what: string): number {
    if (size > source.byteLength - at) short(what, size)
    if (at < start || at + size > start + filled) {
      if (size > window.byteLength) window = Buffer.alloc(size)
      filled = Math.min(window.byteLength, source.byteLength - at)
      source.readInto(at, window.subarray(0, filled))
      start = at
    }
    const offset = at - start
    at += size
    return offset
  }
  function u64(what: string): number | bigint {
    const offset = need(8, what)
    const high = window.readUInt32LE(offset + 4)
    return high < 1 << 21 ? high * 2 ** 32 + window.readUInt32LE(offset) : window.readBigUInt64LE(offset)
  }
  function count(what: string, size: number): number {
    const found = u64(what)
    if (typeof found === 'bigint' || found > (source.byteLength - at) / size)
      return fail(
        'TL_BAD_FILE',
        `${source.label}: ${what} is ${found}, more than the ${source.byteLength - at} bytes that follow can hold`,
      )
    return found
  }
  function text(what: string): string {
    const size = u64(`the length of ${what}`)
    if (typeof size === 'bigint') return short(what, size)
    const offset = need(size, what)
    return window.toString('utf8', offset, offset + size)
  }
  function bytes(size: number, what: string): Uint8Array<ArrayBuffer> {
    if (size <= window.byteLength) {
      const offset = need(size, what)
      return new Uint8Array(window.subarray(offset, offset + size))
    }
    if (size > source.byteLength - at) short(what, size)
    const target = new Uint8Array(size)
    source.readInto(at, target)
    at += size
    return target
  }
  function texts(count: number, what: string): () => readonly string[] {
    const [ends, begin] = [new Float64Array(count), at]
    for (let i = 0; i < count; i++) {
      const size = u64(`the length of ${what}`)
      if (typeof size === 'bigint' || size > source.byteLength - at) return short(what, size)
      at += size
      ends[i] = at - begin
    }
    const stored = Buffer.alloc(at - begin)
    source.readInto(begin, stored)
    return () => Array.from(ends, (end, i) => stored.toString('utf8', i === 0 ? 8 : ends[i - 1]! + 8, end))
  }
  return {
    at: () => at,
    left: () => source.byteLength - at,
    u32(what) {
      const offset = need(4, what)
      return window.readUInt32LE(offset)
    },
    u64,
    count,
    text,
    texts,
    bytes,
  }
}
