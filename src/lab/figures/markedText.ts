/** @file Texts with some of their characters marked, such as those that a round trip changed: a name and the text beside it. */
import { escapeText, type Figure, type FigureText } from './figure.ts'
import { textWidth, wrapText } from './letters.ts'
import { color, fontFamily, seriesColor } from './theme.ts'

/** One text. */
export interface MarkedItem {
  readonly name: string
  readonly text: string
  /** Of each character: whether it is marked. */
  readonly marks: readonly boolean[]
}

/** What the figure needs. */
export interface MarkedText extends FigureText {
  readonly items: readonly MarkedItem[]
  /** Pixels. */
  readonly width?: number
}

const size = 12
const lineHeight = 20
/** Room of each character: what stands below each other has the same place in all texts, whatever letters the reader's font has. */
const cellWidth = 9.5

/** A space has no shape of its own, so one that is marked is drawn as a dot. */
const shown = (character: string, isMarked: boolean): string =>
  character === ' ' && isMarked ? '·' : character

/** A character in its place. */
interface Cell {
  readonly character: string
  readonly isMarked: boolean
}

/** Lines of at most so many characters. */
function linesOf({ text, marks }: MarkedItem, most: number): Cell[][] {
  const cells = Array.from(text).map((character, i) => ({ character, isMarked: marks[i] ?? false }))
  const lines = Math.max(1, Math.ceil(cells.length / most))
  return Array.from({ length: lines }, (_, i) => cells.slice(i * most, (i + 1) * most))
}

/** Marks of neighbours are one. */
function marksOf(line: readonly Cell[]): { from: number; to: number }[] {
  const found: { from: number; to: number }[] = []
  for (const [i, { isMarked }] of line.entries())
    if (isMarked) {
      const last = found.at(-1)
      if (last?.to === i) last.to = i + 1
      else found.push({ from: i, to: i + 1 })
    }
  return found
}

function lineSvg(line: readonly Cell[], left: number, top: number): string[] {
  const marks = marksOf(line).map(({ from, to }) => {
    const [x, wide] = [left + from * cellWidth, (to - from) * cellWidth]
    return `<rect x="${x.toFixed(1)}" y="${top + 1}" width="${wide.toFixed(1)}" height="17" rx="2" fill="${seriesColor(1)}" fill-opacity="0.22"></rect>`
  })
  const characters = line.flatMap(({ character, isMarked }, i) => {
    const own = shown(character, isMarked)
    if (own === ' ') return []
    const x = (left + (i + 0.5) * cellWidth).toFixed(2)
    const fill = isMarked ? seriesColor(1) : color('ink')
    return [`<text x="${x}" y="${top + 14}" text-anchor="middle" fill="${fill}">${escapeText(own)}</text>`]
  })
  return [...marks, ...characters]
}

/** Draw texts with marks. */
export function markedText(chart: MarkedText): Figure {
  const { name, title, caption, items } = chart
  const width = chart.width ?? 540
  const left = Math.min(160, Math.max(0, ...items.map((item) => textWidth(item.name, size, true))) + 14)
  const parts: string[] = []
  let y = 4
  for (const item of items) {
    const names = wrapText(item.name, left - 10, size)
    const lines = linesOf(item, Math.floor((width - left - 4) / cellWidth))
    for (const [i, words] of names.entries())
      parts.push(
        `<text x="0" y="${y + 14 + lineHeight * i}" font-weight="600" fill="${color('muted')}">${escapeText(words)}</text>`,
      )
    for (const [i, line] of lines.entries()) parts.push(...lineSvg(line, left, y + lineHeight * i))
    y += lineHeight * Math.max(names.length, lines.length) + 6
  }
  const height = y
  const svg =
    `<svg role="img" aria-label="${escapeText(title)}" class="tl-plot" width="${width}" height="${height}" ` +
    `viewBox="0 0 ${width} ${height}" font-family="${fontFamily}" font-size="${size}">${parts.join('')}</svg>`
  return { name, title, caption, svg, width, height }
}
