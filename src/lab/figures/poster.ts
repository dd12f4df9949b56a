/** @file A figure by itself: title above, caption and config below, as one SVG and as PNG bytes. */
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Resvg } from '@resvg/resvg-js'
import { fail } from '../../base/index.ts'
import { escapeText, type Figure } from './figure.ts'
import { fontFamily, textWidth, withLightColors } from './theme.ts'

/** Cut a word that is wider than a line, after a comma where there is one: configs hold lists without spaces. */
function cutWord(word: string, width: number, size: number): string[] {
  if (textWidth(word, size) <= width) return [word]
  let end = word.length
  while (end > 1 && textWidth(word.slice(0, end), size) > width) end--
  const comma = word.lastIndexOf(',', end - 1) + 1
  const at = comma > end / 2 ? comma : end
  return [word.slice(0, at), ...cutWord(word.slice(at), width, size)]
}

/** Break a text into lines no wider than `width` pixels, by an estimate of the letters' widths. */
export function wrapText(text: string, width: number, size: number): string[] {
  const lines: string[] = []
  const words = text.split(/\s+/).filter(Boolean)
  for (const word of words.flatMap((whole) => cutWord(whole, width, size))) {
    const line = lines.at(-1)
    if (line !== undefined && textWidth(`${line} ${word}`, size) <= width)
      lines[lines.length - 1] = `${line} ${word}`
    else lines.push(word)
  }
  return lines
}

/** The figure with its title, caption and the config that made it: a complete SVG document in light colours. */
export function posterSvg(figure: Figure, config: string): string {
  const margin = 24
  const width = figure.width + 2 * margin
  const caption = wrapText(figure.caption, figure.width, 12)
  const made = wrapText(config, figure.width, 11)
  const top = 54
  const captionTop = top + figure.height + 26
  const madeTop = captionTop + caption.length * 17 + 4
  const height = madeTop + made.length * 15 + 12
  const lines = (texts: string[], y: number, step: number, attributes: string) =>
    texts
      .map((text, i) => `<text x="${margin}" y="${y + i * step}" ${attributes}>${escapeText(text)}</text>`)
      .join('')
  return withLightColors(
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" ` +
      `viewBox="0 0 ${width} ${height}" font-family="${fontFamily}">` +
      '<rect width="100%" height="100%" fill="var(--tl-paper)"/>' +
      `<text x="${margin}" y="36" font-size="17" font-weight="600" fill="var(--tl-ink)">${escapeText(figure.title)}</text>` +
      figure.svg.replace('<svg', `<svg x="${margin}" y="${top}"`) +
      lines(caption, captionTop, 17, 'font-size="12" fill="var(--tl-ink)"') +
      lines(made, madeTop, 15, 'font-size="11" fill="var(--tl-muted)"') +
      '</svg>',
  )
}

const fonts = ['Inter-Regular.ttf', 'Inter-SemiBold.ttf'].map((name) =>
  fileURLToPath(new URL(`../../../assets/fonts/${name}`, import.meta.url)),
)

/** PNG bytes of an SVG document, `scale` pixels for each unit, with the fonts Treeline ships and no others. Throws TL_IO without them. */
export function svgToPng(svg: string, scale = 2): Uint8Array {
  // without its fonts a figure would be drawn without a word
  const missing = fonts.find((path) => !existsSync(path))
  if (missing) fail('TL_IO', `cannot read ${missing}, a font of the figures: install treeline again, whole`)
  const resvg = new Resvg(svg, {
    fitTo: { mode: 'zoom', value: scale },
    font: { loadSystemFonts: false, fontFiles: fonts, defaultFontFamily: 'Inter' },
  })
  return resvg.render().asPng()
}
