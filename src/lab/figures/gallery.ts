/** @file Image gallery: small grayscale or RGB images with a caption each, as inline PNGs with crisp pixels. */
import { PNG } from 'pngjs'
import { fail } from '../../base/index.ts'
import { escapeText, type Figure, type FigureText } from './figure.ts'
import { wrapText } from './letters.ts'
import { typeset } from './mathText.ts'
import { color, fontFamily } from './theme.ts'

/** An image, rows from the top, values 0…255. */
export interface SmallImage {
  width: number
  height: number
  channels: 1 | 3
  /** width · height · channels values, channels last. */
  pixels: ArrayLike<number>
}

/** One picture of the gallery: a bold line and a quieter one below it. */
export interface GalleryItem {
  image: SmallImage
  title: string
  subtitle?: string
}

/** What a gallery needs. */
export interface Gallery extends FigureText {
  items: readonly GalleryItem[]
  columns?: number
  /** Dark strokes on white paper instead of white on black. */
  inverted?: boolean
  /** Pixels. */
  width?: number
}

/** PNG bytes of a small image. Throws TL_BAD_ARGUMENT when the number of values is not width · height · channels. */
export function encodePng(image: SmallImage, inverted = false): Uint8Array {
  const { width, height, channels, pixels } = image
  if (pixels.length !== width * height * channels)
    fail(
      'TL_BAD_ARGUMENT',
      `image: expected ${width}×${height}×${channels} = ${width * height * channels} values, got ${pixels.length}`,
    )
  const png = new PNG({ width, height })
  for (let i = 0; i < width * height; i++) {
    for (let c = 0; c < 3; c++) {
      const value = pixels[i * channels + (channels === 3 ? c : 0)]!
      png.data[4 * i + c] = inverted ? 255 - value : value
    }
    png.data[4 * i + 3] = 255
  }
  return PNG.sync.write(png, { colorType: channels === 1 ? 0 : 2 })
}

/** `data:image/png;base64,…` */
export const pngDataUri = (bytes: Uint8Array): string =>
  `data:image/png;base64,${Buffer.from(bytes).toString('base64')}`

/** Lines of a title or a subtitle that are shown. */
const mostLines = 3

/** Draw a gallery. */
export function gallery(chart: Gallery): Figure {
  const { name, title, caption, items } = chart
  const width = chart.width ?? 540
  const columns = Math.min(chart.columns ?? 6, Math.max(1, items.length))
  const gap = 14
  const side = Math.floor((width - gap * (columns - 1)) / columns)
  const linesOf = (text: string, bold: boolean): string[] =>
    wrapText(text, (side - 2) / (bold ? 1.04 : 1), bold ? 12 : 11).slice(0, mostLines)
  const texts = items.map(({ title: text, subtitle = '' }) => ({
    titles: linesOf(text, true),
    subtitles: linesOf(subtitle, false),
  }))
  const tallest = Math.max(1, ...texts.map(({ titles, subtitles }) => titles.length + subtitles.length))
  const cellHeight = side + 20 + 15 * tallest
  const rows = Math.max(1, Math.ceil(items.length / columns))
  const height = rows * cellHeight
  const cells = items.map(({ image }, index) => {
    const x = (index % columns) * (side + gap)
    const y = Math.floor(index / columns) * cellHeight
    const picture = pngDataUri(encodePng(image, chart.inverted))
    const middle = x + side / 2
    const { titles, subtitles } = texts[index]!
    const line = (words: string, row: number, more: string): string =>
      `<text x="${middle}" y="${y + side + 17 + 15 * row}" ${more}>${escapeText(words)}</text>`
    return (
      `<image x="${x}" y="${y}" width="${side}" height="${side}" href="${picture}" ` +
      'image-rendering="optimizeSpeed" style="image-rendering:pixelated"></image>' +
      `<rect x="${x + 0.5}" y="${y + 0.5}" width="${side - 1}" height="${side - 1}" rx="2" fill="none" ` +
      `stroke="${color('muted')}" stroke-opacity="0.35"></rect>` +
      titles.map((words, row) => line(words, row, `font-weight="600" fill="${color('ink')}"`)).join('') +
      subtitles
        .map((words, row) => line(words, titles.length + row, `font-size="11" fill="${color('muted')}"`))
        .join('')
    )
  })
  const svg =
    `<svg role="img" aria-label="${escapeText(title)}" class="tl-plot" width="${width}" height="${height}" ` +
    `viewBox="0 0 ${width} ${height}" font-family="${fontFamily}" font-size="12" text-anchor="middle">` +
    `${cells.join('')}</svg>`
  return { name, title, caption, svg: typeset(svg), width, height }
}
