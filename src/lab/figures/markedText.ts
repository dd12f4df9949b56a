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

/** A space has no shape of its own, so one that is marked is drawn as a dot. */
const shown = (character: string, isMarked: boolean): string =>
  character === ' ' && isMarked ? '·' : character

/** Character by character: here no letter is a variable. */
const widthOf = (text: string): number =>
  Array.from(text).reduce((sum, character) => sum + textWidth(character, size), 0)

/** Characters of one kind next to each other. */
interface Run {
  readonly text: string
  readonly isMarked: boolean
}

/** Lines that are full where the next character has no room. */
function linesOf({ text, marks }: MarkedItem, width: number): Run[][] {
  const lines: Run[][] = [[]]
  let used = 0
  for (const [i, own] of Array.from(text).entries()) {
    const isMarked = marks[i] ?? false
    const character = shown(own, isMarked)
    const wide = widthOf(character)
    if (used + wide > width) {
      lines.push([])
      used = 0
    }
    used += wide
    const line = lines.at(-1)!
    const last = line.at(-1)
    if (last?.isMarked === isMarked) line[line.length - 1] = { ...last, text: last.text + character }
    else line.push({ text: character, isMarked })
  }
  return lines
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
    const lines = linesOf(item, width - left - 4)
    for (const [i, words] of names.entries())
      parts.push(
        `<text x="0" y="${y + 14 + lineHeight * i}" font-weight="600" fill="${color('muted')}">${escapeText(words)}</text>`,
      )
    for (const [i, line] of lines.entries()) {
      let x = left
      for (const { text, isMarked } of line) {
        const wide = widthOf(text)
        const top = y + lineHeight * i
        if (isMarked)
          parts.push(
            `<rect x="${x.toFixed(1)}" y="${top + 1}" width="${wide.toFixed(1)}" height="17" rx="2" fill="${seriesColor(1)}" fill-opacity="0.22"></rect>`,
          )
        // spaces at the ends of a run have no place in SVG: the run begins after them
        const before = text.length - text.trimStart().length
        const words = text.trim()
        if (words !== '')
          parts.push(
            `<text x="${(x + widthOf(text.slice(0, before))).toFixed(1)}" y="${top + 14}" fill="${isMarked ? seriesColor(1) : color('ink')}">${escapeText(words)}</text>`,
          )
        x += wide
      }
    }
    y += lineHeight * Math.max(names.length, lines.length) + 6
  }
  const height = y
  const svg =
    `<svg role="img" aria-label="${escapeText(title)}" class="tl-plot" width="${width}" height="${height}" ` +
    `viewBox="0 0 ${width} ${height}" font-family="${fontFamily}" font-size="${size}">${parts.join('')}</svg>`
  return { name, title, caption, svg, width, height }
}
