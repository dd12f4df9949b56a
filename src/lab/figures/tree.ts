/** @file A derivation as a tree: symbols by level, the rules it used, and what noise leaves of each symbol. */
import { fail, percent } from '../../base/index.ts'
import { escapeText, type Figure, type FigureText } from './figure.ts'
import { textWidth } from './letters.ts'
import { typeset } from './mathText.ts'
import { color, fontFamily, seriesColor } from './theme.ts'

/** What a tree needs. Levels begin with the root's; a level is s times as wide as the one above. */
export interface TreeFigure extends FigureText {
  levels: readonly (readonly number[])[]
  /** Names of the levels, such as `class`, `level 1`, `leaves`. */
  levelNames: readonly string[]
  /** Posterior probability of each symbol in 0 … 1; shades the nodes. */
  posterior?: readonly (readonly number[])[]
  /** Leaves as they were seen through the noise, null where masked. */
  seen?: readonly (number | null)[]
  /** Of each level but the last: the rules of the symbols in the tree. */
  rules?: readonly (readonly TreeRules[])[]
}

/** One symbol's rules, and which of them the tree uses. */
export interface TreeRules {
  readonly symbol: number
  readonly tuples: readonly { readonly symbols: readonly number[]; readonly used: boolean }[]
}

/** Leaves beyond which a drawing says nothing. */
const maxLeaves = 256
const margin = { left: 92, right: 28, top: 26 }

interface Layout {
  readonly pitch: number
  readonly radius: number
  readonly gap: number
  readonly fontSize: number
}

const layoutFor = (leaves: number): Layout => {
  if (leaves <= 9) return { pitch: 84, radius: 17, gap: 84, fontSize: 14 }
  if (leaves <= 16) return { pitch: 58, radius: 15, gap: 84, fontSize: 13 }
  if (leaves <= 32) return { pitch: 40, radius: 13, gap: 80, fontSize: 12 }
  return { pitch: 31, radius: 11, gap: 76, fontSize: 11 }
}

const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length

/** Draw a tree. Throws TL_BAD_ARGUMENT for more than 256 leaves. */
export function treeFigure(chart: TreeFigure): Figure {
  const { name, title, caption, levels } = chart
  const leaves = levels.at(-1)!.length
  if (leaves > maxLeaves)
    fail('TL_BAD_ARGUMENT', `tree: expected at most ${maxLeaves} leaves to draw, got ${leaves}`)
  const layout = layoutFor(leaves)
  const treeWidth = leaves * layout.pitch
  const width = Math.max(640, Math.ceil(margin.left + treeWidth + margin.right))
  const shift = (width - margin.left - margin.right - treeWidth) / 2
  const x = (level: number, node: number): number =>
    margin.left + shift + ((node + 0.5) * treeWidth) / levels[level]!.length
  const y = (level: number): number => margin.top + level * layout.gap
  const parts = [
    ...levels.slice(1).map((_, above) => edges(levels, above, x, y, layout)),
    ...levels.map((_, level) => nodes(chart, level, x, y, layout)),
    ...levels.map((_, level) => levelLabel(chart, level, y(level))),
  ]
  let bottom = y(levels.length - 1) + layout.radius + (chart.posterior ? 20 : 6)
  if (chart.seen) {
    parts.push(seenRow(chart, chart.seen, (node) => x(levels.length - 1, node), bottom + 16, layout))
    bottom += 34
  }
  if (chart.rules) {
    const panel = rulesPanel(chart, chart.rules, bottom + 34, width)
    parts.push(panel.svg)
    bottom = panel.bottom
  }
  const height = Math.ceil(bottom + 8)
  const svg =
    `<svg role="img" aria-label="${escapeText(title)}" class="tl-plot" width="${width}" height="${height}" ` +
    `viewBox="0 0 ${width} ${height}" font-family="${fontFamily}" font-size="12">${parts.join('')}</svg>`
  return { name, title, caption, svg: typeset(svg), width, height }
}

