/** @file From a picture to the numbers that a tower sees, by the `preprocessor_config.json` of its folder. */
import { fail, isFiniteNumber, isObject, type JsonObject, type Settings, settingsOf } from '../base/index.ts'
import { cropped, type Picture, type ResizeFilter, resizePicture, withChannels } from '../data/index.ts'

/** Pillow's numbers of filters. */
const filters: Record<number, ResizeFilter> = { 1: 'lanczos', 2: 'bilinear', 3: 'bicubic', 4: 'box' }

interface Size {
  /** [height, width], or the length of the shorter side. */
  readonly to: readonly [number, number] | number
}

/** A side of a picture that no tower sees: memory for it would be taken in vain. */
export const mostSide = 4096

/** `{ shortest_edge }`, `{ height, width }`, or in old files a number. */
function sizeOf(s: Settings, key: string, fallback: number, isSquare: boolean): Size {
  const size = anySizeOf(s, key, fallback, isSquare)
  const largest = typeof size.to === 'number' ? size.to : Math.max(...size.to)
  return largest <= mostSide ? size : s.refuse(key, `at most ${mostSide} pixels`)
}

function anySizeOf(s: Settings, key: string, fallback: number, isSquare: boolean): Size {
  const value = s.fields[key]
  if (!isObject(value)) {
    const side = s.whole(key, fallback)
    return { to: isSquare ? [side, side] : side }
  }
  const own = settingsOf(value, `${s.label}, ${key}`)
  if (own.has('shortest_edge')) return { to: own.whole('shortest_edge', fallback) }
  if (own.has('height') && own.has('width'))
    return { to: [own.whole('height', fallback), own.whole('width', fallback)] }
  return s.refuse(key, '"shortest_edge", or "height" and "width"')
}

/** Brings the shorter side to a length, or both sides to a size. The longer side is cut off to a whole number. */
function resized(picture: Picture, { to }: Size, filter: ResizeFilter): Picture {
  if (typeof to !== 'number') return resizePicture(picture, to, filter)
  const { height, width } = picture
  const long = Math.max(to, Math.trunc((to * Math.max(height, width)) / Math.min(height, width)))
  return resizePicture(picture, width <= height ? [long, to] : [to, long], filter)
}

function middleOf(picture: Picture, { to }: Size, label: string): Picture {
  const [height, width] = typeof to === 'number' ? [to, to] : to
  if (height > picture.height || width > picture.width)
    fail(
      'TL_UNSUPPORTED',
      `${label}: "crop_size" of ${height} × ${width} from a picture of ${picture.height} × ${picture.width}: expected a crop within what "size" gives`,
    )
  const [top, left] = [Math.floor((picture.height - height) / 2), Math.floor((picture.width - width) / 2)]
  return cropped(picture, { top, left, height, width })
}

const threeOf = (s: Settings, key: string, fallback: readonly number[]): readonly number[] => {
  const list = s.list(key, fallback, isFiniteNumber)
  return list.length === 3 ? list : s.refuse(key, 'three numbers')
}

/** What OpenAI's models were trained with. */
const clipMean = [0.48145466, 0.4578275, 0.40821073]
const clipDeviation = [0.26862954, 0.26130258, 0.27577711]

/** Bytes ↦ numbers [3, height, width]: a scale, then mean and deviation of each channel. Throws `TL_BAD_FILE`, `TL_UNSUPPORTED`. */
export function normalizer(s: Settings, kind: 'clip' | 'siglip'): (picture: Picture) => Float32Array {
  const isClip = kind === 'clip'
  const factor = s.flag('do_rescale', true) ? s.number('rescale_factor', 1 / 255) : 1
  const normalizes = s.flag('do_normalize', true)
  const mean = normalizes ? threeOf(s, 'image_mean', isClip ? clipMean : [0.5, 0.5, 0.5]) : [0, 0, 0]
  const deviation = normalizes ? threeOf(s, 'image_std', isClip ? clipDeviation : [0.5, 0.5, 0.5]) : [1, 1, 1]
  if (deviation.some((x) => x === 0)) s.refuse('image_std', 'no zeros')
  return ({ height, width, data }) => {
    const plane = height * width
    const out = new Float32Array(3 * plane)
    for (let c = 0; c < 3; c++)
      for (let i = 0; i < plane; i++)
        out[c * plane + i] = (data[3 * i + c]! * factor - mean[c]!) / deviation[c]!
    return out
  }
}

/** The filter that resizes. Throws `TL_UNSUPPORTED`. */
export const filterOf = (s: Settings, fallback: number): ResizeFilter =>
  filters[s.whole('resample', fallback, 0)] ?? s.refuse('resample', '1, 2, 3 or 4')

/** The colour around a picture that is made square: the mean of what the network was trained with. */
const paddingOf = (s: Settings): readonly number[] =>
  threeOf(s, 'image_mean', clipMean).map((x) => Math.trunc(x * 255))

/** The picture in the middle of a square of its longer side. */
function squared(picture: Picture, colour: readonly number[]): Picture {
  const { height, width, data } = picture
  if (height === width) return picture
  const side = Math.max(height, width)
  const [top, left] = [Math.floor((side - height) / 2), Math.floor((side - width) / 2)]
  const out = Uint8Array.from({ length: side * side * 3 }, (_, i) => colour[i % 3]!)
  for (let y = 0; y < height; y++)
    out.set(data.subarray(3 * y * width, 3 * (y + 1) * width), 3 * ((top + y) * side + left))
  return { height: side, width: side, channels: 3, data: out }
}

/** The steps of a folder: a picture of any size ↦ bytes as they are cut out, and numbers [3, side, side]. */
export interface Preprocessor {
  readonly crop: (picture: Picture) => Picture
  readonly apply: (picture: Picture) => Float32Array
}

/**
 * Steps as Transformers does them with Pillow: colour, resizing, the middle, a scale, mean and deviation of each channel. `side` is
 * what the tower sees. Throws `TL_BAD_FILE`, `TL_UNSUPPORTED`.
 */
export function preprocessor(
  value: JsonObject,
  label: string,
  side: number,
  kind: 'clip' | 'siglip',
): Preprocessor {
  const s = settingsOf(value, label)
  const isClip = kind === 'clip'
  const filter = filterOf(s, isClip ? 3 : 2)
  const size = s.flag('do_resize', true) ? sizeOf(s, 'size', side, !isClip) : undefined
  const crop = s.flag('do_center_crop', isClip) ? sizeOf(s, 'crop_size', side, true) : undefined
  const fill = s.flag('do_pad', false) ? paddingOf(s) : undefined
  const normalize = normalizer(s, kind)
  const toCrop = (picture: Picture): Picture => {
    const colours = fill ? squared(withChannels(picture, 3), fill) : withChannels(picture, 3)
    const sized = size ? resized(colours, size, filter) : colours
    const cut = crop ? middleOf(sized, crop, label) : sized
    if (cut.height !== side || cut.width !== side)
      fail(
        'TL_BAD_FILE',
        `${label}: makes pictures of ${cut.height} × ${cut.width}, but the network sees ${side} × ${side}: the two do not belong together`,
      )
    return cut
  }
  return { crop: toCrop, apply: (picture) => normalize(toCrop(picture)) }
}
