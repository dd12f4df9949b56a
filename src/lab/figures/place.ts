/** @file Words on a figure, placed in pixels: titles of axes, names of lines, references, a legend. */
import { escapeText } from './figure.ts'
import { type Box, firstFree, lineGap } from './labels.ts'
import { textWidth } from './letters.ts'
import { color } from './theme.ts'

/** Words at a place. `y` is the middle of the line. */
export interface Words {
  readonly text: string
  readonly x: number
  readonly y: number
  readonly fill: string
  readonly anchor?: 'start' | 'middle' | 'end'
  readonly bold?: boolean
  /** On top of lines: a rim of paper sets the letters apart. */
  readonly rim?: boolean
}

const shift = { start: 0, middle: 0.5, end: 1 } as const

/** The room that words take. */
export function boxOf({ text, x, y, anchor = 'start', bold = false }: Words): Box {
  const width = textWidth(text, 12, bold)
  return { x: x - shift[anchor] * width, y: y - 7, width, height: 14 }
}

/** Rounded to what can be seen. */
export const pixel = (value: number): number => Number(value.toFixed(2))

/** Words as SVG. */
export const wordsSvg = ({ text, x, y, fill, anchor = 'start', bold, rim }: Words): string =>
  text === ''
    ? ''
    : `<text x="${pixel(x)}" y="${pixel(y)}" dy="0.32em" fill="${fill}" text-anchor="${anchor}"` +
      `${bold ? ' font-weight="600"' : ''}${rim ? ` stroke="${color('paper')}" stroke-width="3" stroke-linejoin="round" paint-order="stroke"` : ''}>${escapeText(text)}</text>`

/** A value marked across a figure, in pixels. */
interface Mark {
  readonly axis: 'x' | 'y'
  readonly at: number
  readonly label: string
}

/** The inside of a figure's frame. */
export interface Frame {
  readonly left: number
  readonly right: number
  readonly top: number
  readonly bottom: number
}

/** Labels of marked values, each beside its line where nothing else stands. */
export function markLabels(marks: readonly Mark[], frame: Frame, taken: readonly Box[]): Words[] {
  const filled = [...taken]
  return marks.flatMap(({ axis, at, label }) => {
    if (label === '') return []
    const width = textWidth(label)
    const rows = Array.from(
      { length: Math.floor((frame.bottom - frame.top) / lineGap) },
      (_, row) => frame.top + 4 + row * lineGap,
    )
    const across = [frame.left + 4, frame.right - 4 - width, (frame.left + frame.right - width) / 2]
    const places =
      axis === 'x'
        ? rows.flatMap((y) => [at + 5, at - 5 - width].map((x) => ({ x, y })))
        : [at - 8, at + 9].flatMap((y) => across.map((x) => ({ x, y })))
    const boxes = places
      .map(({ x, y }) => ({ x, y: y - 7, width, height: 14 }))
      .filter((box) => box.x >= 0 && box.x + width <= frame.right + 12 && box.y >= 0)
    const box = firstFree(
      boxes.length > 0
        ? boxes
        : [{ x: Math.max(0, frame.right - width), y: frame.top - 3, width, height: 14 }],
      filled,
    )
    filled.push(box)
    return [{ text: label, x: box.x, y: box.y + 7, fill: color('muted'), rim: true }]
  })
}

/** Names in rows, each with a dash or a dot of its colour before it. */
export function legendRows(
  names: readonly { readonly text: string; readonly fill: string; readonly dashed?: boolean }[],
  width: number,
): { readonly svg: (top: number) => string; readonly height: number } {
  const swatch = 22
  let [x, row] = [0, 0]
  const placed = names.map((name) => {
    const own = swatch + textWidth(name.text, 12, true)
    if (x > 0 && x + own > width) [x, row] = [0, row + 1]
    const place = { ...name, x, row }
    x += own + 18
    return place
  })
  return {
    height: names.length === 0 ? 0 : (row + 1) * 17,
    svg: (top) =>
      placed
        .map(({ text, fill, dashed, x: left, row: line }) => {
          const y = top + line * 17 + 8
          const dashes = dashed ? ' stroke-dasharray="5 4"' : ''
          return (
            `<line x1="${pixel(left)}" x2="${pixel(left + 16)}" y1="${y}" y2="${y}" stroke="${fill}" stroke-width="2"${dashes}></line>` +
            wordsSvg({ text, x: left + swatch, y, fill, bold: true })
          )
        })
        .join(''),
  }
}
