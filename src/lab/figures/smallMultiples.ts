/** @file Small multiples: figures of one kind side by side, each under its name. */
import { escapeText, type Figure, type FigureText, withIds } from './figure.ts'
import { fitText } from './letters.ts'
import { typeset } from './mathText.ts'
import { color, fontFamily } from './theme.ts'

/** What small multiples need. */
export interface SmallMultiples extends FigureText {
  readonly panels: readonly { readonly name: string; readonly figure: Figure }[]
  /** Panels in a row. Default 2. */
  readonly columns?: number
}

const gap = { x: 24, y: 14, name: 22 }

/** Draw figures in rows. */
export function smallMultiples({ name, title, caption, panels, columns = 2 }: SmallMultiples): Figure {
  const across = Math.max(1, Math.min(columns, panels.length))
  const cell = {
    width: Math.max(1, ...panels.map(({ figure }) => figure.width)),
    height: gap.name + Math.max(1, ...panels.map(({ figure }) => figure.height)),
  }
  const width = across * cell.width + (across - 1) * gap.x
  const rows = Math.ceil(panels.length / across)
  const height = rows * cell.height + (rows - 1) * gap.y
  const parts = panels.map((panel, i) => {
    const x = (i % across) * (cell.width + gap.x)
    const y = Math.floor(i / across) * (cell.height + gap.y)
    const head = `<text x="${x}" y="${y + 13}" font-weight="600" fill="${color('ink')}">${escapeText(fitText(panel.name, cell.width, 12, true))}</text>`
    return (
      typeset(head) +
      withIds(panel.figure.svg, `panel-${i + 1}`).replace('<svg', `<svg x="${x}" y="${y + gap.name}"`)
    )
  })
  const svg =
    `<svg role="img" aria-label="${escapeText(title)}" class="tl-plot" width="${width}" height="${height}" ` +
    `viewBox="0 0 ${width} ${height}" font-family="${fontFamily}" font-size="12">${parts.join('')}</svg>`
  return { name, title, caption, svg, width, height }
}
