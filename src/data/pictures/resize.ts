/**
 * @file Resizing as Pillow does it: each axis a weighted sum over the pixels below the filter, which is stretched where the picture
 * becomes smaller; bytes between, weights of 22 bits. Down goes before across where it drops more than twice as many lines as columns.
 * (Pillow 13; the order is measured on it)
 */
import { entryOf, fail } from '../../base/index.ts'
import { cropped, type Picture } from './picture.ts'

interface Filter {
  /** How far it reaches, in pixels of the larger picture. */
  readonly support: number
  readonly at: (x: number) => number
}

const sinc = (x: number): number => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x))

/** Bicubic with a = −1/2. */
function cubic(x: number): number {
  const a = -0.5
  const d = Math.abs(x)
  if (d < 1) return ((a + 2) * d - (a + 3)) * d * d + 1
  return d < 2 ? (((d - 5) * d + 8) * d - 4) * a : 0
}

const filters = {
  box: { support: 0.5, at: (x) => (x > -0.5 && x <= 0.5 ? 1 : 0) },
  bilinear: { support: 1, at: (x) => Math.max(0, 1 - Math.abs(x)) },
  bicubic: { support: 2, at: cubic },
  lanczos: { support: 3, at: (x) => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0) },
} satisfies Record<string, Filter>

export type ResizeFilter = keyof typeof filters

const bits = 22

/** Of a result. */
const mostBytes = 2 ** 30

/** Pixels below the filter for each pixel of the result, and their weights in units of 2^−22. */
function weightsOf(from: number, to: number, { support, at }: Filter) {
  const scale = from / to
  const stretch = Math.max(1, scale)
  const reach = support * stretch
  return Array.from({ length: to }, (_, i) => {
    const centre = (i + 0.5) * scale
    const first = Math.max(0, Math.trunc(centre - reach + 0.5))
    const last = Math.min(from, Math.trunc(centre + reach + 0.5))
    const own = Array.from({ length: last - first }, (_, k) => at((k + first - centre + 0.5) / stretch))
    const total = own.reduce((sum, weight) => sum + weight, 0)
    const weights = own.map((weight) => {
      const share = total === 0 ? weight : weight / total
      return Math.trunc(share * 2 ** bits + (share < 0 ? -0.5 : 0.5))
    })
    return { first, weights: Int32Array.from(weights) }
  })
}

const byteOf = (sum: number): number => {
  const value = Math.floor(sum / 2 ** bits)
  return value < 0 ? 0 : value > 255 ? 255 : value
}

/**
 * One axis: `before` lines, each of `from` groups of `after` neighbouring bytes, become as many lines of `to` groups. Across, a group
 * is a pixel; down, it is a row.
 */
function along(
  data: Uint8Array,
  { before, from, to, after }: { before: number; from: number; to: number; after: number },
  filter: Filter,
): Uint8Array {
  const out = new Uint8Array(before * to * after)
  const table = weightsOf(from, to, filter)
  for (let line = 0; line < before; line++)
    for (const [i, { first, weights }] of table.entries())
      for (let k = 0; k < after; k++) {
        let sum = 2 ** (bits - 1)
        let at = (line * from + first) * after + k
        for (let w = 0; w < weights.length; w++, at += after) sum += data[at]! * weights[w]!
        out[(line * to + i) * after + k] = byteOf(sum)
      }
  return out
}

/** A picture of another size, [height, width]. Throws `TL_BAD_ARGUMENT`. */
export function resizePicture(
  picture: Picture,
  size: readonly [height: number, width: number],
  filter: ResizeFilter = 'bilinear',
): Picture {
  const chosen = entryOf('resize filter', filters, filter)
  const [height, width] = size
  const { channels } = picture
  const isSize = size.every((n) => Number.isSafeInteger(n) && n >= 1)
  // what lies between the two passes is no larger than one of these
  const largest = width * channels * Math.max(height, picture.height)
  if (!isSize || largest > mostBytes)
    fail(
      'TL_BAD_ARGUMENT',
      `size: expected two whole numbers from 1 on, and at most 2^30 bytes, got ${size.join(' × ')}`,
    )
  const across = (one: Picture): Picture => {
    const sizes = { before: one.height, from: one.width, to: width, after: channels }
    return width === one.width ? one : { ...one, width, data: along(one.data, sizes, chosen) }
  }
  const down = (one: Picture): Picture => {
    const sizes = { before: 1, from: one.height, to: height, after: one.width * channels }
    return height === one.height ? one : { ...one, height, data: along(one.data, sizes, chosen) }
  }
  const lines = picture.height - height
  return lines > 0 && lines > 2 * (picture.width - width) ? across(down(picture)) : down(across(picture))
}

/** How a picture of another shape is brought to a size: its middle, or the whole of it. */
export type Fit = 'crop' | 'stretch'

/** A picture of a size: its middle of that shape, or the whole of it stretched, resized. */
export function fitPicture(
  picture: Picture,
  size: readonly [height: number, width: number],
  { fit = 'crop', filter = 'bilinear' }: { readonly fit?: Fit; readonly filter?: ResizeFilter } = {},
): Picture {
  if (fit === 'stretch') return resizePicture(picture, size, filter)
  const [height, width] = size
  const within = (most: number, wanted: number): number => Math.min(most, Math.max(1, Math.round(wanted)))
  const high = within(picture.height, (picture.width * height) / width)
  const wide = within(picture.width, (picture.height * width) / height)
  const middle = {
    top: Math.floor((picture.height - high) / 2),
    left: Math.floor((picture.width - wide) / 2),
    ...{ height: high, width: wide },
  }
  return resizePicture(cropped(picture, middle), size, filter)
}
