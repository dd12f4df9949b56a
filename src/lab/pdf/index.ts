/** @file Figures as PDF: what charts are made of, drawn as lines, areas and text; any other SVG as pixels. */
import { createRequire } from 'node:module'
import { pngDataUri, svgToPng } from '../figures/index.ts'
import { pdfFile } from './document.ts'
import { drawSvg } from './drawing.ts'
import { Undrawn } from './undrawn.ts'

function parse(svg: string): Element {
  const { DOMParser } = createRequire(import.meta.url)('linkedom') as typeof import('linkedom')
  return new DOMParser().parseFromString(svg, 'image/svg+xml').documentElement as unknown as Element
}

/**
 * The bytes of a PDF of one page, of an SVG document with `width` and `height` in pixels: as large on paper as the SVG is, with the
 * fonts Treeline ships. Text is text, lines are lines. An SVG with more than charts are made of (a gradient, an arc, a style sheet)
 * becomes a picture of pixels on the page. Throws TL_IO without the fonts.
 */
export function svgToPdf(svg: string): Uint8Array {
  const root = parse(svg)
  const [width, height] = ['width', 'height'].map((name) => Number(root.getAttribute(name))) as [
    number,
    number,
  ]
  const title = root.querySelector('title')?.textContent ?? ''
  try {
    return pdfFile(drawSvg(root), width, height, title)
  } catch (error) {
    if (!(error instanceof Undrawn)) throw error
    const picture = `<image width="${width}" height="${height}" href="${pngDataUri(svgToPng(svg))}"/>`
    const page = parse(`<svg width="${width}" height="${height}">${picture}</svg>`)
    return pdfFile(drawSvg(page), width, height, title)
  }
}
