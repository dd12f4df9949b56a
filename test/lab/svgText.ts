/** @file Where the words of an SVG stand: a box for each line of text, from the same widths of letters that layout uses. */
import { parseHTML } from 'linkedom'
import { textWidth } from '../../src/lab/figures/letters.ts'

/** A line of text and its place in pixels. */
export interface TextBox {
  readonly text: string
  readonly x1: number
  readonly x2: number
  readonly y1: number
  readonly y2: number
}

interface Place {
  readonly x: number
  readonly y: number
  /** Quarter turns to the left. */
  readonly turned: boolean
}

const number = (text: string | null | undefined): number => Number.parseFloat(text ?? '') || 0

/** A length in pixels or in units of the font's size. */
const length = (text: string | null | undefined, size: number): number =>
  /em$/.test(text ?? '') ? number(text) * size : number(text)

const inherited = (node: Element, name: string): string | null =>
  node.closest(`[${name}]`)?.getAttribute(name) ?? null

/** Of the nearest element that says it; a style goes before an attribute. */
function sizeOf(node: Element): number {
  const at = node.closest('[font-size]')
  const [, styled] = at?.getAttribute('style')?.match(/font-size:\s*([\d.]+)px/) ?? []
  return number(styled ?? at?.getAttribute('font-size')) || 12
}

function placeOf(node: Element): Place {
  let [x, y, turned] = [0, 0, false]
  for (let at: Element | null = node; at; at = at.parentElement) {
    const transform = at.getAttribute('transform') ?? ''
    const [, dx, dy] = transform.match(/translate\(\s*(-?[\d.]+)(?:[\s,]+(-?[\d.]+))?/) ?? []
    x += number(dx)
    y += number(dy)
    if (/rotate\(-90/.test(transform)) turned = true
    if (at.tagName.toLowerCase() === 'svg' && at.parentElement?.closest('svg')) {
      x += number(at.getAttribute('x'))
      y += number(at.getAttribute('y'))
    }
  }
  return { x, y, turned }
}

/** All lines of text of an SVG, where they are drawn. */
export function textBoxes(svg: string): TextBox[] {
  const { document } = parseHTML(`<html><body>${svg}</body></html>`)
  return [...document.querySelectorAll('text')].flatMap((node): TextBox[] => {
    const element = node as unknown as Element
    const size = sizeOf(element)
    const bold = Number(inherited(element, 'font-weight') ?? 400) >= 600
    const anchor = inherited(element, 'text-anchor') ?? 'start'
    const at = placeOf(element)
    const lines = [...element.querySelectorAll('tspan[x]')]
    const parts = lines.length > 0 ? lines : [element]
    return parts.flatMap((part) => {
      const text = part.textContent ?? ''
      if (text.trim() === '') return []
      const width = [...textRuns(part)].reduce(
        (sum, [run, scale]) => sum + scale * textWidth(run, size, bold),
        0,
      )
      const own = (name: string): string | null => part.getAttribute(name) ?? element.getAttribute(name)
      const [x, y] = [length(own('x'), size), length(own('y'), size) + length(own('dy'), size)]
      const start = anchor === 'middle' ? -width / 2 : anchor === 'end' ? -width : 0
      // from a little above small letters to a little below the line
      if (at.turned)
        return [
          {
            text,
            x1: at.x + y - 0.75 * size,
            x2: at.x + y + 0.2 * size,
            y1: at.y - x - start - width,
            y2: at.y - x - start,
          },
        ]
      return [
        {
          text,
          x1: at.x + x + start,
          x2: at.x + x + start + width,
          y1: at.y + y - 0.75 * size,
          y2: at.y + y + 0.2 * size,
        },
      ]
    })
  })
}

/** Pieces of a text with the share of its size in which they are set. */
function* textRuns(node: Element): Generator<[text: string, scale: number]> {
  for (const child of node.childNodes as unknown as Iterable<Element>) {
    const size = child.nodeType === 1 ? child.getAttribute('font-size') : null
    yield [child.textContent ?? '', size?.endsWith('em') ? number(size) : 1]
  }
}

/** What is wrong with the words of a figure: pairs that overlap, and words that leave the picture. */
export function collisions(svg: string, slack = 1): string[] {
  const boxes = textBoxes(svg)
  const [, , width, height] = (svg.match(/viewBox="([^"]*)"/)?.[1] ?? '').split(/[\s,]+/).map(Number)
  const wrong: string[] = []
  for (const [i, a] of boxes.entries()) {
    if (a.x1 < -slack || a.y1 < -slack || a.x2 > width! + slack || a.y2 > height! + slack)
      wrong.push(`"${a.text}" leaves the picture (${[a.x1, a.x2, a.y1, a.y2].map(Math.round).join(' ')})`)
    for (const b of boxes.slice(i + 1))
      if (
        Math.min(a.x2, b.x2) - Math.max(a.x1, b.x1) > slack &&
        Math.min(a.y2, b.y2) - Math.max(a.y1, b.y1) > slack
      )
        wrong.push(`"${a.text}" and "${b.text}"`)
  }
  return wrong
}
