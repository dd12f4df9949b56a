/** @file What a picture is in memory, and changes of its channels and of the way it stands. */
import { fail } from '../../base/index.ts'

/** Bytes [height, width, channels], channels 1 (grey) or 3 (red, green, blue). */
export interface Picture {
  readonly height: number
  readonly width: number
  readonly channels: 1 | 3
  readonly data: Uint8Array
}

/** How the stored pixels are to be turned: 1 not at all, … 8 (EXIF 2.3, tag 0x0112). */
export type Orientation = 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8

/** A picture as `channels` of another number. Grey is (19595 R + 38470 G + 7471 B) / 65536, rounded, as Pillow has it. */
export function withChannels(picture: Picture, channels: 1 | 3): Picture {
  const { height, width, data } = picture
  if (picture.channels === channels) return picture
  const pixels = height * width
  const out = new Uint8Array(pixels * channels)
  for (let i = 0; i < pixels; i++)
    if (channels === 3) out.fill(data[i]!, 3 * i, 3 * i + 3)
    else out[i] = (data[3 * i]! * 19595 + data[3 * i + 1]! * 38470 + data[3 * i + 2]! * 7471 + 0x8000) >> 16
  return { height, width, channels, data: out }
}

/** The picture upright: stored pixels turned and mirrored as `orientation` says. */
export function upright(picture: Picture, orientation: Orientation): Picture {
  if (orientation === 1) return picture
  const { height, width, channels, data } = picture
  const isTurned = orientation >= 5
  const [high, wide] = isTurned ? [width, height] : [height, width]
  const out = new Uint8Array(data.length)
  for (let y = 0; y < high; y++)
    for (let x = 0; x < wide; x++) {
      const fromRight = orientation === 2 || orientation === 3 || orientation === 7 || orientation === 8
      const fromBottom = orientation === 3 || orientation === 4 || orientation === 6 || orientation === 7
      const [column, row] = isTurned ? [y, x] : [x, y]
      const from =
        ((fromBottom ? height - 1 - row : row) * width + (fromRight ? width - 1 - column : column)) * channels
      out.set(data.subarray(from, from + channels), (y * wide + x) * channels)
    }
  return { height: high, width: wide, channels, data: out }
}

/** A part of a picture. */
export function cropped(
  { width, channels, data }: Picture,
  { top, left, height, width: wide }: { top: number; left: number; height: number; width: number },
): Picture {
  const out = new Uint8Array(height * wide * channels)
  for (let y = 0; y < height; y++) {
    const from = ((top + y) * width + left) * channels
    out.set(data.subarray(from, from + wide * channels), y * wide * channels)
  }
  return { height, width: wide, channels, data: out }
}

/** What decoders refuse beyond, before memory is taken. */
export interface PictureLimits {
  /** Most pixels of one picture. Default 32 million: a decoder takes some twenty bytes for each. */
  readonly maxPixels?: number
}

/** Refuse a picture by the size that its header says. */
export function checkPixels(
  label: string,
  width: number,
  height: number,
  { maxPixels = 32_000_000 }: PictureLimits,
): void {
  if (width < 1 || height < 1)
    fail('TL_BAD_FILE', `${label}: a picture of ${width} × ${height} pixels: there is nothing in it`)
  if (width * height > maxPixels)
    fail(
      'TL_BAD_FILE',
      `${label}: ${width} × ${height} pixels, expected at most ${(maxPixels / 1e6).toPrecision(3)} million: make it smaller first`,
    )
}
