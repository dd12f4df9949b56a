/** @file PNG: its chunks are walked first, so that sizes are known and bounded before the decoder begins. */
import { inflateSync } from 'node:zlib'
import { PNG } from 'pngjs'
import { fail } from '../../base/index.ts'
import { orientationOf } from './exif.ts'
import { checkPixels, type Orientation, type Picture, type PictureLimits } from './picture.ts'

const signature = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]

export const isPng = (bytes: Uint8Array): boolean => signature.every((byte, i) => bytes[i] === byte)

/** Deflate never expands more than this. */
const mostExpansion = 1032

/** Samples of a pixel and the depths they may have, by colour type. */
const colours: Readonly<Record<number, { samples: number; depths: readonly number[]; isGrey: boolean }>> = {
  0: { samples: 1, depths: [1, 2, 4, 8, 16], isGrey: true },
  2: { samples: 3, depths: [8, 16], isGrey: false },
  3: { samples: 1, depths: [1, 2, 4, 8], isGrey: false },
  4: { samples: 2, depths: [8, 16], isGrey: true },
  6: { samples: 4, depths: [8, 16], isGrey: false },
}

interface Header {
  readonly width: number
  readonly height: number
  readonly isGrey: boolean
  readonly isInterlaced: boolean
  /** Bits of a pixel. */
  readonly bits: number
}

interface Walked {
  readonly header: Header
  readonly data: readonly Uint8Array[]
  readonly orientation: Orientation
}

function headerOf(view: DataView, at: number, label: string, limits: PictureLimits): Header {
  const [width, height] = [view.getUint32(at), view.getUint32(at + 4)]
  const [depth, colour, compression, filter, interlace] = Array.from({ length: 5 }, (_, i) =>
    view.getUint8(at + 8 + i),
  ) as [number, number, number, number, number]
  const kind = colours[colour]
  if (!kind?.depths.includes(depth) || compression !== 0 || filter !== 0 || interlace > 1)
    return fail(
      'TL_BAD_FILE',
      `${label}: damaged PNG: no picture has depth ${depth}, colour type ${colour}, compression ${compression}, filter ${filter}, interlace ${interlace}`,
    )
  checkPixels(label, width, height, limits)
  if (depth === 16)
    return fail(
      'TL_UNSUPPORTED',
      `${label}: a PNG of 16 bits a channel, which is not supported: expected up to 8; convert it, which loses half of the bits, or bring the numbers as .npy`,
    )
  return {
    ...{ width, height, isGrey: kind.isGrey },
    isInterlaced: interlace === 1,
    bits: kind.samples * depth,
  }
}

/** Bytes that the compressed data hold: each row begins with the number of its filter. */
function unpackedBytes({ width, height, bits, isInterlaced }: Header): number {
  const part = (w: number, h: number): number => (w > 0 ? h * (1 + Math.ceil((w * bits) / 8)) : 0)
  if (!isInterlaced) return part(width, height)
  const passes = [
    [0, 8, 0, 8],
    [4, 8, 0, 8],
    [0, 4, 4, 8],
    [2, 4, 0, 4],
    [0, 2, 2, 4],
    [1, 2, 0, 2],
    [0, 1, 1, 2],
  ] as const
  return passes.reduce(
    (sum, [left, right, top, down]) =>
      sum + part(Math.ceil((width - left) / right), Math.max(0, Math.ceil((height - top) / down))),
    0,
  )
}

/** The chunks, without decoding: one header at the start, an end. */
function walk(bytes: Uint8Array, label: string, limits: PictureLimits): Walked {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let header: Header | undefined
  let orientation: Orientation = 1
  const data: Uint8Array[] = []
  for (let at = 8; ; ) {
    if (at + 12 > bytes.byteLength)
      return fail(
        'TL_BAD_FILE',
        `${label}: the PNG ends at byte ${bytes.byteLength}, before its end (truncated?)`,
      )
    const length = view.getUint32(at)
    const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8))
    if (length > bytes.byteLength - at - 12)
      return fail(
        'TL_BAD_FILE',
        `${label}: a chunk of ${length} bytes goes beyond the end of the PNG (truncated?)`,
      )
    const body = bytes.subarray(at + 8, at + 8 + length)
    if ((type === 'IHDR') !== (at === 8) || (type === 'IHDR' && length !== 13))
      return fail('TL_BAD_FILE', `${label}: damaged PNG: expected one header, at its start`)
    if (type === 'IHDR') header = headerOf(view, at + 8, label, limits)
    else if (type === 'IDAT') data.push(body)
    else if (type === 'eXIf') orientation = orientationOf(body)
    else if (type === 'IEND') return { header: header!, data, orientation }
    at += 12 + length
  }
}

/** The bytes of a PNG as a picture, upright; grey stays grey, and pixels behind transparency are what the file says they are. */
export function decodePng(
  bytes: Uint8Array,
  label: string,
  limits: PictureLimits,
): { picture: Picture; alpha: Uint8Array; orientation: Orientation } {
  const { header, data, orientation } = walk(bytes, label, limits)
  const { width, height, isGrey, isInterlaced } = header
  const unpacked = unpackedBytes(header)
  const compressed = data.reduce((sum, part) => sum + part.byteLength, 0)
  if (unpacked > compressed * mostExpansion)
    fail(
      'TL_BAD_FILE',
      `${label}: ${width} × ${height} pixels cannot come from ${compressed} compressed bytes (truncated?)`,
    )
  let rgba: Uint8Array
  try {
    // the decoder unpacks these without a bound
    if (isInterlaced) inflateSync(Buffer.concat(data), { maxOutputLength: unpacked })
    const decoded = PNG.sync.read(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength))
    rgba = decoded.data
    if (rgba.byteLength !== 4 * width * height) throw new Error(`decoded to ${rgba.byteLength} bytes`)
  } catch (error) {
    const [line] = String((error as Error).message).split('\n')
    return fail('TL_BAD_FILE', `${label}: damaged PNG (${line!.slice(0, 200)})`, error)
  }
  const channels = isGrey ? 1 : 3
  const out = new Uint8Array(width * height * channels)
  const alpha = new Uint8Array(width * height)
  for (let i = 0; i < alpha.length; i++) {
    out.set(rgba.subarray(4 * i, 4 * i + channels), channels * i)
    alpha[i] = rgba[4 * i + 3]!
  }
  return { picture: { height, width, channels, data: out }, alpha, orientation }
}
