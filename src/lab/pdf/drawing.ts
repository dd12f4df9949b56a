/** @file An SVG as the operators of a PDF page: shapes, clips, images, groups. Text is in `text.ts`. */

import { type Drawing, isStroked, paintOperators } from './page.ts'
import { ellipse, num, pathOf, polyline, rectangle } from './path.ts'
import { initialStyle, lengthOf, type Style, styleOf } from './style.ts'
import { drawText } from './text.ts'
import { Undrawn } from './undrawn.ts'

const numbers = (text: string): number[] => (text.match(/[-+]?[\d.]+(?:e[-+]?\d+)?/gi) ?? []).map(Number)

/** A transform as `cm` operators. */
const transformOf = (text: string): string[] =>
  [...text.matchAll(/(\w+)\s*\(([^)]*)\)/g)].map(([whole, name, inside = '']) => {
    const [a = 0, b, c] = numbers(inside)
    const turn = (a * Math.PI) / 180
    const [cos, sin] = [Math.cos(turn), Math.sin(turn)]
    const [x, y] = [b ?? 0, c ?? 0]
    const matrix = {
      translate: [1, 0, 0, 1, a, b ?? 0],
      scale: [a, 0, 0, b ?? a, 0, 0],
      rotate: [cos, sin, -sin, cos, x - cos * x + sin * y, y - sin * x - cos * y],
      matrix: numbers(inside),
    }[name!]
    if (matrix?.length !== 6) throw new Undrawn(`the transform ${whole}`)
    return `${matrix.map((value) => String(Number(value.toFixed(6)))).join(' ')} cm`
  })

/** The outline of a shape, or undefined for what is no shape. */
function outlineOf(element: Element, { width, height }: Viewport): string | undefined {
  const get = (name: string, whole = 0): number => lengthOf(element.getAttribute(name) ?? '0', 16, whole)
  const points = (): number[] => numbers(element.getAttribute('points') ?? '')
  switch (element.tagName) {
    case 'path':
      return pathOf(element.getAttribute('d') ?? '')
    case 'rect': {
      const size = [get('width', width), get('height', height)] as const
      return size.some((side) => side <= 0) ? '' : rectangle(get('x'), get('y'), ...size, get('rx'))
    }
    case 'circle':
      return ellipse(get('cx'), get('cy'), get('r'), get('r'))
    case 'ellipse':
      return ellipse(get('cx'), get('cy'), get('rx'), get('ry'))
    case 'line':
      return polyline([get('x1'), get('y1'), get('x2'), get('y2')], false)
    case 'polyline':
    case 'polygon':
      return polyline(points(), element.tagName === 'polygon')
    default:
      return undefined
  }
}

interface Viewport {
  readonly width: number
  readonly height: number
}

/** Operators that clip to the shapes of a `clipPath`. */
function clipOf(element: Element, viewport: Viewport): string[] {
  const reference = element.getAttribute('clip-path')
  if (!reference || reference === 'none') return []
  const [, id] = /^url\(#(.+)\)$/.exec(reference) ?? []
  const clip = [...element.ownerDocument.querySelectorAll('clipPath')].find((one) => one.id === id)
  const outlines = [...(clip?.children ?? [])].map((shape) => outlineOf(shape, viewport))
  if (outlines.length === 0 || outlines.includes(undefined)) throw new Undrawn(`the clip path ${reference}`)
  return [...(outlines as string[]), 'W n']
}

function drawShape(drawing: Drawing, outline: string, style: Style, isLine: boolean): void {
  const fills = style.fill !== null && !isLine
  const strokes = isStroked(style)
  if (outline === '' || style.hidden || !(fills || strokes)) return
  const star = style.evenOdd ? '*' : ''
  const operator = fills ? (strokes ? `B${star}` : `f${star}`) : 'S'
  drawing.out.push(paintOperators(drawing, style), outline, operator)
}

function drawImage(drawing: Drawing, element: Element, style: Style): void {
  const [x, y, width, height] = ['x', 'y', 'width', 'height'].map((name) =>
    lengthOf(element.getAttribute(name) ?? '0'),
  ) as [number, number, number, number]
  const [, bytes] = /^data:image\/png;base64,(.*)$/.exec(element.getAttribute('href') ?? '') ?? []
  if (bytes === undefined) throw new Undrawn('an image that is no PNG')
  const png = Buffer.from(bytes, 'base64')
  // the picture keeps its shape, in the middle of its place
  const [across, down] = [png.readUInt32BE(16), png.readUInt32BE(20)]
  const scale = Math.min(width / across, height / down)
  const [w, h] = [across * scale, down * scale]
  const place = [w, 0, 0, -h, x + (width - w) / 2, y + (height + h) / 2]
  const paint = paintOperators(drawing, { ...style, fillOpacity: 1 })
  drawing.out.push('q', paint, `${place.map(num).join(' ')} cm`, `/I${drawing.images.length} Do`, 'Q')
  drawing.images.push(png)
}

/** Where a nested document stands, and how large it is inside. */
function nested(element: Element): { operators: string[]; viewport: Viewport } {
  const get = (name: string): number => lengthOf(element.getAttribute(name) ?? '0')
  const [x, y, width, height] = [get('x'), get('y'), get('width'), get('height')]
  const [left = 0, top = 0, w = width, h = height] = numbers(element.getAttribute('viewBox') ?? '')
  const scale = Math.min(width / w, height / h) || 1
  const place = [scale, 0, 0, scale]
  place.push(x + (width - scale * w) / 2 - scale * left, y + (height - scale * h) / 2 - scale * top)
  return { operators: [`${place.map(num).join(' ')} cm`], viewport: { width: w, height: h } }
}

const silent = new Set(['title', 'desc', 'defs', 'clipPath', 'metadata'])

function drawElement(drawing: Drawing, element: Element, around: Style, viewport: Viewport): void {
  const { tagName } = element
  if (silent.has(tagName) || element.getAttribute('display') === 'none') return
  const style = styleOf(element, around)
  const inner = tagName === 'svg' ? nested(element) : { operators: [], viewport }
  const before = [
    ...transformOf(element.getAttribute('transform') ?? ''),
    ...inner.operators,
    ...clipOf(element, viewport),
  ]
  if (before.length > 0) drawing.out.push('q', ...before)
  const outline = outlineOf(element, viewport)
  if (outline !== undefined) drawShape(drawing, outline, style, tagName === 'line')
  else if (tagName === 'text') drawText(drawing, element, style)
  else if (tagName === 'image') drawImage(drawing, element, style)
  else if (tagName === 'g' || tagName === 'svg')
    for (const child of element.children) drawElement(drawing, child, style, inner.viewport)
  else throw new Undrawn(`the element ${tagName}`)
  if (before.length > 0) drawing.out.push('Q')
}

/** Draw a document. Throws `Undrawn` where something of it is not known. */
export function drawSvg(root: Element): Drawing {
  const drawing: Drawing = { out: [], faces: new Map(), opacities: [], images: [] }
  drawElement(drawing, root, initialStyle, { width: 0, height: 0 })
  return drawing
}
