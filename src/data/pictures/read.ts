/** @file One door for pictures: what a file is is told by its bytes, never by its name. */
import { fail } from '../../base/index.ts'
import { readBytes } from '../../base/read.ts'
import { decodeJpeg, isJpeg } from './jpeg.ts'
import { type Picture, type PictureLimits, upright, withChannels } from './picture.ts'
import { decodePng, isPng } from './png.ts'

export interface ReadPictureOptions extends PictureLimits {
  /** 1 for grey, 3 for colour. Default: as the file has it. */
  readonly channels?: 1 | 3
  /** What transparent pixels are seen before, 0 … 255. Default: transparency is left out, as Pillow's `convert` does. */
  readonly background?: readonly [red: number, green: number, blue: number]
}

/** Other files that people have among pictures, by their first bytes and where these stand. */
const others: readonly (readonly [at: number, lead: string, what: string])[] = [
  [0, 'GIF8', 'a GIF'],
  [8, 'WEBP', 'a WebP picture'],
  [0, 'BM', 'a BMP'],
  [0, 'II*\0', 'a TIFF'],
  [0, 'MM\0*', 'a TIFF'],
  [4, 'ftyp', 'a HEIC or AVIF picture, or a film'],
  [0, '%PDF', 'a PDF document'],
  [0, '<svg', 'an SVG drawing'],
  [0, 'version https://git-lfs', 'a pointer of Git LFS, not the picture'],
]

function refuseOthers(bytes: Uint8Array, label: string): never {
  if (bytes.byteLength === 0) fail('TL_BAD_FILE', `${label}: the file is empty`)
  const text = Buffer.from(bytes.subarray(0, 64)).toString('latin1')
  const found = others.find(([at, lead]) => text.startsWith(lead, at))
  return fail(
    'TL_UNSUPPORTED',
    `${label}: ${found ? found[2] : 'no picture that is known'}: expected a PNG or a JPEG`,
  )
}

/** Colours before a background, by the share of each pixel that is opaque. */
function before(picture: Picture, alpha: Uint8Array, background: readonly number[]): Picture {
  const { channels, data } = withChannels(picture, 3)
  const out = data.map((value, i) => {
    const share = alpha[Math.floor(i / channels)]! / 255
    return Math.round(value * share + background[i % channels]! * (1 - share))
  })
  return { ...picture, channels, data: out }
}

/**
 * Decode a PNG (up to 8 bits a channel; grey, colour, palette, with or without transparency, interlaced or not) or a JPEG (baseline
 * or progressive, grey or colour), turned as its EXIF data say. `label` names it in messages. Sizes are checked before memory is
 * taken. Throws `TL_BAD_FILE`, and `TL_UNSUPPORTED` for CMYK, 16 bits and other formats.
 */
export function decodePicture(
  bytes: Uint8Array,
  label = 'picture',
  { channels, background, ...limits }: ReadPictureOptions = {},
): Picture {
  if (isJpeg(bytes)) {
    const { picture, orientation } = decodeJpeg(bytes, label, limits)
    return upright(withChannels(picture, channels ?? picture.channels), orientation)
  }
  if (!isPng(bytes)) return refuseOthers(bytes, label)
  const { picture, alpha, orientation } = decodePng(bytes, label, limits)
  const seen = background ? before(picture, alpha, background) : picture
  return upright(withChannels(seen, channels ?? seen.channels), orientation)
}

/** Read a picture from a file, see `decodePicture`. Throws `TL_IO`, too. */
export const readPicture = (path: string, options: ReadPictureOptions = {}): Picture =>
  decodePicture(readBytes(path), path, options)
