/** @file A figure by itself: title above, caption and config below, as one SVG and as PNG bytes. */
import { Resvg } from '@resvg/resvg-js'
import { escapeText, type Figure } from './figure.ts'
import { fontFiles } from './fonts.ts'
import { wrapText } from './letters.ts'
import { mathPlain, mathSvg } from './mathText.ts'
import { fontFamily, withLightColors } from './theme.ts'

/**
 * The figure with its title, caption and the config that made it: a complete SVG document in light colours. A description says the
 * same in words, for programs that show no text of the picture.
 */
export function posterSvg(figure: Figure, config: string): string {
  const margin = 24
  const width = figure.width + 2 * margin
  const title = wrapText(figure.title, figure.width / 1.04, 17)
  const caption = wrapText(figure.caption, figure.width, 12)
  const made = wrapText(config, figure.width, 11)
  const top = 32 + title.length * 22
  const captionTop = top + figure.height + 26
  const madeTop = captionTop + caption.length * 17 + 4
  const height = madeTop + made.length * 15 + 12
  const lines = (texts: string[], y: number, step: number, attributes: string, math = true) =>
    texts
      .map(
        (text, i) =>
          `<text x="${margin}" y="${y + i * step}" ${attributes}>${math ? mathSvg(text) : escapeText(text)}</text>`,
      )
      .join('')
  const about = [figure.caption, config].filter(Boolean).join(' ')
  return withLightColors(
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" ` +
      `viewBox="0 0 ${width} ${height}" font-family="${fontFamily}">` +
      `<title>${escapeText(mathPlain(figure.title))}</title><desc>${escapeText(about)}</desc>` +
      '<rect width="100%" height="100%" fill="var(--tl-paper)"/>' +
      lines(title, 36, 22, 'font-size="17" font-weight="600" fill="var(--tl-ink)"') +
      figure.svg.replace('<svg', `<svg x="${margin}" y="${top}"`) +
      lines(caption, captionTop, 17, 'font-size="12" fill="var(--tl-ink)"') +
      lines(made, madeTop, 15, 'font-size="11" fill="var(--tl-muted)"', false) +
      '</svg>',
  )
}

/** PNG bytes of an SVG document, `scale` pixels for each unit, with the fonts Treeline ships and no others. Throws TL_IO without them. */
export function svgToPng(svg: string, scale = 2): Uint8Array {
  const resvg = new Resvg(svg, {
    fitTo: { mode: 'zoom', value: scale },
    font: { loadSystemFonts: false, fontFiles: fontFiles(), defaultFontFamily: 'Inter' },
  })
  return resvg.render().asPng()
}
