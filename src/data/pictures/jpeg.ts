/** @file JPEG: its segments are walked first, so that sizes, kinds and the end are known before the decoder begins. */
import { decode } from 'jpeg-js'
import { fail } from '../../base/index.ts'
import { orientationOf } from './exif.ts'
import { checkPixels, type Orientation, type Picture, type PictureLimits } from './picture.ts'

export const isJpeg = (bytes: Uint8Array): boolean =>
  bytes[0] === 0xff && bytes[1] === 0xd8 && bytes[2] === 0xff

/** Kinds of JPEG by the marker of their frame; the first three are what the decoder knows. */
const kinds: Readonly<Record<number, string>> = {
  192: 'baseline',
  193: 'extended',
  194: 'progressive',
  195: 'lossless',
  197: 'hierarchical',
  198: 'hierarchical',
  199: 'hierarchical',
  201: 'arithmetically coded',
  202: 'arithmetically coded',
  203: 'lossless',
  205: 'hierarchical',
  206: 'hierarchical',
  207: 'hierarchical',
}

/** More passes over a picture than any encoder makes. */
const mostScans = 100

/** The decoder's own bound, above what the largest picture takes. */
const mostMegabytes = 1024

interface Frame {
  readonly width: number
  readonly height: number
  readonly components: number
  /** Samples are red, green and blue. */
  readonly isRgb: boolean
}

interface Walked {
  readonly frame: Frame
  readonly orientation: Orientation
  /** An Adobe segment says that colours are not transformed. */
  readonly isPlain: boolean
}

const refuse = (label: string, what: string): never => fail('TL_BAD_FILE', `${label}: ${what}`)

function frameOf(body: Uint8Array, marker: number, label: string, limits: PictureLimits): Frame {
  if (marker > 0xc2)
    fail(
      'TL_UNSUPPORTED',
      `${label}: a ${kinds[marker]} JPEG, which is not supported: expected a baseline or progressive one`,
    )
  if (body.byteLength < 6) return refuse(label, 'damaged JPEG: a frame of too few bytes')
  const [depth, heightHigh, heightLow, widthHigh, widthLow, components] = body as unknown as number[]
  const [height, width] = [heightHigh! * 256 + heightLow!, widthHigh! * 256 + widthLow!]
  checkPixels(label, width, height, limits)
  if (depth !== 8)
    fail('TL_UNSUPPORTED', `${label}: a JPEG of ${depth} bits, which is not supported: expected 8`)
  if (components === 4)
    fail(
      'TL_UNSUPPORTED',
      `${label}: a JPEG in CMYK, which is not supported: expected grey or colour for screens; convert it to RGB`,
    )
  if (components !== 1 && components !== 3)
    fail('TL_UNSUPPORTED', `${label}: a JPEG of ${components} components, expected 1 or 3`)
  const ids: number[] = []
  for (let i = 0; i < components; i++) {
    const at = 6 + 3 * i
    if (at + 3 > body.byteLength) return refuse(label, 'damaged JPEG: a frame of too few bytes')
    const [across, down] = [body[at + 1]! >> 4, body[at + 1]! & 15]
    if (across < 1 || across > 4 || down < 1 || down > 4)
      return refuse(label, `damaged JPEG: sampling factors ${across} × ${down}, expected 1 to 4`)
    ids.push(body[at]!)
  }
  if (new Set(ids).size !== ids.length) return refuse(label, 'damaged JPEG: two components of one name')
  return { width, height, components, isRgb: String.fromCharCode(...ids) === 'RGB' }
}

/** Where the coded data after `at` end: at the next marker that is no restart. */
function skipScan(bytes: Uint8Array, at: number): number {
  for (let i = at; i + 1 < bytes.byteLength; i++) {
    if (bytes[i] !== 0xff) continue
    const next = bytes[i + 1]!
    if (next !== 0 && next !== 0xff && !(next >= 0xd0 && next <= 0xd7)) return i
  }
  return bytes.byteLength
}

const startsWith = (body: Uint8Array, word: string): boolean =>
  [...word].every((letter, i) => body[i] === letter.charCodeAt(0))

/** The segments, without decoding: one frame, at least one scan, an end. */
function walk(bytes: Uint8Array, label: string, limits: PictureLimits): Walked {
  let frame: Frame | undefined
  let orientation: Orientation = 1
  let isPlain = false
  let scans = 0
  for (let at = 2; ; ) {
    while (bytes[at] === 0xff && bytes[at + 1] === 0xff) at++
    if (at + 2 > bytes.byteLength)
      return refuse(label, `the JPEG ends at byte ${bytes.byteLength}, before its end (truncated?)`)
    const marker = bytes[at + 1]!
    if (bytes[at] !== 0xff)
      return refuse(label, `damaged JPEG: expected a marker at byte ${at}, found ${bytes[at]}`)
    if (marker === 0xd9) {
      if (!frame || scans === 0) return refuse(label, 'damaged JPEG: it ends without a picture')
      return { frame, orientation, isPlain }
    }
    const length = bytes[at + 2]! * 256 + bytes[at + 3]!
    // beyond the end `length` is no number
    if (!(length >= 2 && at + 2 + length <= bytes.byteLength))
      return refuse(label, 'a segment goes beyond the end of the JPEG (truncated?)')
    const body = bytes.subarray(at + 4, at + 2 + length)
    at += 2 + length
    if (kinds[marker]) {
      if (frame) return refuse(label, 'damaged JPEG: two frames')
      frame = frameOf(body, marker, label, limits)
    } else if (marker === 0xe1 && startsWith(body, 'Exif\0\0')) orientation = orientationOf(body.subarray(6))
    else if (marker === 0xee && startsWith(body, 'Adobe')) isPlain = body[11] === 0
    else if (marker === 0xda) {
      if (!frame) return refuse(label, 'damaged JPEG: a scan before the frame')
      if (++scans > mostScans) return refuse(label, `more than ${mostScans} scans of one JPEG`)
      at = skipScan(bytes, at)
    }
  }
}

/** The bytes of a JPEG as a picture; grey stays grey. */
export function decodeJpeg(
  bytes: Uint8Array,
  label: string,
  limits: PictureLimits,
): { picture: Picture; orientation: Orientation } {
  const { frame, orientation, isPlain } = walk(bytes, label, limits)
  const { width, height, components } = frame
  let rgb: Uint8Array
  try {
    const decoded = decode(bytes, {
      useTArray: true,
      formatAsRGBA: false,
      tolerantDecoding: false,
      maxResolutionInMP: Math.ceil((width * height) / 1e6),
      maxMemoryUsageInMB: mostMegabytes,
      ...((isPlain || frame.isRgb) && { colorTransform: false }),
    })
    rgb = decoded.data
    if (decoded.width !== width || decoded.height !== height || rgb.byteLength !== 3 * width * height)
      throw new Error(`decoded to ${decoded.width} × ${decoded.height}`)
  } catch (error) {
    const [line] = String((error as Error).message).split('\n')
    return refuse(label, `damaged JPEG (${line!.slice(0, 200)})`)
  }
  if (components === 3) return { picture: { height, width, channels: 3, data: rgb }, orientation }
  const grey = new Uint8Array(width * height)
  for (let i = 0; i < grey.length; i++) grey[i] = rgb[3 * i]!
  return { picture: { height, width, channels: 1, data: grey }, orientation }
}
