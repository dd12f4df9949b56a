/** @file A tree as a picture: rows of cells, one for each level, as wide as what is below them. */
import { g } from './dom.ts'

export interface TreeCell {
  readonly text?: string
  /** 0 … 1: how dark the cell is. */
  readonly shade: number
  readonly title: string
  readonly onPress?: () => void
}

const [width, rowHeight, gap] = [640, 38, 4]

/** Levels from the root; a cell that can be pressed is a button for the keyboard, too. */
export function drawTree(levels: readonly (readonly TreeCell[])[], label: string): SVGSVGElement {
  const height = levels.length * (rowHeight + gap)
  const pressable = levels.some((cells) => cells.some(({ onPress }) => onPress))
  const svg = g('svg', {
    viewBox: `0 0 ${width} ${height}`,
    role: pressable ? 'group' : 'img',
    'aria-label': label,
    class: 'tree',
  })
  for (const [level, cells] of levels.entries()) {
    const each = width / cells.length
    for (const [i, { text, shade, title, onPress }] of cells.entries()) {
      const place = {
        x: i * each,
        y: level * (rowHeight + gap),
        width: Math.max(0.5, each - (each > 8 ? 2 : 0)),
        height: rowHeight,
      }
      const press = onPress && {
        ...{ tabindex: 0, role: 'button', 'aria-label': title, click: onPress },
        keydown: (event: Event) => {
          const { key } = event as KeyboardEvent
          if (key !== 'Enter' && key !== ' ') return
          event.preventDefault()
          onPress()
        },
      }
      const cell = g(
        'g',
        { class: onPress ? 'cell pressable' : 'cell', ...press },
        g('title', {}, title),
        g('rect', { ...place, style: `--shade:${shade.toFixed(3)}` }),
      )
      if (text !== undefined && each > 14)
        cell.append(
          g(
            'text',
            {
              x: place.x + place.width / 2,
              y: place.y + rowHeight / 2 + 5,
              'text-anchor': 'middle',
              class: shade > 0.55 ? 'light' : 'dark',
            },
            text,
          ),
        )
      svg.append(cell)
    }
  }
  return svg
}
