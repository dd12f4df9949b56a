/** @file Outlines of SVG shapes as operators of PDF: lines and cubic Bézier curves. */
import { Undrawn } from './undrawn.ts'

/** A number as PDF writes it: thousandths are finer than any printer. */
export const num = (value: number): string => {
  if (!Number.isFinite(value)) throw new Undrawn(`the number ${value}`)
  return String(Math.round(value * 1000) / 1000 || 0).replace(/^.*e-.*$/, '0')
}

const op = (name: string, ...values: number[]): string => `${values.map(num).join(' ')} ${name}`

/** Control points of a quarter of a circle lie so far along its tangents, over the radius. */
const quarter = 0.5522847498

/** An ellipse. */
export const ellipse = (cx: number, cy: number, rx: number, ry: number): string => {
  const [a, b] = [quarter * rx, quarter * ry]
  return [
    op('m', cx + rx, cy),
    op('c', cx + rx, cy + b, cx + a, cy + ry, cx, cy + ry),
    op('c', cx - a, cy + ry, cx - rx, cy + b, cx - rx, cy),
    op('c', cx - rx, cy - b, cx - a, cy - ry, cx, cy - ry),
    op('c', cx + a, cy - ry, cx + rx, cy - b, cx + rx, cy),
    'h',
  ].join('\n')
}

/** A rectangle, its corners rounded by `r`. */
export const rectangle = (x: number, y: number, width: number, height: number, radius = 0): string => {
  const r = Math.min(radius, width / 2, height / 2)
  if (!(r > 0)) return op('re', x, y, width, height)
  const [right, bottom, k] = [x + width, y + height, (1 - quarter) * r]
  return [
    op('m', x + r, y),
    op('l', right - r, y),
    op('c', right - k, y, right, y + k, right, y + r),
    op('l', right, bottom - r),
    op('c', right, bottom - k, right - k, bottom, right - r, bottom),
    op('l', x + r, bottom),
    op('c', x + k, bottom, x, bottom - k, x, bottom - r),
    op('l', x, y + r),
    op('c', x, y + k, x + k, y, x + r, y),
    'h',
  ].join('\n')
}

/** Points joined by lines. */
export const polyline = (points: readonly number[], closed: boolean): string => {
  const lines = Array.from({ length: Math.floor(points.length / 2) }, (_, i) =>
    op(i === 0 ? 'm' : 'l', points[2 * i]!, points[2 * i + 1]!),
  )
  return [...lines, ...(closed && lines.length > 0 ? ['h'] : [])].join('\n')
}

/** Numbers of each command of path data. */
const numbersOf: Readonly<Record<string, number>> = { M: 2, L: 2, H: 1, V: 1, C: 6, Z: 0 }

/** Path data of lines and cubic curves: what charts are made of. Throws `Undrawn` of arcs and other curves. */
export function pathOf(data: string): string {
  const out: string[] = []
  let [x, y, startX, startY] = [0, 0, 0, 0]
  for (const [whole, letter = '', rest = ''] of data.matchAll(/([a-df-zA-DF-Z])([^a-df-zA-DF-Z]*)/g)) {
    const name = letter.toUpperCase()
    const count = numbersOf[name]
    const values = (rest.match(/[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?/g) ?? []).map(Number)
    if (count === undefined || (count > 0 && (values.length === 0 || values.length % count > 0)))
      throw new Undrawn(`the path command ${whole.slice(0, 20)}`)
    if (name === 'Z') {
      out.push('h')
      ;[x, y] = [startX, startY]
    }
    for (let at = 0; at < values.length; at += count) {
      const [dx, dy] = letter === name ? [0, 0] : [x, y]
      const isY = (i: number): boolean => name === 'V' || (name !== 'H' && i % 2 === 1)
      const v = values.slice(at, at + count).map((value, i) => value + (isY(i) ? dy : dx))
      if (name === 'H') v.push(y)
      if (name === 'V') v.unshift(x)
      const isStart = name === 'M' && at === 0
      out.push(op(isStart ? 'm' : name === 'C' ? 'c' : 'l', ...v))
      ;[x, y] = v.slice(-2) as [number, number]
      if (isStart) [startX, startY] = [x, y]
    }
  }
  return out.join('\n')
}
