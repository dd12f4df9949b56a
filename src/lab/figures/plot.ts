/** @file Observable Plot without a browser: options in, a themed SVG string out. */
import { createRequire } from 'node:module'
import * as Plot from '@observablehq/plot'
import { escapeText } from './figure.ts'
import { typeset } from './mathText.ts'
import { color, fontFamily } from './theme.ts'

let kept: Document | undefined

/** The document that Plot draws into. Loaded when something is drawn: most processes draw nothing. */
function drawingDocument(): Document {
  if (kept) return kept
  const { parseHTML } = createRequire(import.meta.url)('linkedom') as typeof import('linkedom')
  kept = parseHTML('<!doctype html><html><body></body></html>').document as unknown as Document
  return kept
}

/** Options all our plots share: size of type, ink, room around. */
const themed = (options: Plot.PlotOptions): Plot.PlotOptions => ({
  document: drawingDocument(),
  className: 'tl-plot',
  ...options,
  style: {
    fontFamily,
    fontSize: '12px',
    color: color('ink'),
    background: 'none',
    overflow: 'visible',
  } as unknown as Partial<CSSStyleDeclaration>,
})

/** Build a plot with what all plots share. */
function buildPlot(options: Plot.PlotOptions): (SVGSVGElement | HTMLElement) & Plot.Plot {
  return Plot.plot(themed(options))
}

/** A plot as an SVG string with a label for people who hear instead of see; `more` is drawn on top. */
export function plotSvg(label: string, options: Plot.PlotOptions, more = ''): string {
  const element = buildPlot(options)
  // Plot's own style sheet sets colours and fonts that the theme sets on the element
  for (const style of [...element.querySelectorAll('style')]) style.remove()
  return typeset(cleanSvg(element.outerHTML.replace(/<\/svg>$/, `${more}</svg>`), label))
}

/** Inside HTML the namespace is implied: without it the file names no outside address at all. */
function cleanSvg(svg: string, label: string): string {
  const clips: string[] = []
  return (
    svg
      .replace(/ xmlns(:xlink)?="[^"]*"/g, '')
      // beyond a hundredth of a pixel numbers differ between machines and say nothing
      .replace(/ (?:d|x|y|[xy][12]|c[xy]|r|width|height|transform)="[^"]*"/g, (attribute) =>
        attribute.replace(/-?\d+\.\d{3,}(?:e-?\d+)?/g, (number) => String(Number(Number(number).toFixed(2)))),
      )
      .replace(/plot-clip-\d+/g, (id) => {
        // Plot counts through all figures that a process draws: a figure has numbers of its own
        if (!clips.includes(id)) clips.push(id)
        return `clip-${clips.indexOf(id) + 1}`
      })
      .replace(/^<svg/, `<svg role="img" aria-label="${escapeText(label)}"`)
  )
}
