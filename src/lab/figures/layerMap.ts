/** @file Layer map: kinds of tensors against layers, stacks side by side, each cell a value from pale to full, and a scale of colours. */
import { tickText } from './axes.ts'
import { escapeText, type Figure, type FigureText } from './figure.ts'
import { textWidth } from './letters.ts'
import { typeset } from './mathText.ts'
import { color } from './theme.ts'

/** Columns that belong together: the layers of one stack, or the tensors outside layers. */
export interface LayerMapPanel {
  readonly name: string
  /** Names of the columns; some of them are drawn where there is no room for all. */
  readonly columns: readonly string[]
  /** `values[row][column]`: undefined where there is no tensor, null where the value is not defined. */
  readonly values: readonly (readonly (number | null | undefined)[])[]
}

/** What a layer map needs. */
export interface LayerMap extends FigureText {
  readonly rows: readonly string[]
  /** Rows after which a little room is left, to set groups apart. */
  readonly breaks?: readonly number[]
  readonly panels: readonly LayerMapPanel[]
  readonly valueLabel: string
  /** Numbers of the scale. Default: plain. */
  readonly format?: (value: number) => string
}

const row = 20
const groupGap = 7
const panelGap = 18
const top = 62
const palest = 0.06

/** The value that takes the fullest colour: the largest, or where a few tower above all others what most stay below. */
export function fullest(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const most = sorted.at(-1) ?? 0
  const usual = sorted[Math.floor(0.95 * (sorted.length - 1))] ?? 0
  return most > 2.5 * usual && usual > 0 ? usual : most
}

/** Draw it. Cells without a tensor stay empty, those without a value are crossed out, those above the scale are framed. */
export function layerMap(chart: LayerMap): Figure {
  const { rows, panels, breaks = [], format = tickText } = chart
  const known = panels.flatMap(({ values }) => values.flat()).filter((value) => typeof value === 'number')
  const full = fullest(known)
  const cut = known.some((value) => value > full)
  const count = panels.reduce((sum, { columns }) => sum + columns.length, 0)
  const left = 14 + Math.max(...rows.map((name) => textWidth(name)))
  const column = Math.max(
    9,
    Math.min(26, Math.floor((640 - (panels.length - 1) * panelGap) / Math.max(1, count))),
  )
  const yOf = (i: number): number => top + i * row + breaks.filter((at) => at < i).length * groupGap
  const height = yOf(rows.length) + 34
  const text = (x: number, y: number, words: string, more = ''): string =>
    `<text x="${x}" y="${y}" fill="${color('muted')}" ${more}>${escapeText(words)}</text>`
  const opacity = (value: number): string =>
    (palest + (0.95 - palest) * (full > 0 ? Math.min(1, value / full) : 0)).toFixed(3)

  const parts = rows.map((name, i) => text(left - 8, yOf(i) + row - 6, name, 'text-anchor="end"'))
  let x = left
  for (const { name, columns, values } of panels) {
    const width = Math.max(columns.length * column, textWidth(name) + 4)
    parts.push(text(x, top - 12, name, 'font-weight="600"'))
    const every = Math.max(
      1,
      Math.ceil((Math.max(...columns.map((word) => textWidth(word, 11))) + 6) / column),
    )
    for (const [j, word] of columns.entries()) {
      const at = x + j * column
      if (j % every === 0)
        parts.push(text(at + column / 2, height - 14, word, 'text-anchor="middle" font-size="11"'))
      for (const [i, line] of values.entries()) {
        const value = line[j]
        const y = yOf(i)
        if (value === undefined) continue
        const box = `x="${at + 0.75}" y="${y + 0.75}" width="${column - 1.5}" height="${row - 1.5}" rx="2.5"`
        const label = `<title>${escapeText(`${rows[i]}, ${`${name} ${word}`.trim()}: ${value === null ? 'not defined' : format(value)}`)}</title>`
        if (value === null)
          parts.push(
            `<rect ${box} fill="none" stroke="${color('muted')}" stroke-dasharray="2 2">${label}</rect>`,
          )
        else {
          const frame = value > full ? ` stroke="${color('series-2')}" stroke-width="1.5"` : ''
          parts.push(
            `<rect ${box} fill="${color('series-1')}" fill-opacity="${opacity(value)}"${frame}>${label}</rect>`,
          )
        }
      }
    }
    x += width + panelGap
  }
  const width = Math.max(420, x - panelGap + 8)
  const steps = 24
  const highest = `${cut ? '≥ ' : ''}${format(full)}`
  const barRight = width - 8 - textWidth(highest) - 8
  const barLeft = barRight - steps * 5
  for (let i = 0; i < steps; i++)
    parts.push(
      `<rect x="${barLeft + i * 5}" y="4" width="5" height="12" fill="${color('series-1')}" fill-opacity="${opacity((full * i) / (steps - 1))}" shape-rendering="crispEdges"></rect>`,
    )
  parts.push(
    text(barLeft - 7, 14, `${chart.valueLabel}  ${format(0)}`, 'text-anchor="end"'),
    text(barRight + 7, 14, highest),
  )
  const { name, title, caption } = chart
  const svg = `<svg role="img" aria-label="${escapeText(title)}" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-size="12">${parts.join('')}</svg>`
  return { name, title, caption, svg: typeset(svg), width, height }
}