type At = (level: number, node: number) => number

function edges(
  levels: TreeFigure['levels'],
  above: number,
  x: At,
  y: (level: number) => number,
  { radius }: Layout,
): string {
  const s = levels[above + 1]!.length / levels[above]!.length
  const [from, to] = [y(above) + radius, y(above + 1) - radius]
  const middle = (from + to) / 2
  const paths = levels[above + 1]!.map((_, child) => {
    const [a, b] = [x(above, Math.floor(child / s)), x(above + 1, child)]
    return `M${a.toFixed(1)},${from}C${a.toFixed(1)},${middle} ${b.toFixed(1)},${middle} ${b.toFixed(1)},${to}`
  })
  return `<path d="${paths.join('')}" fill="none" stroke="${color('muted')}" stroke-opacity="0.45" stroke-width="1.4"></path>`
}

function nodes(
  chart: TreeFigure,
  level: number,
  x: At,
  y: (level: number) => number,
  layout: Layout,
): string {
  const { levels, posterior } = chart
  const { radius, fontSize } = layout
  const ink = seriesColor(level)
  const leaf = level === levels.length - 1
  return levels[level]!.map((symbol, node) => {
    const [cx, cy] = [x(level, node).toFixed(1), y(level)]
    const p = posterior?.[level]?.[node]
    const shade = p === undefined ? 0.14 : 0.04 + 0.86 * p
    const label =
      p === undefined
        ? ''
        : `<text x="${leaf ? cx : (x(level, node) + radius + 5).toFixed(1)}" y="${leaf ? cy + radius + 15 : cy + 4}" ` +
          `font-size="${Math.min(11, fontSize - 2)}" text-anchor="${leaf ? 'middle' : 'start'}" fill="${color('muted')}">${leaf && layout.pitch < 40 ? Math.round(100 * p) : percent(p, 0)}</text>`
    return (
      `<circle cx="${cx}" cy="${cy}" r="${radius}" fill="${color('paper')}"></circle>` +
      `<circle cx="${cx}" cy="${cy}" r="${radius}" fill="${ink}" fill-opacity="${shade.toFixed(3)}" stroke="${ink}" stroke-width="1.5"></circle>` +
      `<text x="${cx}" y="${(cy + fontSize * 0.36).toFixed(1)}" font-size="${fontSize}" font-weight="600" text-anchor="middle" ` +
      `fill="${color(shade > 0.55 ? 'paper' : 'ink')}">${symbol}</text>${label}`
    )
  }).join('')
}

function levelLabel({ levelNames, posterior }: TreeFigure, level: number, y: number): string {
  const p = posterior?.[level]
  const lines = `<text x="0" y="${y + (p ? -2 : 4)}" fill="${color('ink')}">${escapeText(levelNames[level]!)}</text>`
  return p
    ? `${lines}<text x="0" y="${y + 14}" font-size="11" fill="${color('muted')}">${percent(mean(p), 0)} known</text>`
    : lines
}

function seenRow(
  { levels }: TreeFigure,
  seen: readonly (number | null)[],
  x: (node: number) => number,
  y: number,
  { radius, fontSize }: Layout,
): string {
  const truth = levels.at(-1)!
  const side = 2 * radius - 6
  const cells = seen.map((symbol, node) => {
    const changed = symbol !== null && symbol !== truth[node]
    const ink = color(changed ? 'bad' : 'muted')
    const dashes = symbol === null ? ' stroke-dasharray="3 3"' : ''
    return (
      `<rect x="${(x(node) - side / 2).toFixed(1)}" y="${y - side / 2}" width="${side}" height="${side}" rx="5" fill="none" ` +
      `stroke="${ink}" stroke-opacity="0.7"${dashes}></rect>` +
      `<text x="${x(node).toFixed(1)}" y="${(y + fontSize * 0.33).toFixed(1)}" font-size="${fontSize - 1}" text-anchor="middle" fill="${ink}">${symbol ?? '?'}</text>`
    )
  })
  return `<text x="0" y="${y + 4}" fill="${color('ink')}">seen</text>${cells.join('')}`
}

