/**
 * @file Idefics3's preprocessing: a picture is stretched to whole tiles, cut into them, and seen once more as a whole. The order of the
 * steps and their rounding are those of Transformers. (Laurençon et al. 2024, arXiv 2408.12637; SmolVLM, arXiv 2504.05299)
 */
import { fail, type JsonObject, type Settings, settingsOf } from '../base/index.ts'
import { cropped, type Picture, resizePicture, withChannels } from '../data/index.ts'
import { filterOf, mostSide, normalizer } from './preprocess.ts'

/** A picture in tiles, row by row, and the whole of it last. */
interface Tiles<Tile> {
  /** Rows and columns of tiles; both 0 where there is only the whole. */
  readonly rows: number
  readonly columns: number
  readonly tiles: readonly Tile[]
}

/** The steps of a folder: a picture of any size ↦ bytes of its tiles, and their numbers [3, side, side] each. */
interface TilePreprocessor {
  readonly cut: (picture: Picture) => Tiles<Picture>
  readonly apply: (picture: Picture) => Tiles<Float32Array>
}

/** Of pixels. */
type Size = readonly [height: number, width: number]

/** A side of `{ longest_edge }`. */
function edgeOf(s: Settings, key: string, fallback: number): number {
  const value = s.fields[key]
  if (value === undefined || value === null) return fallback
  const own = settingsOf(value, `${s.label}, ${key}`)
  if (!own.has('longest_edge')) s.refuse(key, '"longest_edge"')
  const edge = own.whole('longest_edge', fallback)
  return edge <= mostSide ? edge : own.refuse('longest_edge', `at most ${mostSide} pixels`)
}

/** The longer side becomes `edge`; the other follows, rounded down and then up to an even number. */
function withLongest({ height, width }: Picture, edge: number): Size {
  const ratio = width / height
  const even = (side: number): number => Math.max(1, Math.trunc(side) + (Math.trunc(side) % 2))
  return width >= height ? [even(edge / ratio), edge] : [edge, even(edge * ratio)]
}

/** Both sides become multiples of `side`: first the longer, then the other by the shape of the picture. */
function inTiles({ height, width }: Picture, side: number): Size {
  const ratio = width / height
  const whole = (length: number): number => Math.ceil(length / side) * side
  if (width >= height) return [whole(Math.trunc(whole(width) / ratio)), whole(width)]
  return [whole(height), whole(Math.trunc(whole(height) * ratio))]
}

/**
 * Steps as Transformers does them with Pillow. `side` is what the tower sees; `splits: false` gives the whole alone, whatever the
 * folder says. Throws `TL_BAD_FILE`, `TL_UNSUPPORTED`.
 */
export function tilePreprocessor(
  value: JsonObject,
  label: string,
  side: number,
  splits = true,
): TilePreprocessor {
  const s = settingsOf(value, label)
  const filter = filterOf(s, 1)
  const edge = s.flag('do_resize', true) ? edgeOf(s, 'size', 4 * 364) : undefined
  const isSplit = s.flag('do_image_splitting', true) && splits
  const own = edgeOf(s, 'max_image_size', 364)
  if (own !== side)
    fail(
      'TL_BAD_FILE',
      `${label}: makes tiles of ${own} × ${own}, but the network sees ${side} × ${side}: the two do not belong together`,
    )
  const normalize = normalizer(s, 'siglip')
  const cut = (picture: Picture): Tiles<Picture> => {
    const colours = withChannels(picture, 3)
    const sized = edge === undefined ? colours : resizePicture(colours, withLongest(colours, edge), filter)
    const whole = (from: Picture): Picture => resizePicture(from, [side, side], filter)
    if (!isSplit) return { rows: 0, columns: 0, tiles: [whole(sized)] }
    const fitted = resizePicture(sized, inTiles(sized, side), filter)
    const [rows, columns] = [fitted.height / side, fitted.width / side]
    if (rows === 1 && columns === 1) return { rows: 0, columns: 0, tiles: [fitted] }
    const tiles = Array.from({ length: rows * columns }, (_, i) =>
      cropped(fitted, {
        ...{ top: Math.floor(i / columns) * side, left: (i % columns) * side },
        ...{ height: side, width: side },
      }),
    )
    return { rows, columns, tiles: [...tiles, whole(fitted)] }
  }
  return {
    cut,
    apply(picture) {
      const { tiles, ...grid } = cut(picture)
      return { ...grid, tiles: tiles.map(normalize) }
    },
  }
}