/** Symbols of a level whose rules are listed. */
const mostSymbols = 8
/** Tuples of a symbol that are listed, those in use first. */
const mostTuples = 4
const rowHeight = 21

/** The rules of each level in a column, those in use marked; columns flow like words. */
function rulesPanel(
  chart: TreeFigure,
  rules: readonly (readonly TreeRules[])[],
  top: number,
  width: number,
): { svg: string; bottom: number } {
  const columns = rules.map((list, level) => rulesColumn(chart, list, level))
  const parts: string[] = []
  let [left, y, tallest] = [0, top, 0]
  for (const column of columns) {
    if (left > 0 && left + column.width > width) {
      left = 0
      y += tallest + 22
      tallest = 0
    }
    parts.push(`<g transform="translate(${left},${y})">${column.svg}</g>`)
    left += column.width + 36
    tallest = Math.max(tallest, column.height)
  }
  return { svg: parts.join(''), bottom: y + tallest }
}

function rulesColumn(
  { levelNames }: TreeFigure,
  list: readonly TreeRules[],
  level: number,
): { svg: string; width: number; height: number } {
  const ink = seriesColor(level)
  const shown = list.slice(0, mostSymbols)
  const texts = shown.map(({ tuples }) =>
    // those in use come first, and stay in their order
    (tuples.length <= mostTuples ? [...tuples] : [...tuples].sort((a, b) => Number(b.used) - Number(a.used)))
      .slice(0, Math.max(mostTuples, tuples.filter((tuple) => tuple.used).length))
      .map(({ symbols, used }) => ({ text: symbols.join(' '), used })),
  )
  const cell = 16 + Math.max(...texts.flat().map(({ text }) => textWidth(text, 12)))
  const name = 3 + Math.max(...shown.map(({ symbol }) => textWidth(String(symbol), 13)))
  const first = name + 30
  const parts = [
    `<text x="0" y="0" font-weight="600" fill="${color('ink')}">${escapeText(`rules: ${levelNames[level]} → ${levelNames[level + 1]}`)}</text>`,
  ]
  let right = textWidth(`rules: ${levelNames[level]} → ${levelNames[level + 1]}`, 12.5)
  for (const [row, { symbol, tuples }] of shown.entries()) {
    const y = (row + 1) * rowHeight + 4
    parts.push(
      `<text x="${name}" y="${y}" text-anchor="end" font-weight="600" fill="${ink}">${symbol}</text>` +
        `<text x="${name + 8}" y="${y}" fill="${color('muted')}">→</text>`,
    )
    for (const [i, { text, used }] of texts[row]!.entries()) {
      const x = first + i * cell
      if (used)
        parts.push(
          `<rect x="${x.toFixed(1)}" y="${y - 13}" width="${(cell - 4).toFixed(1)}" height="18" rx="5" fill="${ink}" fill-opacity="0.14"></rect>`,
        )
      parts.push(
        `<text x="${(x + cell / 2 - 2).toFixed(1)}" y="${y}" text-anchor="middle" fill="${color(used ? 'ink' : 'muted')}">${text}</text>`,
      )
    }
    const hidden = tuples.length - texts[row]!.length
    const end = first + texts[row]!.length * cell
    const more = `+ ${hidden}`
    if (hidden > 0) parts.push(`<text x="${end + 2}" y="${y}" fill="${color('muted')}">${more}</text>`)
    right = Math.max(right, end + (hidden > 0 ? textWidth(more) : 0))
  }
  let height = shown.length * rowHeight + 8
  if (list.length > shown.length) {
    height += rowHeight
    parts.push(
      `<text x="0" y="${(shown.length + 1) * rowHeight + 4}" fill="${color('muted')}">and ${list.length - shown.length} more symbols</text>`,
    )
  }
  return { svg: parts.join(''), width: right, height }
}
